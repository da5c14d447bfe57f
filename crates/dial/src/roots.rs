//! Whose certificates are trusted: the system's, Mozilla's list (for machines that keep none), and the application's own.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::DialError;

/// Largest file of certificates that is read, in bytes; the systems' lists are some 200 kB.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads the application's own: PEM text, or the path of a file with it.
pub(crate) fn own(ca: &str) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let (text, origin) = if ca.contains("-----BEGIN") {
        (ca.as_bytes().to_vec(), "the CA certificate".to_owned())
    } else {
        (read(Path::new(ca.trim()))?, format!("the CA file {}", ca.trim()))
    };
    let bad = |reason: String| DialError::Config(format!("{origin} cannot be used: {reason}"));
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    // A store of its own shows whether each can be used at all.
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| bad(error.to_string()))?;
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, DialError> {
    let bad = |reason: String| DialError::Config(format!("the CA file {} cannot be read: {reason}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(bad(format!("it is larger than {MAX_FILE} bytes")));
    }
    std::fs::read(path).map_err(|error| bad(error.to_string()))
}

/// All that are trusted, and of those the system's and the application's own as they are. Reads the system's store, which
/// takes some milliseconds.
pub(crate) fn all(own: &[CertificateDer<'static>]) -> (RootCertStore, Vec<CertificateDer<'static>>) {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "certificates of the system cannot be read");
    }
    let mut certificates = system.certs;
    certificates.extend_from_slice(own);
    let (taken, ignored) = store.add_parsable_certificates(certificates.iter().cloned());
    tracing::debug!(taken, ignored, own = own.len(), "trusted certificates");
    (store, certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_a_configuration_error_that_names_it() {
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (ca, word) in [("/nowhere/ca.pem", "/nowhere/ca.pem"), ("/dev/null", "no certificate"), (text, "CA")] {
            let Err(DialError::Config(reason)) = own(ca) else { panic!("{ca}") };
            assert!(reason.contains(word), "{reason}");
        }
    }
}
