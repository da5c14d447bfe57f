//! The frame of the whole video path: planar YUV 4:2:0, 8 bit.

use std::sync::Arc;
use std::time::Instant;

use yuv::{BufferStoreMut, YuvPlanarImageMut};

use super::colour::Colour;
use super::pool::FramePool;

/// Planes and rows start at multiples of this many bytes, one cache line and one AVX-512 register.
const ALIGNMENT: usize = 64;

/// Largest side of a frame in pixels; larger requests are clamped.
const MAX_SIDE: u32 = 8192;

/// Where the planes lie in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    strides: [usize; 3],
    rows: [usize; 3],
}

impl Layout {
    fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        let chroma = width.div_ceil(2) as usize;
        let stride = |columns: usize| columns.next_multiple_of(ALIGNMENT);
        Self {
            width,
            height,
            strides: [stride(width as usize), stride(chroma), stride(chroma)],
            rows: [height as usize, height.div_ceil(2) as usize, height.div_ceil(2) as usize],
        }
    }

    fn plane_len(&self, plane: usize) -> usize {
        self.strides[plane] * self.rows[plane]
    }

    fn buffer_len(&self) -> usize {
        // One more row, so that the first plane can start aligned wherever the allocator puts the buffer.
        self.plane_len(0) + self.plane_len(1) + self.plane_len(2) + ALIGNMENT
    }
}

/// A frame that is being written: planar YUV 4:2:0, 8 bit, chroma sides rounded up.
///
/// Comes from a [`FramePool`], goes back there when dropped, and becomes a [`VideoFrame`] by [`I420::freeze`].
/// Its first content is undefined (an earlier frame or black-green zeros); rows may be padded.
#[derive(Debug)]
pub struct I420 {
    data: Vec<u8>,
    start: usize,
    layout: Layout,
    pool: FramePool,
}

impl I420 {
    /// `recycle` is asked for a used buffer of exactly the given length.
    pub(super) fn with_buffer(
        width: u32,
        height: u32,
        pool: FramePool,
        recycle: impl FnOnce(usize) -> Option<Vec<u8>>,
    ) -> Self {
        let layout = Layout::new(width, height);
        let data = recycle(layout.buffer_len()).unwrap_or_else(|| vec![0; layout.buffer_len()]);
        let start = match data.as_ptr().align_offset(ALIGNMENT) {
            offset if offset < ALIGNMENT => offset,
            _ => 0,
        };
        Self { data, start, layout, pool }
    }

    /// In pixels.
    pub fn width(&self) -> u32 {
        self.layout.width
    }

    /// In pixels.
    pub fn height(&self) -> u32 {
        self.layout.height
    }

    /// Bytes from one row to the next, for Y, U and V.
    pub fn strides(&self) -> [usize; 3] {
        self.layout.strides
    }

    /// Y, U and V, each `stride * rows` bytes.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, rest) = self.data[self.start..].split_at(self.layout.plane_len(0));
        let (u, rest) = rest.split_at(self.layout.plane_len(1));
        [y, u, &rest[..self.layout.plane_len(2)]]
    }

    /// Y, U and V for writing, each `stride * rows` bytes.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let layout = self.layout;
        let (y, rest) = self.data[self.start..].split_at_mut(layout.plane_len(0));
        let (u, rest) = rest.split_at_mut(layout.plane_len(1));
        [y, u, &mut rest[..layout.plane_len(2)]]
    }

    /// Width and height of each plane in samples.
    pub(super) fn plane_sizes(&self) -> [(usize, usize); 3] {
        let chroma = (self.layout.width.div_ceil(2) as usize, self.layout.rows[1]);
        [(self.layout.width as usize, self.layout.rows[0]), chroma, chroma]
    }

    /// Copies planes of the same size in, row by row, whatever their strides.
    ///
    /// # Errors
    /// [`PlaneError`] if a plane is too short for the size of this frame.
    pub fn copy_from(&mut self, planes: [&[u8]; 3], strides: [usize; 3]) -> Result<(), PlaneError> {
        let (sizes, own_strides) = (self.plane_sizes(), self.strides());
        for (index, destination) in self.planes_mut().into_iter().enumerate() {
            let ((columns, rows), stride, source) = (sizes[index], strides[index], planes[index]);
            let needed = stride.checked_mul(rows - 1).and_then(|len| len.checked_add(columns));
            if stride < columns || needed.is_none_or(|needed| source.len() < needed) {
                return Err(PlaneError { plane: index, columns, rows });
            }
            if stride == own_strides[index] && source.len() >= destination.len() {
                destination.copy_from_slice(&source[..destination.len()]);
                continue;
            }
            for (to, from) in destination.chunks_mut(own_strides[index]).zip(source.chunks(stride)) {
                to[..columns].copy_from_slice(&from[..columns]);
            }
        }
        Ok(())
    }

    /// The planes as the conversion library takes them for writing.
    pub(super) fn as_yuv(&mut self) -> YuvPlanarImageMut<'_, u8> {
        let Layout { width, height, strides, .. } = self.layout;
        let [y_stride, u_stride, v_stride] = strides.map(|stride| stride as u32);
        let [y_plane, u_plane, v_plane] = self.planes_mut().map(BufferStoreMut::Borrowed);
        YuvPlanarImageMut { y_plane, y_stride, u_plane, u_stride, v_plane, v_stride, width, height }
    }

    /// Ends the writing; from here on the frame is shared and never changes.
    pub fn freeze(self, capture_time: Instant) -> VideoFrame {
        VideoFrame { picture: Arc::new(self), capture_time, colour: Colour::default() }
    }
}

