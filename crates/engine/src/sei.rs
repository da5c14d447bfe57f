//! The application's messages inside video frames.
//!
//! They travel as user data of H.264 ([`rtp::h264::sei`]), which begins with a UUID: ours by default, or that of the
//! application, which then sends and receives it as part of its bytes.

use rtp::h264::sei::UUID_BYTES;

/// `ZegoSEIType`: whose UUID a message has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SeiKind {
    /// Ours, which the player removes.
    #[default]
    Ours,
    /// The application's: the first 16 of its bytes.
    Application,
}

impl SeiKind {
    /// The kind of the vendor's number.
    pub(crate) fn from_number(kind: u32) -> Option<Self> {
        match kind {
            0 => Some(Self::Ours),
            1 => Some(Self::Application),
            _ => None,
        }
    }
}

/// Upper bound of one message of the application, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;
/// The UUID of messages without one of their own; generated once.
const OUR_UUID: [u8; UUID_BYTES] =
    [0x7a, 0x67, 0x2e, 0x73, 0x65, 0x69, 0x4d, 0x1c, 0x9b, 0x52, 0x0e, 0x6f, 0xc3, 0x88, 0x21, 0xd4];

/// The user data for the application's bytes; `None` if they are too short for this kind.
pub(crate) fn user_data(kind: SeiKind, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        SeiKind::Ours => Some([&OUR_UUID, bytes].concat()),
        SeiKind::Application => (bytes.len() >= UUID_BYTES).then(|| bytes.to_vec()),
    }
}

/// The messages of a received access unit, as the application gets them. Malformed ones are left out.
pub(crate) fn read(access_unit: &[u8]) -> Vec<Vec<u8>> {
    rtp::h264::sei::read(access_unit, MAX_BYTES + UUID_BYTES)
        .into_iter()
        .map(|data| data.strip_prefix(&OUR_UUID).map(<[u8]>::to_vec).unwrap_or(data))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp::h264::sei::insert;

    const ACCESS_UNIT: &[u8] = &[0, 0, 0, 1, 0x65, 7, 7];

    fn round_trip(kind: SeiKind, bytes: &[u8]) -> Vec<Vec<u8>> {
        read(&insert(ACCESS_UNIT, &[user_data(kind, bytes).unwrap()]))
    }

    #[test]
    fn a_message_arrives_without_our_uuid() {
        for bytes in [&b"x"[..], &[0; 300], &[255; MAX_BYTES]] {
            assert_eq!(round_trip(SeiKind::Ours, bytes), [bytes.to_vec()]);
        }
    }

    #[test]
    fn the_applications_uuid_is_part_of_its_bytes() {
        let bytes: Vec<u8> = (0..40).collect();
        assert_eq!(round_trip(SeiKind::Application, &bytes), [bytes]);
        assert_eq!(user_data(SeiKind::Application, &[1; 15]), None);
    }
}
