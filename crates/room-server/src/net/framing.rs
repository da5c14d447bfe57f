//! Where a datagram begins and ends on a connection.

use super::udp::MAX_DATAGRAM_BYTES;

/// How datagrams are delimited on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After its length (RFC 4571).
    Media,
    /// As TURN has it: by the length in its own head, and those of channels with padding (RFC 8656, section 12.5).
    Turn,
}

/// The contents of a frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the datagram.
    pub length: usize,
    /// Whether the head is a part of it.
    pub keeps_head: bool,
    /// Padding bytes after it.
    pub padding: usize,
}

impl Framing {
    /// Longest head, in bytes.
    pub const MAX_HEAD: usize = 4;

    /// Bytes of a head.
    pub fn head(self) -> usize {
        match self {
            Self::Media => 2,
            Self::Turn => 4,
        }
    }

    /// Parses a header; `None` if it is invalid.
    pub fn frame(self, head: &[u8]) -> Option<Frame> {
        let number = |at: usize| Some(usize::from(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?])));
        let frame = match (self, head.first()?) {
            (Self::Media, _) => Frame { length: number(0)?, keeps_head: false, padding: 0 },
            (Self::Turn, 0..0x40) => Frame { length: 20 + number(2)?, keeps_head: true, padding: 0 },
            (Self::Turn, 0x40..0x80) => {
                let length = 4 + number(2)?;
                Frame { length, keeps_head: true, padding: padding(length) }
            }
            (Self::Turn, _) => return None,
        };
        Some(frame).filter(|frame| frame.length <= MAX_DATAGRAM_BYTES)
    }

    /// Appends a framed datagram. One that is too long is skipped.
    pub fn append(self, bytes: &mut Vec<u8>, datagram: &[u8]) {
        match self {
            Self::Media => {
                let Ok(length) = u16::try_from(datagram.len()) else { return };
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(datagram);
            }
            Self::Turn => {
                bytes.extend_from_slice(datagram);
                bytes.resize(bytes.len() + padding(datagram.len()), 0);
            }
        }
    }
}

/// Padding to a multiple of four.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_the_length() {
        let frame = |length, keeps_head, padding| Some(Frame { length, keeps_head, padding });
        assert_eq!(Framing::Media.frame(&[1, 0]), frame(256, false, 0));
        assert_eq!(Framing::Turn.frame(&[0, 1, 0, 8]), frame(28, true, 0));
        assert_eq!(Framing::Turn.frame(&[0x40, 0, 0, 5]), frame(9, true, 3));
        assert_eq!(Framing::Turn.frame(&[0x80, 0, 0, 5]), None);
        assert_eq!(Framing::Media.frame(&[0xff, 0xff]), None);
        assert_eq!(Framing::Turn.frame(&[0, 1, 0xff, 0xff]), None);
    }

    #[test]
    fn datagrams_of_channels_are_padded() {
        let mut bytes = Vec::new();
        Framing::Turn.append(&mut bytes, &[0x40, 0, 0, 1, 9]);
        assert_eq!(bytes, [0x40, 0, 0, 1, 9, 0, 0, 0]);
    }
}
