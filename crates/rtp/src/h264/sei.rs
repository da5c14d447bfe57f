//! User data in access units: supplemental enhancement information of payload type 5, "user data unregistered" (ITU-T
//! H.264, sections 7.3.2.3 and D.1.7). Each message begins with a UUID that says whose it is.

use super::annex_b::{NalKind, nal_units};
use super::nal_type;

/// Bytes of the UUID in front of each message.
pub const UUID_BYTES: usize = 16;
const USER_DATA_UNREGISTERED: u8 = 5;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Room for a message's header and its emulation prevention bytes, for the first allocation.
const MESSAGE_OVERHEAD: usize = 64;

/// The access unit with these messages, each with its UUID, in front of its first slice.
#[must_use]
pub fn insert(access_unit: &[u8], messages: &[Vec<u8>]) -> Vec<u8> {
    let added: usize = messages.iter().map(|message| message.len() + MESSAGE_OVERHEAD).sum();
    let mut out = Vec::with_capacity(access_unit.len() + added);
    let mut is_pending = true;
    for nal in nal_units(access_unit) {
        if is_pending && is_slice(nal.kind()) {
            messages.iter().for_each(|message| write(&mut out, message));
            is_pending = false;
        }
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(nal.bytes());
    }
    out
}

/// The messages of an access unit, each with its UUID, of at most `max_bytes` each. Malformed ones are left out.
#[must_use]
pub fn read(access_unit: &[u8], max_bytes: usize) -> Vec<Vec<u8>> {
    nal_units(access_unit)
        .take_while(|nal| !is_slice(nal.kind()))
        .filter(|nal| nal.kind() == NalKind::Other(nal_type::SEI))
        .filter_map(|nal| user_data(&nal.payload(max_bytes + MESSAGE_OVERHEAD)).map(<[u8]>::to_vec))
        .collect()
}

fn is_slice(kind: NalKind) -> bool {
    matches!(kind, NalKind::Slice | NalKind::IdrSlice)
}

fn write(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(&[nal_type::SEI, USER_DATA_UNREGISTERED]);
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

/// The first user data of an SEI unit's payload.
fn user_data(mut payload: &[u8]) -> Option<&[u8]> {
    loop {
        let kind = read_number(&mut payload)?;
        let size = read_number(&mut payload)?;
        let (content, rest) = payload.split_at_checked(size)?;
        if kind == usize::from(USER_DATA_UNREGISTERED) {
            return (content.len() >= UUID_BYTES).then_some(content);
        }
        payload = rest;
    }
}

/// A number written as a run of 255 and a last byte.
fn read_number(payload: &mut &[u8]) -> Option<usize> {
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

    const MAX: usize = 4096 + UUID_BYTES;
    const ACCESS_UNIT: &[u8] = &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 7, 7];

    fn message(bytes: &[u8]) -> Vec<u8> {
        [&[9; UUID_BYTES], bytes].concat()
    }

    #[test]
    fn messages_of_every_length_arrive_unchanged() {
        for bytes in [&b"x"[..], &[0; 300], &[0, 0, 1, 0, 0, 0, 2, 0, 0, 3, 0, 0], &[255; 4096], &[0x80]] {
            let unit = insert(ACCESS_UNIT, &[message(bytes)]);
            let kinds: Vec<NalKind> = nal_units(&unit).map(|nal| nal.kind()).collect();
            assert_eq!(kinds, [NalKind::Sps, NalKind::Pps, NalKind::Other(nal_type::SEI), NalKind::IdrSlice]);
            assert_eq!(read(&unit, MAX), [message(bytes)]);
        }
    }

    #[test]
    fn several_messages_keep_their_order_and_the_slices_stay_unchanged() {
        let messages = [message(b"one"), message(b"two")];
        let unit = insert(ACCESS_UNIT, &messages);
        assert_eq!(read(&unit, MAX), messages);
        assert!(unit.ends_with(&[0, 0, 0, 1, 0x65, 7, 7]));
        assert!(read(ACCESS_UNIT, MAX).is_empty());
    }

    #[test]
    fn malformed_messages_are_left_out() {
        let units: [&[u8]; 4] = [&[6, 5], &[6, 5, 200, 1, 2], &[6, 255, 255], &[6, 5, 3, 1, 2, 3, 0x80]];
        for unit in units {
            assert!(read(&[&[0, 0, 1], unit].concat(), MAX).is_empty(), "{unit:?}");
        }
        let mut state = 1u32;
        for length in 0..2000usize {
            let mut byte = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let unit: Vec<u8> = [0, 0, 1, 6].into_iter().chain((0..length % 200).map(|_| byte())).collect();
            assert!(read(&unit, MAX).iter().all(|message| message.len() <= unit.len()));
        }
    }
}
