//! Opens connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{Verifier, refused};
use crate::config::DialConfig;
use crate::error::DialError;
use crate::pin::Pins;
use crate::proxy::Proxies;
use crate::race::{self, place};
use crate::roots;
use crate::tunnel;

/// Maximum wait for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Opens connections as configured. Cheap to clone.
#[derive(Clone)]
pub struct Dialer(Arc<Inner>);

struct Inner {
    proxies: Proxies,
    ca: Vec<CertificateDer<'static>>,
    pins: Option<Pins>,
    /// Made with the first connection that needs it: reading the system's certificates takes its time.
    tls: OnceCell<TlsConnector>,
}

impl Dialer {
    /// Checks the configuration, and reads the CA file if it names one.
    ///
    /// # Errors
    /// [`DialError::Config`].
    pub fn new(config: &DialConfig) -> Result<Self, DialError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Ok(Self(Arc::new(Inner {
            proxies: Proxies::new(&config.proxy, |name| std::env::var(name).ok())?,
            ca: given(&config.ca).map_or(Ok(Vec::new()), |ca| roots::own(&ca))?,
            pins: given(&config.pin).map(|pins| Pins::parse(&pins)).transpose()?,
            tls: OnceCell::new(),
        })))
    }

    /// A TCP connection to the server, through the proxy if one applies. `host` is a name or an address.
    ///
    /// # Errors
    /// Every variant of [`DialError`] but `Certificate`; after some 10 s for each step at the latest.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        self.open(host, port, false).await
    }

    /// The same with TLS inside.
    ///
    /// # Errors
    /// Every variant of [`DialError`].
    pub async fn tls(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, DialError> {
        let host = bare(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| DialError::Name { host: host.to_owned(), reason: error.to_string() })?;
        let connector = self.connector().await?;
        let stream = self.open(host, port, true).await?;
        let unreachable = |reason: String| DialError::Unreachable { place: place(host, port), reason };
        match timeout(HANDSHAKE_LIMIT, connector.connect(name, stream)).await {
            Ok(result) => result.map_err(|error| {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match tls.and_then(refused) {
                    Some(reason) => DialError::Certificate { host: host.to_owned(), reason },
                    None if tls.is_some() => unreachable(format!("no TLS with it: {error}")),
                    None => unreachable(format!("it ended the TLS handshake: {error}")),
                }
            }),
            Err(_) => Err(unreachable("it did not finish the TLS handshake in time".to_owned())),
        }
    }

    async fn open(&self, host: &str, port: u16, is_tls: bool) -> Result<TcpStream, DialError> {
        let host = bare(host);
        match self.0.proxies.of(host, port, is_tls)? {
            Some(proxy) => tunnel::through(&proxy, host, port).await,
            None => race::connect(host, port).await,
        }
    }

    async fn connector(&self) -> Result<TlsConnector, DialError> {
        let inner = self.0.clone();
        let made = self.0.tls.get_or_try_init(|| async move {
            let made = spawn_blocking(move || inner.make_connector()).await;
            made.map_err(|error| DialError::Config(format!("no certificates: {error}")))?
        });
        made.await.cloned()
    }
}

impl Inner {
    fn make_connector(&self) -> Result<TlsConnector, DialError> {
        let bad = |error: String| DialError::Config(format!("TLS cannot be used: {error}"));
        let provider = Arc::new(default_provider());
        let (roots, certificates) = roots::all(&self.ca);
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| bad(error.to_string()))?;
        let verifier = Verifier::new(by_roots, certificates, self.pins.clone(), provider.clone());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("proxies", &self.0.proxies).field("pins", &self.0.pins).finish_non_exhaustive()
    }
}

/// Addresses of IPv6 have brackets in URLs.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
