//! A certificate and its private key, out of two files.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use thiserror::Error as ThisError;
use x509_parser::parse_x509_certificate;

use crate::config::TlsFiles;

/// Longest file, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// Why a certificate or its private key cannot be used.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A file is longer than certificates are.
    #[error("{0}: longer than 1 MiB")]
    TooLong(PathBuf),
    /// A file is not PEM.
    #[error("{path}: no PEM: {error}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        error: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{0}: there is no certificate in it (BEGIN CERTIFICATE)")]
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    #[error("{0}: there is no private key in it (BEGIN PRIVATE KEY)")]
    NoKey(PathBuf),
    /// The private key belongs to another certificate.
    #[error("the private key {key} does not belong to the certificate {cert}")]
    OtherKey {
        /// File of the private key.
        key: PathBuf,
        /// File of the certificate.
        cert: PathBuf,
    },
    /// Something that is not supported, or damaged.
    #[error("{path}: {error}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The TLS library's error.
        error: Error,
    },
}

/// The bytes of both files. Another pair of bytes is another certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError::Read`], [`CertificateError::TooLong`].
    pub fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)? })
    }

    /// Parses and checks the pair.
    ///
    /// # Errors
    /// The pair cannot be used, see [`CertificateError`].
    pub fn certified(
        &self,
        files: &TlsFiles,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>, CertificateError> {
        let not_pem = |path: &Path| {
            let path = path.to_owned();
            move |error| CertificateError::NotPem { path, error }
        };
        let certificates = CertificateDer::pem_slice_iter(&self.cert).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(not_pem(&files.cert))?;
        let Some(first) = certificates.first() else {
            return Err(CertificateError::NoCertificate(files.cert.clone()));
        };
        if let Some(sentence) = dates(first, SystemTime::now()) {
            tracing::warn!(certificate = %files.cert.display(), "{sentence}");
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey(files.key.clone()),
            error => not_pem(&files.key)(error),
        })?;
        let certified = CertifiedKey::from_der(certificates, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::OtherKey { key: files.key.clone(), cert: files.cert.clone() }
            }
            Error::InvalidCertificate(_) => CertificateError::Unusable { path: files.cert.clone(), error },
            error => CertificateError::Unusable { path: files.key.clone(), error },
        })?;
        Ok(Arc::new(certified))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |error| CertificateError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    let is_too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_SIZE);
    if is_too_long { Err(CertificateError::TooLong(path.to_owned())) } else { Ok(bytes) }
}

/// A sentence about a certificate that is not valid now.
fn dates(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<String> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let now = i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let validity = parsed.validity();
    if now > validity.not_after.timestamp() {
        Some(format!("the certificate has expired: it was valid until {}", validity.not_after))
    } else if now < validity.not_before.timestamp() {
        Some(format!("the certificate is not valid yet: it will be from {}", validity.not_before))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("room-server-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn files(&self, cert: &str, key: &str) -> TlsFiles {
            let files = TlsFiles { cert: self.0.join("cert.pem"), key: self.0.join("key.pem") };
            std::fs::write(&files.cert, cert).unwrap();
            std::fs::write(&files.key, key).unwrap();
            files
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn load(files: &TlsFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
        Pem::read(files)?.certified(files, &default_provider())
    }

    #[test]
    fn a_chain_and_its_key_are_taken() {
        let folder = Folder::new("chain");
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
        let chain = format!("# leaf\n{}\n{}", one.cert.pem(), other.cert.pem());
        let loaded = load(&folder.files(&chain, &one.signing_key.serialize_pem())).unwrap();
        assert_eq!(loaded.cert.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let folder = Folder::new("wrong");
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = KeyPair::generate().unwrap().serialize_pem();
        let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let said = |cert: &str, key: &str| load(&folder.files(cert, key)).unwrap_err().to_string();
        assert!(said(&cert, &other).contains("does not belong"));
        assert!(said("", &key).contains("no certificate"));
        assert!(said(&cert, "").contains("no private key"));
        assert!(said(&key, &key).contains("no certificate"));
        assert!(said(&cert[..cert.len() / 2], &key).contains("cert.pem"));
        assert!(said(&cert, &key[..key.len() / 2]).contains("key.pem"));
        let missing = TlsFiles { cert: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() };
        assert!(load(&missing).unwrap_err().to_string().contains("/nowhere/cert.pem"));
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let folder = Folder::new("long");
        let files = folder.files(&"x".repeat(2 * 1024 * 1024), "");
        assert!(matches!(load(&files), Err(CertificateError::TooLong(_))));
    }

    #[test]
    fn a_certificate_that_has_expired_is_named() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let year = |year: u64| UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_557_600 + 86_400 * 30);
        assert!(dates(certificate.der(), year(2026)).unwrap().contains("has expired"));
        assert!(dates(certificate.der(), year(2018)).unwrap().contains("not valid yet"));
        assert_eq!(dates(certificate.der(), year(2020)), None);
    }
}
