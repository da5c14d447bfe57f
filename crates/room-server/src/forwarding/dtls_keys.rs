//! The SRTP keys of a DTLS handshake (RFC 5764), for our own packets on a connection of `str0m`.
//!
//! `str0m` does not expose them, but its DTLS implementation can be replaced. So this one wraps the same library and copies
//! the keys; it also retransmits a first flight sooner that was sent too early.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dimpl::Dtls;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion, SrtpProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider};

/// A first flight may be sent before the client's ICE is done, and is then lost. The library would retransmit it after a
/// second (RFC 6347, section 4.2.4.1); browsers begin at 50 ms for the same reason.
const FIRST_REPETITION: Duration = Duration::from_millis(80);
/// Each retransmission waits twice as long as the one before; this many take 40 s, when the library gives up anyhow. Its own
/// four would be 2.5 s from such a start, in which a client with a bad path has hardly repeated its part.
const REPETITIONS: usize = 8;

/// The keys of a handshake.
#[derive(Clone)]
pub struct ExportedKeys {
    /// Both ends' master keys and salts, as RFC 5764, section 4.2, puts them.
    pub material: Vec<u8>,
    /// Their SRTP profile.
    pub profile: SrtpProfile,
    /// Whether this end was the DTLS client.
    pub is_client: bool,
}

/// Where the keys of one connection appear.
#[derive(Clone, Default)]
pub struct KeyCell(Arc<Mutex<Option<ExportedKeys>>>);

impl KeyCell {
    /// Takes the keys of the last handshake, once.
    pub fn take(&self) -> Option<ExportedKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, keys: ExportedKeys) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }
}

impl std::fmt::Debug for KeyCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyCell")
    }
}

thread_local! {
    /// The cell of the DTLS instance that this thread created last: a provider has no other way to relate them.
    static NEWEST: RefCell<Option<KeyCell>> = const { RefCell::new(None) };
}

/// The provider with our DTLS implementation and its own certificates. Leaks a little memory, so it is called once.
pub fn watched(provider: CryptoProvider) -> CryptoProvider {
    let dtls: &'static Watcher = Box::leak(Box::new(Watcher(provider.dtls_provider)));
    CryptoProvider { dtls_provider: dtls, ..provider }
}

/// Creates a connection, and returns the cell of its keys with it.
pub fn with_keys<T>(make: impl FnOnce() -> T) -> (T, KeyCell) {
    NEWEST.take();
    let made = make();
    (made, NEWEST.take().unwrap_or_default())
}

#[derive(Debug)]
struct Watcher(&'static dyn DtlsProvider);

impl DtlsProvider for Watcher {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.0.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        dtls_version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let instance = instance(cert, now, dtls_version, mtu)?;
        let keys = KeyCell::default();
        NEWEST.set(Some(keys.clone()));
        Ok(Box::new(Watched { instance, keys }))
    }

    fn is_test(&self) -> bool {
        self.0.is_test()
    }
}

/// Like that of the library, but for the first retransmission.
fn instance(cert: &DtlsCert, now: Instant, version: DtlsVersion, mtu: Option<usize>) -> Result<Dtls, CryptoError> {
    // ICE has seen to it that the other end is where it says.
    let mut config = dimpl::Config::builder()
        .use_server_cookie(false)
        .flight_start_rto(FIRST_REPETITION)
        .flight_retries(REPETITIONS);
    if let Some(mtu) = mtu {
        config = config.mtu(mtu);
    }
    let config = config.build().map_err(|error| CryptoError::Other(format!("DTLS cannot be set up: {error}")))?;
    let certificate =
        dimpl::DtlsCertificate { certificate: cert.certificate.clone(), private_key: cert.private_key.clone() };
    match version {
        DtlsVersion::Dtls12 => Ok(Dtls::new_12(config.into(), certificate, now)),
        DtlsVersion::Dtls13 => Ok(Dtls::new_13(config.into(), certificate, now)),
        DtlsVersion::Auto => Ok(Dtls::new_auto(config.into(), certificate, now)),
        _ => Err(CryptoError::Other(format!("there is no {version} here"))),
    }
}

struct Watched {
    instance: Dtls,
    keys: KeyCell,
}

impl DtlsInstance for Watched {
    fn set_active(&mut self, active: bool) {
        self.instance.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.instance.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.instance.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let is_client = self.instance.is_active();
            self.keys.set(ExportedKeys { material: material.as_ref().to_vec(), profile: *profile, is_client });
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.instance.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.instance.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.instance.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.instance.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.instance.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.instance.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.instance.close()
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}
