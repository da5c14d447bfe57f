//! The query of `/rtc/v1`: one `join_request` with what older clients spread over the query and their first messages.

use std::io::Read;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::GzDecoder;
use protocol::messages::wrapped_join_request::Compression;
use protocol::messages::{JoinRequest, ProtoMessage, WrappedJoinRequest};
use thiserror::Error;

/// Largest request after inflation, in bytes. Clients send about 10 kB; a full offer with all attributes that are
/// allowed stays below this.
const MAX_INFLATED: u64 = 512 * 1024;

/// Some clients pad, some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a join request is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinRequestError {
    /// There is none in the query.
    #[error("no join_request in the query")]
    Missing,
    /// It is not base64url of a protobuf message, or not compressed as it says.
    #[error("join_request is malformed")]
    Malformed,
    /// It is too large.
    #[error("join_request is larger than {MAX_INFLATED} bytes")]
    TooLarge,
}

/// Reads the value of the query parameter.
///
/// # Errors
/// See [`JoinRequestError`].
pub fn decode(text: &str) -> Result<JoinRequest, JoinRequestError> {
    let bytes = BASE64.decode(text).map_err(|_| JoinRequestError::Malformed)?;
    let wrapped = WrappedJoinRequest::decode(&bytes[..]).map_err(|_| JoinRequestError::Malformed)?;
    let inner = match Compression::try_from(wrapped.compression) {
        Ok(Compression::None) => wrapped.join_request,
        Ok(Compression::Gzip) => inflate(&wrapped.join_request)?,
        Err(_) => return Err(JoinRequestError::Malformed),
    };
    JoinRequest::decode(&inner[..]).map_err(|_| JoinRequestError::Malformed)
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, JoinRequestError> {
    let mut inflated = Vec::new();
    let mut reader = GzDecoder::new(bytes).take(MAX_INFLATED + 1);
    reader.read_to_end(&mut inflated).map_err(|_| JoinRequestError::Malformed)?;
    if inflated.len() as u64 > MAX_INFLATED {
        return Err(JoinRequestError::TooLarge);
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write;

    use base64::engine::general_purpose::{URL_SAFE as PADDED, URL_SAFE_NO_PAD};
    use flate2::Compression as Level;
    use flate2::write::GzEncoder;

    use protocol::messages::{AddTrackRequest, SessionDescription};

    use super::*;
    use netsim::Random;

    fn request() -> JoinRequest {
        JoinRequest { metadata: "m".into(), participant_sid: "PA_1".into(), ..JoinRequest::default() }
    }

    fn wrapped(compression: Compression, bytes: Vec<u8>) -> Vec<u8> {
        WrappedJoinRequest { compression: compression as i32, join_request: bytes }.encode_to_vec()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_request_is_read_with_and_without_compression_and_padding() {
        let plain = wrapped(Compression::None, request().encode_to_vec());
        let compressed = wrapped(Compression::Gzip, gzip(&request().encode_to_vec()));
        for bytes in [plain, compressed] {
            assert_eq!(decode(&PADDED.encode(&bytes)), Ok(request()));
            assert_eq!(decode(&URL_SAFE_NO_PAD.encode(&bytes)), Ok(request()));
        }
    }

    #[test]
    fn a_small_request_that_inflates_to_megabytes_is_refused() {
        let bomb = wrapped(Compression::Gzip, gzip(&vec![0; 100_000_000]));
        assert!(bomb.len() < 200_000);
        assert_eq!(decode(&PADDED.encode(bomb)), Err(JoinRequestError::TooLarge));
    }

    #[test]
    fn thousands_of_broken_requests_are_answered() {
        let request = JoinRequest {
            participant_attributes: HashMap::from([("a".to_owned(), "b".to_owned())]),
            add_track_requests: vec![AddTrackRequest { cid: "c".into(), ..AddTrackRequest::default() }],
            publisher_offer: Some(SessionDescription { sdp: "v=0\r\nm=audio 9 x 0\r\n".into(), ..Default::default() }),
            ..request()
        };
        let seeds = [
            wrapped(Compression::None, request.encode_to_vec()),
            wrapped(Compression::Gzip, gzip(&request.encode_to_vec())),
        ];
        let mut random = Random::new(7);
        let mut refused = 0;
        for round in 0..20_000 {
            // Damage below the compression and below the encoding, each in its turn.
            let text = match round % 3 {
                0 => PADDED.encode(random.mutate(&seeds[round % 2])),
                1 => PADDED.encode(wrapped(Compression::Gzip, gzip(&random.mutate(&request.encode_to_vec())))),
                _ => String::from_utf8_lossy(&random.mutate(PADDED.encode(&seeds[round % 2]).as_bytes())).into_owned(),
            };
            refused += usize::from(decode(&text).is_err());
        }
        assert!((5000..20_000).contains(&refused), "{refused}");
    }

    #[test]
    fn garbage_is_refused() {
        let not_gzip = wrapped(Compression::Gzip, request().encode_to_vec());
        let unknown = WrappedJoinRequest { compression: 9, join_request: Vec::new() }.encode_to_vec();
        for text in ["", "%%%", "abc", &PADDED.encode(not_gzip), &PADDED.encode(unknown), &PADDED.encode([0xff; 20])] {
            if !text.is_empty() {
                assert_eq!(decode(text), Err(JoinRequestError::Malformed), "{text}");
            }
        }
    }
}
