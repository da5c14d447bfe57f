//! The place of an H.264 frame in the order in which frames are shown (ITU-T H.264, section 8.2.1, type 0).

use std::collections::BTreeMap;

use super::sps::{BitReader, PictureOrder, Sps, SpsError};
use rtp::h264::annex_b::{Nal, NalKind, nal_units};

/// Upper bound of the bytes of a slice's header up to the picture order count.
const HEADER_BYTES: usize = 32;
/// Parameter sets of either kind that a stream may have.
const MAX_SETS: usize = 256;
const SLICE_B: u32 = 1;

/// Where a frame is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Grows in the order in which frames are shown, from one IDR frame to the next.
    pub(super) count: i64,
    /// The counts begin again.
    pub(super) begins: bool,
    /// Predicted from later frames as well.
    pub(super) is_b: bool,
    /// How many frames may come before one that is shown earlier, if the stream says.
    pub(super) reordered: Option<u32>,
}

/// Follows the frame order counts of a stream.
#[derive(Debug, Default)]
pub(super) struct OrderReader {
    sequences: BTreeMap<u32, PictureOrder>,
    /// Sequence parameter set of each frame parameter set.
    pictures: BTreeMap<u32, u32>,
    /// Upper and lower part of the count of the last frame that others refer to.
    previous: (i64, i64),
}

impl OrderReader {
    /// Reads one access unit; `None` if it holds no frame whose place is known.
    pub(super) fn read(&mut self, annex_b: &[u8]) -> Option<Place> {
        for nal in nal_units(annex_b) {
            match nal.kind() {
                NalKind::Sps => {
                    if let Ok(sps) = Sps::parse(nal)
                        && self.sequences.len() < MAX_SETS
                    {
                        self.sequences.insert(sps.order.id, sps.order);
                    }
                }
                NalKind::Pps => {
                    if let Ok((picture, sequence)) = read_picture_set(nal)
                        && self.pictures.len() < MAX_SETS
                    {
                        self.pictures.insert(picture, sequence);
                    }
                }
                NalKind::Slice | NalKind::IdrSlice => return self.read_slice(nal).ok().flatten(),
                NalKind::Other(_) => {}
            }
        }
        None
    }

    fn read_slice(&mut self, nal: Nal<'_>) -> Result<Option<Place>, SpsError> {
        let payload = nal.payload(HEADER_BYTES);
        let mut bits = BitReader::new(&payload);
        bits.unsigned()?; // first_mb_in_slice
        let kind = bits.unsigned()? % 5;
        let picture = bits.unsigned()?;
        let sequence = self.pictures.get(&picture).and_then(|id| self.sequences.get(id));
        let Some(order) = sequence.copied() else { return Ok(None) };
        let Some(count_bits) = order.count_bits else { return Ok(None) };
        bits.bits(order.frame_number_bits)?;
        let begins = nal.kind() == NalKind::IdrSlice;
        if begins {
            bits.unsigned()?; // idr_pic_id
        }
        let low = i64::from(bits.bits(count_bits)?);
        let size = 1i64 << count_bits;
        let (high_before, low_before) = if begins { (0, 0) } else { self.previous };
        let high = if low < low_before && low_before - low >= size / 2 {
            high_before + size
        } else if low > low_before && low - low_before > size / 2 {
            high_before - size
        } else {
            high_before
        };
        if nal.is_reference() {
            self.previous = (high, low);
        }
        Ok(Some(Place { count: high + low, begins, is_b: kind == SLICE_B, reordered: order.reordered }))
    }
}

fn read_picture_set(nal: Nal<'_>) -> Result<(u32, u32), SpsError> {
    let payload = nal.payload(HEADER_BYTES);
    let mut bits = BitReader::new(&payload);
    Ok((bits.unsigned()?, bits.unsigned()?))
}
