//! How the pixels of a depth lie in memory. X servers have any layout; those that differ from eight bits of blue, green, red
//! and padding are converted.

use x11rb::protocol::xproto::{ImageOrder, Setup, VisualClass, Visualtype};

/// Bytes of a pixel that we work with.
const PIXEL: usize = 4;

/// The layout of one depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelLayout {
    /// 2 or 4.
    bytes: usize,
    /// Rows begin at multiples of this many bytes.
    row_step: usize,
    is_big_endian: bool,
    /// Bits of blue, green and red.
    masks: [u32; 3],
}

impl PixelLayout {
    /// The layout of drawables of this depth; `None` for palettes and for pixel sizes that no server has today.
    pub(super) fn of_depth(setup: &Setup, depth: u8) -> Option<Self> {
        let format = setup.pixmap_formats.iter().find(|format| format.depth == depth)?;
        let bytes = match format.bits_per_pixel {
            16 => 2,
            32 => 4,
            _ => return None,
        };
        let all = setup.roots.iter().flat_map(|root| root.allowed_depths.iter().map(move |depth| (root, depth)));
        let visuals =
            all.filter(|(_, of)| of.depth == depth).flat_map(|(root, of)| of.visuals.iter().map(move |v| (root, v)));
        let is_colour = |visual: &Visualtype| visual.class == VisualClass::TRUE_COLOR;
        // The visual of the screen itself counts first.
        let (_, visual) = visuals
            .filter(|(_, visual)| is_colour(visual))
            .max_by_key(|(root, visual)| root.root_visual == visual.visual_id)?;
        Some(Self {
            bytes,
            row_step: usize::from(format.scanline_pad / 8).max(1),
            is_big_endian: setup.image_byte_order == ImageOrder::MSB_FIRST,
            masks: [visual.blue_mask, visual.green_mask, visual.red_mask],
        })
    }

    /// Whether nothing has to be done.
    pub(super) fn is_ours(&self) -> bool {
        self.bytes == PIXEL && !self.is_big_endian && self.masks == [0xff, 0xff00, 0xff_0000]
    }

    /// Bytes from one row to the next.
    fn row_len(&self, width: usize) -> usize {
        (width * self.bytes).next_multiple_of(self.row_step)
    }

    /// Bytes of a frame.
    pub(super) fn len(&self, width: usize, height: usize) -> usize {
        self.row_len(width) * height
    }

    /// Brings a frame of that many columns into blue, green, red and an unused byte, without gaps.
    pub(super) fn convert(&self, from: &[u8], width: usize, into: &mut [u8]) {
        let channels = self.masks.map(Channel::new);
        for (from, into) in from.chunks_exact(self.row_len(width)).zip(into.chunks_exact_mut(width * PIXEL)) {
            for (from, into) in from.chunks_exact(self.bytes).zip(into.as_chunks_mut::<PIXEL>().0) {
                let mut pixel = [0; PIXEL];
                pixel[..self.bytes].copy_from_slice(from);
                if self.is_big_endian {
                    pixel[..self.bytes].reverse();
                }
                let pixel = u32::from_le_bytes(pixel);
                let [blue, green, red] = channels.map(|channel| channel.value(pixel));
                *into = [blue, green, red, 0];
            }
        }
    }
}

/// The bits of one colour.
#[derive(Clone, Copy)]
struct Channel {
    mask: u32,
    shift: u32,
    most: u32,
}

impl Channel {
    fn new(mask: u32) -> Self {
        let shift = mask.trailing_zeros().min(31);
        Self { mask, shift, most: (mask >> shift).max(1) }
    }

    /// 0 to 255.
    fn value(self, pixel: u32) -> u8 {
        let value = u64::from((pixel & self.mask) >> self.shift);
        ((value * 255 + u64::from(self.most) / 2) / u64::from(self.most)).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH_16: PixelLayout =
        PixelLayout { bytes: 2, row_step: 4, is_big_endian: false, masks: [0x1f, 0x7e0, 0xf800] };

    #[test]
    fn colours_of_5_and_6_bits_reach_from_black_to_full() {
        let pixels: [u16; 3] = [0xf800, 0x07e0, 0x001f];
        let mut row: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
        row.extend([9, 9]); // rows begin at multiples of 4
        assert_eq!(DEPTH_16.len(3, 2), 16);
        let mut out = vec![7; 3 * 4 * 2];
        DEPTH_16.convert(&[row.clone(), row].concat(), 3, &mut out);
        assert_eq!(out[..12], [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]);
        assert_eq!(out[..12], out[12..]);
    }

    #[test]
    fn other_orders_and_depths_are_read_by_their_masks() {
        let mut out = [7; 4];
        PixelLayout { is_big_endian: true, ..DEPTH_16 }.convert(&[0xf8, 0x00, 0, 0], 1, &mut out);
        assert_eq!(out, [0, 0, 255, 0]);
        // Ten bits a colour, red highest.
        let deep = PixelLayout { bytes: 4, row_step: 4, is_big_endian: false, masks: [0x3ff, 0xf_fc00, 0x3ff0_0000] };
        deep.convert(&(0x3ff0_0000u32 | 0x200 << 10).to_le_bytes(), 1, &mut out);
        assert_eq!(out, [0, 128, 255, 0]);
        assert!(!deep.is_ours() && !DEPTH_16.is_ours());
    }
}
