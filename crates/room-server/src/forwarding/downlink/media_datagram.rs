//! A packet of media on its way out, not encrypted yet.
//!
//! To copy the payload and to encrypt it is most of what a packet costs besides the system's part. Neither needs to know
//! anything of the room, so it is left to whoever sends: in a large room another thread than the one that owns all state.

use std::fmt;
use std::sync::Arc;

use super::rtp_header::HeaderBytes;
use super::srtp::RtpCipher;
use crate::forwarding::core::MediaPacket;

/// See the module's description.
#[derive(Clone)]
pub struct MediaDatagram {
    /// The client's keys.
    pub cipher: Arc<RtpCipher>,
    /// Header with its extensions.
    pub header: HeaderBytes,
    /// Number of the packet that this one repeats (RFC 4588), which stands before the payload.
    pub repeated: Option<u16>,
    /// The payload, and what else was known of the packet.
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

    /// Appends it, encrypted, to what is in `buffer`.
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
