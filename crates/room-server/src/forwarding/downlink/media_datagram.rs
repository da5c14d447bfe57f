//! A media packet before its encryption.
//!
//! Copying the payload and encrypting it is most of a packet's cost besides the system call. Neither needs the state of the
//! room, so the sender does both: in a large room a thread other than the one that owns all state.

use std::fmt;
use std::sync::Arc;

use super::rtp_header::HeaderBytes;
use super::srtp::RtpCipher;
use crate::forwarding::core::MediaPacket;

/// A media packet that is assembled and encrypted when it is sent.
#[derive(Clone)]
pub struct MediaDatagram {
    /// The client's keys.
    pub cipher: Arc<RtpCipher>,
    /// Header with its extensions.
    pub header: HeaderBytes,
    /// Sequence number of the packet that this one retransmits (RFC 4588), which precedes the payload.
    pub repeated: Option<u16>,
    /// The payload and the properties of the packet.
    pub media: Arc<MediaPacket>,
    /// Source, as in the header.
    pub ssrc: u32,
    /// Sequence number, extended beyond 16 bits.
    pub sequence: u64,
}

impl MediaDatagram {
    /// Length in bytes when it is encrypted.
    pub fn length(&self) -> usize {
        let repeated = self.repeated.map_or(0, |_| 2);
        self.header.as_slice().len() + repeated + self.media.payload.len() + self.cipher.overhead()
    }

    /// Appends it, encrypted, to `buffer`.
    pub fn append_to(&self, buffer: &mut Vec<u8>) {
        let begin = buffer.len();
        buffer.extend_from_slice(self.header.as_slice());
        let body = buffer.len();
        if let Some(number) = self.repeated {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        buffer.extend_from_slice(&self.media.payload);
        if self.cipher.protect(buffer, begin, body, self.ssrc, self.sequence).is_err() {
            buffer.truncate(begin);
        }
    }
}

impl fmt::Debug for MediaDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaDatagram").field("ssrc", &self.ssrc).field("sequence", &self.sequence).finish()
    }
}
