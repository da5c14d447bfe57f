//! VP8 in RTP (RFC 7741): the payload descriptor, and frames rebuilt from their payloads.

use bytes::{BufMut, BytesMut};

use crate::payload::PayloadError;

const EXTENDED: u8 = 0x80;
const STARTS_PARTITION: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;
const LONG_PICTURE_ID: u8 = 0x80;
/// P bit of the first byte of a frame (RFC 6386 section 9.1): set in all frames but key frames.
const INTER_FRAME: u8 = 0x01;

/// The payload descriptor (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes of the descriptor itself.
    pub length: usize,
    /// The payload begins a partition.
    pub starts_partition: bool,
    /// Which partition, 0 to 7.
    pub partition: u8,
    /// PictureID: the number of the frame.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: the number of the last frame of the lowest temporal layer.
    pub tl0_index: Option<u8>,
    /// TID: the temporal layer, 0 is the lowest.
    pub layer: Option<u8>,
}

/// The number of a frame, of 7 or 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The number.
    pub value: u16,
    /// Whether it has 15 bits.
    pub is_long: bool,
}

impl PictureId {
    /// The bits that a number of this length has.
    #[must_use]
    pub fn mask(self) -> u16 {
        if self.is_long { 0x7fff } else { 0x7f }
    }
}

/// Where a frame stands among temporal layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporalPlace {
    /// TL0PICIDX: counts the frames of the lowest layer; the others have the number of the last one before them.
    pub base: u8,
    /// TID: 0 is the lowest layer, whose frames refer to none of the others.
    pub layer: u8,
}

impl TemporalPlace {
    /// Whether a frame at this place can be decoded after one at `last`, whatever came between: nothing that it refers to
    /// is missing.
    #[must_use]
    pub fn follows(self, last: Self) -> bool {
        self.layer == 0 && self.base == last.base.wrapping_add(1)
    }
}

impl Descriptor {
    /// Reads the descriptor at the beginning of a payload.
    ///
    /// # Errors
    /// The payload ends within it.
    pub fn parse(payload: &[u8]) -> Result<Self, PayloadError> {
        let mut rest = payload.iter().copied();
        let mut next = || rest.next().ok_or(PayloadError::Truncated);
        let first = next()?;
        let mut descriptor = Self {
            length: 0,
            starts_partition: first & STARTS_PARTITION != 0,
            partition: first & PARTITION_MASK,
            picture_id: None,
            tl0_index: None,
            layer: None,
        };
        if first & EXTENDED != 0 {
            let present = next()?;
            if present & HAS_PICTURE_ID != 0 {
                let high = next()?;
                let is_long = high & LONG_PICTURE_ID != 0;
                let value = match is_long {
                    false => u16::from(high),
                    true => u16::from(high & !LONG_PICTURE_ID) << 8 | u16::from(next()?),
                };
                descriptor.picture_id = Some(PictureId { value, is_long });
            }
            if present & HAS_TL0 != 0 {
                descriptor.tl0_index = Some(next()?);
            }
            if present & (HAS_TID | HAS_KEY_INDEX) != 0 {
                let layers = next()?;
                descriptor.layer = (present & HAS_TID != 0).then_some(layers >> 6);
            }
        }
        descriptor.length = payload.len() - rest.len();
        Ok(descriptor)
    }

    /// Whether the payload is the first one of its frame.
    #[must_use]
    pub fn begins_frame(&self) -> bool {
        self.starts_partition && self.partition == 0
    }

    /// The place among temporal layers; `None` if the descriptor does not say.
    #[must_use]
    pub fn place(&self) -> Option<TemporalPlace> {
        Some(TemporalPlace { base: self.tl0_index?, layer: self.layer? })
    }
}

/// Replaces the frame's number and that of the lowest layer in a payload, where it has them. `picture_id` keeps its length.
pub fn renumber(payload: &mut [u8], picture_id: u16, tl0_index: u8) {
    let Ok(descriptor) = Descriptor::parse(payload) else { return };
    // Behind the two bytes that say what follows (RFC 7741, section 4.2).
    let mut rest = payload.iter_mut().skip(2);
    let [high, low] = picture_id.to_be_bytes();
    match descriptor.picture_id {
        Some(id) if id.is_long => {
            for byte in [high | LONG_PICTURE_ID, low] {
                rest.next().into_iter().for_each(|place| *place = byte);
            }
        }
        Some(_) => rest.next().into_iter().for_each(|place| *place = low & !LONG_PICTURE_ID),
        None => {}
    }
    if descriptor.tl0_index.is_some() {
        rest.next().into_iter().for_each(|place| *place = tl0_index);
    }
}

/// Whether this is the first payload of a frame.
#[must_use]
pub fn begins_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| descriptor.begins_frame())
}

/// Whether this is the first payload of a key frame.
#[must_use]
pub fn begins_keyframe(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| {
        let first = payload.get(descriptor.length);
        descriptor.begins_frame() && first.is_some_and(|first| first & INTER_FRAME == 0)
    })
}

/// Rebuilds one frame from the payloads of its packets.
#[derive(Debug)]
pub struct FrameBuilder {
    out: BytesMut,
    limit: usize,
    picture_id: Option<PictureId>,
    partition: u8,
}

