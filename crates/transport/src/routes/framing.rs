//! Framing of datagrams on a byte stream. Sans-IO.

use bytes::{Buf, Bytes, BytesMut};

/// Largest datagram; a call sends no larger ones, and the stack could not read them.
pub(super) const MAX_DATAGRAM_BYTES: usize = 2000;
/// Length of the header of a STUN message (RFC 8489).
const STUN_HEADER: usize = 20;
/// Length of the header of TURN's channel data (RFC 8656).
const CHANNEL_HEADER: usize = 4;

/// Format of a stream of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each datagram follows its length (RFC 4571).
    Length,
    /// STUN messages and channel data contain their lengths (RFC 8656, section 12.5).
    Turn,
}

/// The stream is not framed as expected; nothing after this point can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end sent something that is no datagram")]
pub(super) struct BadFrame;

impl Framing {
    /// Appends a datagram to a write buffer. One that is too long is left out.
    pub(super) fn append(self, bytes: &mut Vec<u8>, datagram: &[u8]) {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return;
        }
        if self == Self::Length
            && let Ok(length) = u16::try_from(datagram.len())
        {
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        bytes.extend_from_slice(datagram);
        if self == Self::Turn {
            bytes.resize(bytes.len() + padding(datagram.len()), 0);
        }
    }

    /// Takes the next whole datagram out of a read buffer; `None` when more has to be read first. At most one datagram
    /// stays incomplete in the buffer.
    pub(super) fn next(self, read: &mut BytesMut) -> Result<Option<Bytes>, BadFrame> {
        match self {
            Self::Length => loop {
                let Some(length) = length_at(read, 0) else { return Ok(None) };
                if length > MAX_DATAGRAM_BYTES {
                    return Err(BadFrame);
                }
                if read.len() < 2 + length {
                    return Ok(None);
                }
                read.advance(2);
                // An empty datagram only keeps the connection alive.
                if length > 0 {
                    return Ok(Some(read.split_to(length).freeze()));
                }
            },
            Self::Turn => {
                let Some(rest) = length_at(read, 2) else { return Ok(None) };
                let length = match read.first().map(|first| first >> 6) {
                    Some(0) => STUN_HEADER + rest,
                    Some(1) => CHANNEL_HEADER + rest,
                    _ => return Err(BadFrame),
                };
                let whole = length + padding(length);
                if length > MAX_DATAGRAM_BYTES + STUN_HEADER + CHANNEL_HEADER {
                    return Err(BadFrame);
                }
                if read.len() < whole {
                    return Ok(None);
                }
                let datagram = read.split_to(length).freeze();
                read.advance(whole - length);
                Ok(Some(datagram))
            }
        }
    }
}

/// Bytes of padding to a multiple of four.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

fn length_at(read: &BytesMut, at: usize) -> Option<usize> {
    let bytes = read.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes(bytes.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, read: &mut BytesMut) -> Result<Vec<Bytes>, BadFrame> {
        std::iter::from_fn(|| framing.next(read).transpose()).collect()
    }

    fn stun(length: u8) -> Vec<u8> {
        let mut message = vec![0, 1, 0, length, 0x21, 0x12, 0xa4, 0x42];
        message.resize(STUN_HEADER + usize::from(length), 7);
        message
    }

    #[test]
    fn datagrams_keep_their_bounds_however_the_stream_is_split() {
        let datagrams: [&[u8]; 3] = [b"first", b"x", &[9; 1200]];
        let channel = [&[0x40, 0, 0, 5][..], b"hello"].concat();
        let turn: [&[u8]; 3] = [&stun(8), &channel, &stun(0)];
        for (framing, datagrams) in [(Framing::Length, datagrams), (Framing::Turn, turn)] {
            let mut bytes = Vec::new();
            datagrams.iter().for_each(|datagram| framing.append(&mut bytes, datagram));
            let (mut read, mut got) = (BytesMut::new(), Vec::new());
            for byte in bytes {
                read.extend_from_slice(&[byte]);
                got.extend(all(framing, &mut read).unwrap());
            }
            assert_eq!(got, datagrams);
            assert!(read.is_empty());
        }
    }

    #[test]
    fn empty_datagrams_are_skipped() {
        let mut read = BytesMut::from(&[0u8, 0, 0, 0, 0, 1, 5][..]);
        assert_eq!(all(Framing::Length, &mut read), Ok(vec![Bytes::from_static(&[5])]));
    }

    #[test]
    fn oversized_or_invalid_frames_end_the_stream() {
        assert_eq!(Framing::Length.next(&mut BytesMut::from(&[0xff, 0xff][..])), Err(BadFrame));
        for bad in [&b"HTTP/1.1 400"[..], &[0x80, 0, 0, 0], &[0xff; 4], &[0, 1, 0xff, 0xff], &[0x40, 0, 0xff, 0xff]] {
            // The letters of HTTP look like channel data of 21588 bytes.
            assert_eq!(Framing::Turn.next(&mut BytesMut::from(bad)), Err(BadFrame), "{bad:?}");
        }
    }

    #[test]
    fn a_datagram_that_is_too_long_is_not_sent() {
        let mut bytes = Vec::new();
        Framing::Length.append(&mut bytes, &[0; MAX_DATAGRAM_BYTES + 1]);
        assert!(bytes.is_empty());
    }

    #[test]
    fn random_bytes_are_never_a_panic() {
        let mut random = netsim::Random::new(7);
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..random.below(64)).map(|_| random.below(256) as u8).collect();
            for framing in [Framing::Length, Framing::Turn] {
                let _ = all(framing, &mut BytesMut::from(bytes.as_slice()));
            }
        }
    }
}
