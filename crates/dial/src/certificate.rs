//! Whether a server's certificate is accepted, and a sentence that says what is wrong with it if not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::pin::{Pins, pin_of};

/// Names of a certificate that are reported; a certificate may have thousands.
const NAMES_TOLD: usize = 5;
/// What the library says of a server that shows the certificate of an authority; it has no variant for it.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";
/// Maximum name of an issuer that is reported, in characters.
const MAX_ISSUER: usize = 200;

/// Trusts by roots, or by pins alone where there are some.
#[derive(Debug)]
pub(crate) struct Verifier {
    by_roots: Arc<WebPkiServerVerifier>,
    /// As they are: the system's and the application's own. One of these may also be the server's itself, as tools make them that sign by themselves.
    trusted: Vec<CertificateDer<'static>>,
    pins: Option<Pins>,
    provider: Arc<CryptoProvider>,
}

/// Why a certificate is refused, in words.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl Verifier {
    pub(crate) fn new(
        by_roots: Arc<WebPkiServerVerifier>,
        trusted: Vec<CertificateDer<'static>>,
        pins: Option<Pins>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { by_roots, trusted, pins, provider }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.pins {
            Some(pins) => by_pins(pins, end_entity),
            None if self.trusted.iter().any(|trusted| trusted == end_entity) => by_itself(end_entity, server_name, now),
            None => self.by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
        };
        verdict.map_err(|error| match error {
            Error::InvalidCertificate(reason) => refusal(in_words(&reason, end_entity)),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn by_pins(pins: &Pins, certificate: &CertificateDer<'_>) -> Result<ServerCertVerified, Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    if pins.accept(&key) {
        return Ok(ServerCertVerified::assertion());
    }
    Err(refusal(format!("its public key {} is none of the pinned ones", pin_of(&key))))
}

/// A certificate that is itself among the trusted ones: names and dates still count.
fn by_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let unix = |time: ASN1Time| UnixTime::since_unix_epoch(Duration::from_secs(time.timestamp().max(0).unsigned_abs()));
    let (not_before, not_after) = (unix(parsed.validity().not_before), unix(parsed.validity().not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(ServerCertVerified::assertion())
}

fn refusal(text: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal(text)))))
}

/// What is wrong with a certificate, if that is what ended the handshake.
pub(crate) fn refused(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => Some(reason.to_string()),
        Error::InvalidCertificate(reason) => Some(reason.to_string()),
        Error::NoCertificatesPresented => Some("there is none".to_owned()),
        Error::InvalidMessage(rustls::InvalidMessage::HandshakePayloadTooLarge) => {
            Some("it is too large, or so is the chain that comes with it".to_owned())
        }
        _ => None,
    }
}

fn in_words(reason: &CertificateError, certificate: &CertificateDer<'_>) -> String {
    match reason {
        CertificateError::UnknownIssuer => match issuer(certificate) {
            Some((issuer, true)) => format!("it is signed by itself ({issuer}) and not among the trusted ones"),
            Some((issuer, false)) => {
                format!("its issuer ({issuer}) is not trusted, or a certificate between is missing")
            }
            None => "its issuer is not trusted".to_owned(),
        },
        CertificateError::NotValidForNameContext { expected, presented } => {
            let more = presented.len().saturating_sub(NAMES_TOLD);
            let names = presented.iter().take(NAMES_TOLD).map(|name| name_of(name)).collect::<Vec<_>>().join(", ");
            let names = match (names.as_str(), more) {
                ("", _) => "it has no name at all".to_owned(),
                (names, 0) => format!("it is for {names}"),
                (names, more) => format!("it is for {names} and {more} more"),
            };
            format!("it is not for {}: {names}", expected.to_str())
        }
        CertificateError::ExpiredContext { time, not_after } => {
            format!("it expired on {}{}", date(*not_after), own_clock(*time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("it is valid from {} on{}", date(*not_before), own_clock(*time))
        }
        CertificateError::Other(OtherError(reason)) if reason.to_string() == CA_AS_SERVER => {
            "it is a certificate authority's own; where it is the server's too, give it as a trusted one".to_owned()
        }
        CertificateError::BadEncoding => "it cannot be read".to_owned(),
        other => other.to_string(),
    }
}

fn own_clock(time: UnixTime) -> String {
    format!(" and this computer's clock says {}: one of the two is wrong", date(time))
}

fn date(time: UnixTime) -> String {
    // What no calendar of ours can write is as far away as it can.
    const LATEST: Duration = Duration::from_secs(253_402_300_799);
    let since = Duration::from_secs(time.as_secs()).min(LATEST);
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// Name of the issuer, and whether that is the certificate's own.
fn issuer(certificate: &CertificateDer<'_>) -> Option<(String, bool)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let issuer = certificate.issuer().to_string().chars().take(MAX_ISSUER).collect();
    Some((issuer, certificate.issuer() == certificate.subject()))
}

/// A name without the words that the library puts around it.
fn name_of(presented: &str) -> &str {
    presented.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(presented)
}
