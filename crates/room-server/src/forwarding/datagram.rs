//! Datagrams that leave the server.

use super::core::ClientAddress;
use super::downlink::media_datagram::MediaDatagram;

/// A datagram to send.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where to.
    pub destination: ClientAddress,
    /// The contents.
    pub contents: Contents,
}

/// The contents of a datagram.
#[derive(Clone, Debug)]
pub enum Contents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Media that is assembled where it is sent.
    Media(MediaDatagram),
}

impl Datagram {
    /// A datagram of these bytes.
    pub fn of_bytes(destination: ClientAddress, bytes: Vec<u8>) -> Self {
        Self { destination, contents: Contents::Bytes(bytes) }
    }

    /// Its length in bytes.
    pub fn length(&self) -> usize {
        match &self.contents {
            Contents::Bytes(bytes) => bytes.len(),
            Contents::Media(media) => media.length(),
        }
    }

    /// Appends its bytes to `buffer`.
    pub fn append_to(&self, buffer: &mut Vec<u8>) {
        match &self.contents {
            Contents::Bytes(bytes) => buffer.extend_from_slice(bytes),
            Contents::Media(media) => media.append_to(buffer),
        }
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.contents {
            Contents::Bytes(bytes) => bytes,
            Contents::Media(media) => {
                let mut bytes = Vec::with_capacity(media.length());
                media.append_to(&mut bytes);
                bytes
            }
        }
    }
}
