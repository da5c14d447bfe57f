//! Whose certificates are accepted, and what is said of the others.

use dial::DialError;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, date_time_ymd};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;

use crate::tools::{Authority, Identity, dialer, echo, is_echoed, server};

fn pin_of(key: &KeyPair) -> String {
    use base64::Engine;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.subject_public_key_info());
    format!("sha256/{}", base64::engine::general_purpose::STANDARD.encode(hash))
}

async fn refusal(identity: Identity, ca: Option<String>) -> String {
    let address = echo(Some(identity)).await;
    match dialer(|config| config.ca = ca).tls("localhost", address.port()).await {
        Err(DialError::Certificate { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_companys_own_authority_is_trusted_as_text_and_as_a_file() {
    let authority = Authority::new("Acme");
    let address = echo(Some(authority.issue(&["localhost"], |_| ()))).await;
    let file = std::env::temp_dir().join(format!("dial-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).unwrap();
    for ca in [authority.pem(), file.display().to_string()] {
        let stream = dialer(|config| config.ca = Some(ca)).tls("localhost", address.port()).await.unwrap();
        assert!(is_echoed(stream).await);
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn an_unknown_issuer_is_named() {
    let reason = refusal(Authority::new("Acme Root").issue(&["localhost"], |_| ()), None).await;
    assert!(reason.contains("Acme Root") && reason.contains("not trusted"), "{reason}");
}

#[tokio::test]
async fn a_certificate_for_another_name_tells_which() {
    let authority = Authority::new("Acme");
    let reason = refusal(authority.issue(&["rooms.example"], |_| ()), Some(authority.pem())).await;
    assert!(reason.contains("not for localhost") && reason.contains("it is for rooms.example"), "{reason}");
}

#[tokio::test]
async fn dates_are_reported_and_that_the_clock_may_be_wrong() {
    let authority = Authority::new("Acme");
    let old = authority.issue(&["localhost"], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 2, 3));
    });
    let reason = refusal(old, Some(authority.pem())).await;
    assert!(reason.contains("expired on Mon, 03 Feb 2020") && reason.contains("clock"), "{reason}");
    let young = authority.issue(&["localhost"], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(4001, 1, 1), date_time_ymd(4002, 1, 1));
    });
    let reason = refusal(young, Some(authority.pem())).await;
    assert!(reason.contains("valid from Mon, 01 Jan 4001") && reason.contains("clock"), "{reason}");
}

#[tokio::test]
async fn a_pinned_key_is_enough_and_any_other_is_refused() {
    let key = KeyPair::generate().unwrap();
    // Signed by itself, for another name, and over.
    let mut params = CertificateParams::new(vec!["elsewhere".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let certificate = params.self_signed(&key).unwrap();
    let (pin, other) = (pin_of(&key), pin_of(&KeyPair::generate().unwrap()));
    let address = echo(Some(Identity { chain: vec![certificate.der().clone()], key })).await;
    let pinned = dialer(|config| config.pin = Some(format!("{other},{pin}")));
    assert!(is_echoed(pinned.tls("localhost", address.port()).await.unwrap()).await);
    let error = dialer(|config| config.pin = Some(other)).tls("localhost", address.port()).await.unwrap_err();
    assert!(matches!(&error, DialError::Certificate { reason, .. } if reason.contains(&pin)), "{error}");
}

#[tokio::test]
async fn a_trusted_authority_does_not_make_up_for_a_wrong_pin() {
    let authority = Authority::new("Acme");
    let address = echo(Some(authority.issue(&["localhost"], |_| ()))).await;
    let wrong = dialer(|config| {
        config.ca = Some(authority.pem());
        config.pin = Some(pin_of(&KeyPair::generate().unwrap()));
    });
    assert!(matches!(wrong.tls("localhost", address.port()).await, Err(DialError::Certificate { .. })));
}

#[tokio::test]
async fn a_certificate_that_signs_itself_can_be_given_as_trusted_and_its_name_still_counts() {
    for (name, is_accepted) in [("localhost", true), ("elsewhere", false)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem();
        let address = echo(Some(Identity { chain: vec![certificate.der().clone()], key })).await;
        let result = dialer(|config| config.ca = Some(pem)).tls("localhost", address.port()).await;
        assert_eq!(result.is_ok(), is_accepted, "{result:?}");
    }
}

#[tokio::test]
async fn a_chain_of_ten_megabytes_is_refused_and_named() {
    let authority = Authority::new("Acme");
    let mut identity = authority.issue(&["localhost"], |_| ());
    identity.chain.extend((0..100).map(|_| CertificateDer::from(vec![0x30; 100_000])));
    let reason = refusal(identity, Some(authority.pem())).await;
    assert!(reason.contains("too large"), "{reason}");
}

#[tokio::test]
async fn a_server_without_tls_is_out_of_reach_and_not_a_bad_certificate() {
    let plain = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let closing = server(|stream| async move { drop(stream) }).await;
    for address in [plain, closing] {
        let error = dialer(|_| ()).tls("localhost", address.port()).await.unwrap_err();
        assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
    }
}
