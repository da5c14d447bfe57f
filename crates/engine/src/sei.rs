//! Bytes of the application inside the pictures: supplemental enhancement information (ITU-T H.264, 7.3.2.3 and annex D.1.7).
//!
//! They travel as "user data unregistered", which begins with a UUID that says whose they are: ours by default, or that of
//! the application, which then sends and receives it as part of its bytes.

use media::video::nal::{NalKind, nal_units};

/// `ZegoSEIType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SeiKind {
    /// The bytes as they are given.
    #[default]
    Ours,
    /// The first 16 bytes are the application's UUID.
    Application,
}

impl SeiKind {
    pub(crate) fn from_number(kind: u32) -> Option<Self> {
        match kind {
            0 => Some(Self::Ours),
            1 => Some(Self::Application),
            _ => None,
        }
    }
}

/// Most bytes of one message.
pub(crate) const MOST_BYTES: usize = 4096;
/// The beginning of messages without a UUID of their own; made up once.
const OUR_UUID: [u8; UUID_BYTES] =
    [0x7a, 0x67, 0x2e, 0x73, 0x65, 0x69, 0x4d, 0x1c, 0x9b, 0x52, 0x0e, 0x6f, 0xc3, 0x88, 0x21, 0xd4];
const UUID_BYTES: usize = 16;
/// NAL unit type, and payload type of user data unregistered.
const SEI: u8 = 6;
const USER_DATA: u8 = 5;

/// What goes into a picture for these bytes; `None` if they cannot be of that kind.
pub(crate) fn message(kind: SeiKind, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        SeiKind::Ours => Some([&OUR_UUID, bytes].concat()),
        SeiKind::Application => (bytes.len() >= UUID_BYTES).then(|| bytes.to_vec()),
    }
}

/// The access unit with these messages before its first slice.
pub(crate) fn insert(access_unit: &[u8], messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(access_unit.len() + messages.iter().map(|bytes| bytes.len() + 64).sum::<usize>());
    let mut waits = true;
    for nal in nal_units(access_unit) {
        if waits && matches!(nal.kind(), NalKind::Slice | NalKind::IdrSlice) {
            messages.iter().for_each(|message| write(&mut out, message));
            waits = false;
        }
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal.bytes());
    }
    out
}

fn write(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1, SEI, USER_DATA]);
    let mut size = message.len();
    while size >= 255 {
        out.push(255);
        size -= 255;
    }
    // Below 255.
    out.push(size as u8);
    let mut zeros = 0;
    for &byte in message {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    // Stop bit of the trailing bits.
    out.push(0x80);
}

/// The messages of a received access unit, as the application hears them. Malformed ones are left out.
pub(crate) fn read(access_unit: &[u8]) -> Vec<Vec<u8>> {
    let before_slices =
        nal_units(access_unit).take_while(|nal| !matches!(nal.kind(), NalKind::Slice | NalKind::IdrSlice));
    before_slices
        .filter(|nal| nal.kind() == NalKind::Other(SEI))
        .filter_map(|nal| user_data(&nal.payload(MOST_BYTES + UUID_BYTES + 64)))
        .collect()
}

/// The first user data of an SEI unit's payload.
fn user_data(mut payload: &[u8]) -> Option<Vec<u8>> {
    loop {
        let kind = number(&mut payload)?;
        let size = number(&mut payload)?;
        let (content, rest) = payload.split_at_checked(size)?;
        if kind == usize::from(USER_DATA) {
            let (uuid, bytes) = content.split_at_checked(UUID_BYTES)?;
            return Some(if uuid == OUR_UUID { bytes.to_vec() } else { content.to_vec() });
        }
        payload = rest;
    }
}

/// A number written as a run of 255 and a last byte.
fn number(payload: &mut &[u8]) -> Option<usize> {
    let mut sum = 0usize;
    loop {
        let (byte, rest) = payload.split_first()?;
        *payload = rest;
        sum += usize::from(*byte);
        if *byte != 255 {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: &[u8] = &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 7, 7];

    fn round_trip(kind: SeiKind, bytes: &[u8]) -> Vec<Vec<u8>> {
        let unit = insert(PICTURE, &[message(kind, bytes).unwrap()]);
        let kinds: Vec<NalKind> = nal_units(&unit).map(|nal| nal.kind()).collect();
        assert_eq!(kinds, [NalKind::Sps, NalKind::Pps, NalKind::Other(SEI), NalKind::IdrSlice]);
        read(&unit)
    }

    #[test]
    fn bytes_of_every_kind_and_length_arrive_as_they_were() {
        for bytes in [&b"x"[..], &[0; 300], &[0, 0, 1, 0, 0, 0, 2, 0, 0, 3, 0, 0], &[255; MOST_BYTES], &[0x80]] {
            assert_eq!(round_trip(SeiKind::Ours, bytes), [bytes.to_vec()]);
        }
    }

    #[test]
    fn the_applications_own_uuid_is_part_of_its_bytes() {
        let bytes: Vec<u8> = (0..40).collect();
        assert_eq!(round_trip(SeiKind::Application, &bytes), [bytes]);
        assert_eq!(message(SeiKind::Application, &[1; 15]), None);
    }

    #[test]
    fn several_messages_keep_their_order_and_the_picture_is_untouched() {
        let messages = [b"one", b"two"].map(|bytes| message(SeiKind::Ours, bytes).unwrap());
        let unit = insert(PICTURE, &messages);
        assert_eq!(read(&unit), [b"one".to_vec(), b"two".to_vec()]);
        assert!(unit.ends_with(&[0, 0, 0, 1, 0x65, 7, 7]));
        assert!(read(PICTURE).is_empty());
    }

    #[test]
    fn nonsense_is_no_message() {
        let units: [&[u8]; 4] = [&[6, 5], &[6, 5, 200, 1, 2], &[6, 255, 255], &[6, 5, 3, 1, 2, 3, 0x80]];
        for unit in units {
            assert!(read(&[&[0, 0, 1], unit].concat()).is_empty(), "{unit:?}");
        }
        let mut random = 1u32;
        for length in 0..2000usize {
            let mut bytes = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            };
            let unit: Vec<u8> = [0, 0, 1, 6].into_iter().chain((0..length % 200).map(|_| bytes())).collect();
            assert!(read(&unit).iter().all(|message| message.len() <= unit.len()));
        }
    }
}