impl Drop for I420 {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.data));
    }
}

/// A plane handed in was too short or too narrow for the frame's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plane {plane} does not hold {columns} x {rows} samples")]
pub struct PlaneError {
    /// 0 = Y, 1 = U, 2 = V.
    pub plane: usize,
    /// Samples that each row should have.
    pub columns: usize,
    /// Rows that the plane should have.
    pub rows: usize,
}

/// A finished frame with the moment it was captured. Cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    picture: Arc<I420>,
    capture_time: Instant,
    colour: Colour,
}

impl VideoFrame {
    /// Copies planes into a frame of its own; a hot path takes frames from a [`FramePool`] instead.
    ///
    /// # Errors
    /// [`PlaneError`] if a plane is too short for the size.
    pub fn from_planes(
        width: u32,
        height: u32,
        planes: [&[u8]; 3],
        strides: [usize; 3],
        capture_time: Instant,
    ) -> Result<Self, PlaneError> {
        let mut picture = FramePool::new().take(width, height);
        picture.copy_from(planes, strides)?;
        Ok(picture.freeze(capture_time))
    }

    /// In pixels.
    pub fn width(&self) -> u32 {
        self.picture.width()
    }

    /// In pixels.
    pub fn height(&self) -> u32 {
        self.picture.height()
    }

    /// Luma, `strides()[0] * height` bytes; black and white are as [`colour`](Self::colour) says, 16 and 235 by default.
    pub fn y(&self) -> &[u8] {
        self.picture.planes()[0]
    }

    /// Blue difference, half the size in both directions (rounded up), 128 = none.
    pub fn u(&self) -> &[u8] {
        self.picture.planes()[1]
    }

    /// Red difference, half the size in both directions (rounded up), 128 = none.
    pub fn v(&self) -> &[u8] {
        self.picture.planes()[2]
    }

    /// Bytes from one row to the next, for Y, U and V.
    pub fn strides(&self) -> [usize; 3] {
        self.picture.strides()
    }

    /// When the frame was taken; scaled, mirrored and decoded copies keep it.
    pub fn capture_time(&self) -> Instant {
        self.capture_time
    }

    /// The same frame taken at another time, for a source that shows one twice.
    pub fn at(&self, capture_time: Instant) -> Self {
        Self { picture: self.picture.clone(), capture_time, colour: self.colour }
    }

    /// The meaning of its samples.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// The same samples with another meaning.
    pub fn with_colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// The pool for frames derived from this one.
    pub(super) fn pool(&self) -> &FramePool {
        &self.picture.pool
    }

    pub(super) fn planes(&self) -> [&[u8]; 3] {
        self.picture.planes()
    }

    pub(super) fn plane_sizes(&self) -> [(usize, usize); 3] {
        self.picture.plane_sizes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_planes_start_aligned_for_simd() {
        let picture = FramePool::new().take(322, 181);
        assert_eq!(picture.strides(), [384, 192, 192]);
        for plane in picture.planes() {
            assert_eq!(plane.as_ptr().align_offset(ALIGNMENT), 0);
        }
        assert_eq!(picture.planes().map(<[u8]>::len), [384 * 181, 192 * 91, 192 * 91]);
    }

    #[test]
    fn planes_with_other_strides_are_copied_row_by_row() {
        let y: Vec<u8> = (0..70 * 4).map(|index| (index % 251) as u8).collect();
        let u = [7u8; 35 * 2];
        let frame = VideoFrame::from_planes(66, 4, [&y, &u, &u], [70, 35, 35], Instant::now()).unwrap();
        assert_eq!(frame.y()[128 + 65], y[70 + 65]);
        assert_eq!(frame.u()[32], 7);
    }

    #[test]
    fn short_planes_are_refused() {
        let (y, u) = ([0u8; 64], [0u8; 16]);
        let error = VideoFrame::from_planes(8, 9, [&y, &u, &u], [8, 4, 4], Instant::now()).unwrap_err();
        assert_eq!(error, PlaneError { plane: 0, columns: 8, rows: 9 });
        assert!(VideoFrame::from_planes(8, 8, [&y, &u, &u], [4, 4, 4], Instant::now()).is_err());
        assert!(VideoFrame::from_planes(8, 8, [&y, &u, &u[..15]], [8, 4, 4], Instant::now()).is_err());
    }

    #[test]
    fn sizes_beyond_reason_are_clamped() {
        let picture = FramePool::new().take(0, u32::MAX);
        assert_eq!((picture.width(), picture.height()), (1, MAX_SIDE));
    }
}