impl FrameBuilder {
    /// Starts a frame of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { out: BytesMut::new(), limit, picture_id: None, partition: 0 }
    }

    /// Adds the payload of the next packet. Empty payloads (padding only) are ignored.
    ///
    /// # Errors
    /// The frame cannot be completed after any error.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        if payload.is_empty() {
            return Ok(());
        }
        let descriptor = Descriptor::parse(payload)?;
        let is_first = self.out.is_empty();
        let data = payload.get(descriptor.length..).filter(|data| !data.is_empty()).ok_or(PayloadError::Truncated)?;
        let fits = if is_first {
            descriptor.begins_frame()
        } else {
            // A packet may hold the ends of several partitions, so the next may go on in any later one.
            descriptor.partition >= self.partition
                && !descriptor.begins_frame()
                && descriptor.picture_id == self.picture_id
        };
        if !fits {
            return Err(PayloadError::BrokenFragments);
        }
        if self.out.len() + data.len() > self.limit {
            return Err(PayloadError::TooLarge);
        }
        self.picture_id = descriptor.picture_id;
        self.partition = descriptor.partition;
        self.out.put_slice(data);
        Ok(())
    }

    /// The finished frame; empty if all was padding.
    #[must_use]
    pub fn finish(self) -> BytesMut {
        self.out
    }
}

/// Whether a complete frame can be decoded without earlier ones.
#[must_use]
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & INTER_FRAME == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_every_form_are_read() {
        let plain = Descriptor {
            length: 1,
            starts_partition: true,
            partition: 0,
            picture_id: None,
            tl0_index: None,
            layer: None,
        };
        let id = |value, is_long| Some(PictureId { value, is_long });
        assert_eq!(Descriptor::parse(&[0x10]), Ok(plain));
        let short = Descriptor::parse(&[0x90, 0x80, 0x11, 0]).unwrap();
        assert_eq!((short.length, short.picture_id), (3, id(0x11, false)));
        let long = Descriptor::parse(&[0x80, 0x80, 0x81, 0x23, 0]).unwrap();
        assert_eq!((long.length, long.picture_id, long.starts_partition), (4, id(0x123, true), false));
        let all = Descriptor::parse(&[0x91, 0xf0, 0x81, 0x23, 7, 0x60, 0]).unwrap();
        assert_eq!((all.length, all.partition, all.place()), (6, 1, Some(TemporalPlace { base: 7, layer: 1 })));
        // Without TL0PICIDX a layer says nothing; KEYIDX alone has its byte too.
        assert_eq!(Descriptor::parse(&[0x90, 0x20, 0x40, 0]).unwrap().place(), None);
        assert_eq!(Descriptor::parse(&[0x90, 0x10, 0x05, 0]).unwrap().length, 3);
    }

    #[test]
    fn descriptors_that_are_cut_off_are_refused() {
        let whole = [0x90, 0xf0, 0x81, 0x23, 7, 0x60];
        for length in 0..whole.len() {
            assert_eq!(Descriptor::parse(&whole[..length]), Err(PayloadError::Truncated), "{length}");
        }
    }

    #[test]
    fn key_frames_are_recognised_by_their_first_packet() {
        assert!(begins_keyframe(&[0x10, 0x00]) && begins_keyframe(&[0x90, 0xe0, 0x80, 1, 5, 0, 0x10]));
        assert!(!begins_keyframe(&[0x10, 0x01]) && begins_frame(&[0x10, 0x01]));
        for none in [&[][..], &[0x10], &[0x00, 0x00], &[0x11, 0x00], &[0x90]] {
            assert!(!begins_keyframe(none), "{none:?}");
        }
    }

    fn build(payloads: &[&[u8]]) -> Result<BytesMut, PayloadError> {
        let mut builder = FrameBuilder::new(10);
        for payload in payloads {
            builder.push(payload)?;
        }
        Ok(builder.finish())
    }

    #[test]
    fn packets_of_one_frame_become_the_frame() {
        assert_eq!(
            build(&[&[0x10, 1, 2], &[], &[0x00, 3], &[0x11, 4], &[0x01, 5]]).unwrap(),
            [1, 2, 3, 4, 5].as_slice()
        );
        assert!(build(&[&[]]).unwrap().is_empty());
    }

    #[test]
    fn packets_that_do_not_belong_together_are_refused() {
        assert_eq!(build(&[&[0x00, 1]]), Err(PayloadError::BrokenFragments));
        assert_eq!(build(&[&[0x10, 1], &[0x10, 2]]), Err(PayloadError::BrokenFragments));
        assert_eq!(build(&[&[0x10, 1], &[0x11, 2], &[0x00, 2]]), Err(PayloadError::BrokenFragments));
        assert_eq!(build(&[&[0x90, 0x80, 1, 1], &[0x80, 0x80, 2, 2]]), Err(PayloadError::BrokenFragments));
        assert_eq!(build(&[&[0x10]]), Err(PayloadError::Truncated));
        assert_eq!(build(&[&[0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]), Err(PayloadError::TooLarge));
    }

    #[test]
    fn only_the_next_frame_of_the_lowest_layer_follows_a_gap() {
        let at = |base, layer| TemporalPlace { base, layer };
        assert!(at(8, 0).follows(at(7, 2)) && at(0, 0).follows(at(255, 1)));
        assert!(!at(8, 1).follows(at(7, 0)) && !at(9, 0).follows(at(7, 0)) && !at(7, 0).follows(at(7, 0)));
    }

    #[test]
    fn numbers_are_replaced_in_their_length() {
        let renumbered = |payload: &[u8]| {
            let mut payload = payload.to_vec();
            renumber(&mut payload, 0x0234, 9);
            payload
        };
        assert_eq!(renumbered(&[0x90, 0xe0, 0x81, 0x23, 7, 0, 5]), [0x90, 0xe0, 0x82, 0x34, 9, 0, 5]);
        assert_eq!(renumbered(&[0x90, 0xc0, 0x11, 7, 5]), [0x90, 0xc0, 0x34, 9, 5]);
        for without in [&[][..], &[0x10, 1, 2], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xc0, 1]] {
            assert_eq!(renumbered(without), without);
        }
    }
}
