//! Picture numbers of VP8 (RFC 7741, section 4.2) that go on when the layer changes.
//!
//! Every layer counts its pictures from a start of its own. A receiver orders pictures by these numbers, so after a
//! change of layer they are moved to follow the last one that was sent.

use std::sync::Arc;

use super::core::MediaPacket;

/// Moves the numbers of one subscriber's pictures.
#[derive(Debug, Default)]
pub struct PictureIds {
    picture_offset: u16,
    base_layer_offset: u8,
    /// Newest picture number and base layer number that were sent.
    last: Option<(u16, u8)>,
}

struct Descriptor {
    /// Where the picture number is, in bytes from the start, with its mask.
    picture_at: usize,
    picture_mask: u16,
    picture: u16,
    base_layer: Option<(usize, u8)>,
}

impl PictureIds {
    /// The packet with moved numbers. `switched`: it is the first of another layer.
    pub fn rewrite(&mut self, media: &Arc<MediaPacket>, switched: bool) -> Arc<MediaPacket> {
        match self.moved(&media.payload, switched) {
            Some(payload) => Arc::new(MediaPacket { payload, ..(**media).clone() }),
            None => Arc::clone(media),
        }
    }

    /// The payload with moved numbers; `None` when there is nothing to move.
    fn moved(&mut self, payload: &[u8], switched: bool) -> Option<Arc<[u8]>> {
        let descriptor = parse(payload)?;
        let base_layer_in = descriptor.base_layer.map_or(0, |(_, number)| number);
        if let Some((picture, base_layer)) = self.last.filter(|_| switched) {
            self.picture_offset = picture.wrapping_add(1).wrapping_sub(descriptor.picture);
            self.base_layer_offset = base_layer.wrapping_add(1).wrapping_sub(base_layer_in);
        }
        let picture = descriptor.picture.wrapping_add(self.picture_offset) & descriptor.picture_mask;
        let base_layer = base_layer_in.wrapping_add(self.base_layer_offset);
        let is_newer = |last: u16| picture.wrapping_sub(last) & descriptor.picture_mask <= descriptor.picture_mask / 2;
        if switched || self.last.is_none_or(|(last, _)| is_newer(last)) {
            self.last = Some((picture, base_layer));
        }
        if self.picture_offset & descriptor.picture_mask == 0 && self.base_layer_offset == 0 {
            return None;
        }
        let mut bytes = payload.to_vec();
        let at = descriptor.picture_at;
        if descriptor.picture_mask > 0x7f {
            // The highest bit says that there are two bytes.
            bytes[at..at + 2].copy_from_slice(&(picture | 0x8000).to_be_bytes());
        } else {
            bytes[at] = picture.to_be_bytes()[1];
        }
        if let Some((at, _)) = descriptor.base_layer {
            bytes[at] = base_layer;
        }
        Some(bytes.into())
    }
}

/// `None` when there is no picture number.
fn parse(payload: &[u8]) -> Option<Descriptor> {
    let extension = *payload.get(1).filter(|_| payload[0] & 0x80 != 0)?;
    if extension & 0x80 == 0 {
        return None;
    }
    let first = *payload.get(2)?;
    let (picture, picture_mask, next) = if first & 0x80 != 0 {
        (u16::from_be_bytes([first & 0x7f, *payload.get(3)?]), 0x7fff, 4)
    } else {
        (u16::from(first), 0x7f, 3)
    };
    let base_layer = if extension & 0x40 != 0 { Some((next, *payload.get(next)?)) } else { None };
    Some(Descriptor { picture_at: 2, picture_mask, picture, base_layer })
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

    /// What a client gets of this payload.
    fn sent(ids: &mut PictureIds, payload: &[u8], switched: bool) -> Vec<u8> {
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
    fn without_a_change_nothing_is_touched() {
        let mut ids = PictureIds::default();
        for (picture, switched) in [(100, true), (101, false), (102, false)] {
            assert_eq!(sent(&mut ids, &packet(picture, 7), switched), packet(picture, 7));
        }
    }

    #[test]
    fn after_a_change_the_numbers_go_on() {
        let mut ids = PictureIds::default();
        sent(&mut ids, &packet(0x7ffe, 255), true);
        sent(&mut ids, &packet(0x7fff, 255), false);
        assert_eq!(sent(&mut ids, &packet(5000, 9), true), packet(0, 0));
        assert_eq!(sent(&mut ids, &packet(5001, 10), false), packet(1, 1));
        assert_eq!(sent(&mut ids, &packet(3, 3), true), packet(2, 2));
    }

    #[test]
    fn payloads_without_numbers_pass() {
        let mut ids = PictureIds::default();
        for bytes in [&[][..], &[0x10, 1, 2], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xc0, 0x01]] {
            assert_eq!(sent(&mut ids, bytes, true), bytes);
        }
    }
}
