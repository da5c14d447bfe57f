//! The certificate in use, which is reloaded when its files change.
//!
//! The contents are compared and not the times of the files: certbot and Kubernetes exchange links, and their files may be
//! older than those before. A pair that does not match, as while it is being written, changes nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::certificate::{CertificateError, Pem};
use crate::config::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The protocols behind TLS: HTTP/1.1, so that a WebSocket can begin, and TURN by its name of RFC 7443.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"stun.turn"];

/// The certificate files, and the certificate in use.
pub struct Certificates {
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    files: TlsFiles,
    /// The contents of the last reading, whether usable or not.
    last: Option<Pem>,
    /// The error of the last reading.
    complaint: Option<String>,
}

/// The certificate of new connections.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificates {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pem = Pem::read(&files)?;
        let current = Arc::new(Current(RwLock::new(pem.certified(&files, &provider)?)));
        Ok(Self { current, provider, files, last: Some(pem), complaint: None })
    }

    /// Accepts connections; always with the certificate that is in use then.
    ///
    /// # Errors
    /// The TLS library does not support its own protocol versions.
    pub fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Watches the files until `stop` becomes true or its sender is dropped.
    pub async fn look_after(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            // Files may lie on a network.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(_) => return,
            }
        }
    }

    /// Reloads the files if their contents have changed and can be used.
    fn look(&mut self) {
        let complaint = match Pem::read(&self.files) {
            Ok(pem) if self.last.as_ref() == Some(&pem) => return,
            Ok(pem) => {
                let certified = pem.certified(&self.files, &self.provider);
                self.last = Some(pem);
                match certified {
                    Ok(certified) => {
                        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
                        self.complaint = None;
                        tracing::info!(certificate = %self.files.cert.display(), "the certificate was renewed");
                        return;
                    }
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!(error = complaint, "the certificate stays as it was");
            self.complaint = Some(complaint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_is_half_written_changes_nothing_and_a_whole_one_does() {
        let folder = std::env::temp_dir().join(format!("room-server-renewal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        let [one, other] = ["one", "other"].map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
        let cert = |new: &rcgen::CertifiedKey<rcgen::KeyPair>| std::fs::write(&files.cert, new.cert.pem()).unwrap();
        let key = |new: &rcgen::CertifiedKey<rcgen::KeyPair>| {
            std::fs::write(&files.key, new.signing_key.serialize_pem()).unwrap();
        };
        cert(&one);
        key(&one);
        let mut certificates = Certificates::load(files.clone()).unwrap();
        let in_use = |certificates: &Certificates| certificates.current.0.read().unwrap().cert[0].clone();
        assert_eq!(in_use(&certificates), *one.cert.der());
        cert(&other);
        certificates.look();
        assert_eq!(in_use(&certificates), *one.cert.der());
        std::fs::remove_file(&files.key).unwrap();
        certificates.look();
        key(&other);
        certificates.look();
        assert_eq!(in_use(&certificates), *other.cert.der());
        std::fs::remove_dir_all(&folder).unwrap();
        certificates.look();
        assert_eq!(in_use(&certificates), *other.cert.der());
    }
}
