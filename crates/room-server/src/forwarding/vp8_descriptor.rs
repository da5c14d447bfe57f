//! Frame numbers of VP8 (RFC 7741, section 4.2) that continue when the layer changes.
//!
//! Every simulcast layer counts its frames from a start of its own. A receiver orders frames by these numbers, so after a
//! layer switch they are shifted to follow the last one that was sent.

use std::sync::Arc;

use rtp::vp8::{Descriptor, PictureId, renumber};

use super::core::MediaPacket;

/// Rewrites PictureID and TL0PICIDX for one subscriber.
#[derive(Debug, Default)]
pub struct PictureIdRewriter {
    picture_id_offset: u16,
    tl0_index_offset: u8,
    /// Newest PictureID and its TL0PICIDX that were sent.
    last_sent: Option<(u16, u8)>,
}

impl PictureIdRewriter {
    /// The packet with rewritten numbers. `switched`: it is the first one of another layer.
    pub fn rewrite(&mut self, media: &Arc<MediaPacket>, switched: bool) -> Arc<MediaPacket> {
        match self.rewritten(&media.payload, switched) {
            Some(payload) => Arc::new(MediaPacket { payload, ..(**media).clone() }),
            None => Arc::clone(media),
        }
    }

    /// The payload with rewritten numbers; `None` if it stays unchanged.
    fn rewritten(&mut self, payload: &[u8], switched: bool) -> Option<Arc<[u8]>> {
        let descriptor = Descriptor::parse(payload).ok()?;
        let id: PictureId = descriptor.picture_id?;
        let tl0_index = descriptor.tl0_index.unwrap_or(0);
        if let Some((last_id, last_tl0_index)) = self.last_sent.filter(|_| switched) {
            self.picture_id_offset = last_id.wrapping_add(1).wrapping_sub(id.value);
            self.tl0_index_offset = last_tl0_index.wrapping_add(1).wrapping_sub(tl0_index);
        }
        let new_id = id.value.wrapping_add(self.picture_id_offset) & id.mask();
        let new_tl0_index = tl0_index.wrapping_add(self.tl0_index_offset);
        let is_newer = |last_id: u16| new_id.wrapping_sub(last_id) & id.mask() <= id.mask() / 2;
        if switched || self.last_sent.is_none_or(|(last_id, _)| is_newer(last_id)) {
            self.last_sent = Some((new_id, new_tl0_index));
        }
        if self.picture_id_offset & id.mask() == 0 && self.tl0_index_offset == 0 {
            return None;
        }
        let mut payload = payload.to_vec();
        renumber(&mut payload, new_id, new_tl0_index);
        Some(payload.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::forwarding::core::{Codec, PacketExtensions};

    fn packet(picture: u16, base_layer: u8) -> Vec<u8> {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        vec![0x90, 0xe0, high, low, base_layer, 0x00, 0x42]
    }

    /// The payload that a subscriber gets.
    fn sent(ids: &mut PictureIdRewriter, payload: &[u8], switched: bool) -> Vec<u8> {
        let media = MediaPacket {
            marker: true,
            codec: Codec::Vp8,
            payload: payload.into(),
            extensions: PacketExtensions::default(),
            wallclock: Instant::now(),
        };
        ids.rewrite(&Arc::new(media), switched).payload.to_vec()
    }

    #[test]
    fn without_a_layer_switch_nothing_changes() {
        let mut ids = PictureIdRewriter::default();
        for (picture, switched) in [(100, true), (101, false), (102, false)] {
            assert_eq!(sent(&mut ids, &packet(picture, 7), switched), packet(picture, 7));
        }
    }

    #[test]
    fn after_a_layer_switch_the_numbers_continue() {
        let mut ids = PictureIdRewriter::default();
        sent(&mut ids, &packet(0x7ffe, 255), true);
        sent(&mut ids, &packet(0x7fff, 255), false);
        assert_eq!(sent(&mut ids, &packet(5000, 9), true), packet(0, 0));
        assert_eq!(sent(&mut ids, &packet(5001, 10), false), packet(1, 1));
        assert_eq!(sent(&mut ids, &packet(3, 3), true), packet(2, 2));
    }

    #[test]
    fn payloads_without_numbers_stay_unchanged() {
        let mut ids = PictureIdRewriter::default();
        for bytes in [&[][..], &[0x10, 1, 2], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xc0, 0x01]] {
            assert_eq!(sent(&mut ids, bytes, true), bytes);
        }
    }
}
