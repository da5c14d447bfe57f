//! Streams by SSRC, and which of them a retransmission stream repairs (RFC 4588).

use std::collections::HashMap;

/// The streams of one direction.
#[derive(Debug)]
pub(super) struct SsrcTable<S> {
    pub(super) streams: HashMap<u32, S>,
    /// SSRC of retransmissions to the SSRC they repair.
    repairs: HashMap<u32, u32>,
}

impl<S> Default for SsrcTable<S> {
    fn default() -> Self {
        Self { streams: HashMap::new(), repairs: HashMap::new() }
    }
}

impl<S> SsrcTable<S> {
    /// Inserts a stream and returns the one that it replaces.
    pub(super) fn insert(&mut self, ssrc: u32, rtx_ssrc: Option<u32>, stream: S) -> Option<S> {
        if let Some(rtx_ssrc) = rtx_ssrc {
            self.repairs.insert(rtx_ssrc, ssrc);
        }
        self.streams.insert(ssrc, stream)
    }

    /// Removes a stream and its RTX stream.
    pub(super) fn remove(&mut self, ssrc: u32) -> Option<S> {
        self.repairs.retain(|_, repaired| *repaired != ssrc);
        self.streams.remove(&ssrc)
    }

    /// The SSRC that an RTX stream repairs; `None` if this SSRC is not one of RTX.
    pub(super) fn repaired_by(&self, ssrc: u32) -> Option<u32> {
        self.repairs.get(&ssrc).copied()
    }

    /// The stream that a packet with this SSRC belongs to, be it media or RTX.
    pub(super) fn of_packet(&self, ssrc: u32) -> Option<&S> {
        self.streams.get(&self.repaired_by(ssrc).unwrap_or(ssrc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtx_belongs_to_its_stream_until_that_is_removed() {
        let mut table = SsrcTable::default();
        assert_eq!(table.insert(1, Some(2), "camera"), None);
        assert_eq!(table.insert(3, None, "microphone"), None);
        assert_eq!((table.of_packet(1), table.of_packet(2)), (Some(&"camera"), Some(&"camera")));
        assert_eq!(table.repaired_by(3), None);
        assert_eq!(table.remove(1), Some("camera"));
        assert_eq!((table.of_packet(2), table.of_packet(3)), (None, Some(&"microphone")));
    }
}
