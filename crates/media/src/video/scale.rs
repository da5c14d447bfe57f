//! Scaling, cropping and mirroring of whole frames, plane by plane.

use std::cell::RefCell;

use fast_image_resize::images::{TypedCroppedImage, TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::frame::VideoFrame;

thread_local! {
    /// Keeps its coefficient buffers from one frame to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// A rectangle of luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Area {
    fn whole(frame: &VideoFrame) -> Self {
        Self { left: 0, top: 0, width: frame.width(), height: frame.height() }
    }

    /// The largest area in the middle of the frame with the aspect ratio of `width : height`; corners are even, so
    /// that luma and chroma stay together.
    fn centred(frame: &VideoFrame, width: u32, height: u32) -> Self {
        let (own_width, own_height) = (u64::from(frame.width()), u64::from(frame.height()));
        let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
        let mut area = Self::whole(frame);
        if own_width * height > own_height * width {
            area.width = ((own_height * width / height) as u32 & !1).clamp(1, frame.width());
            area.left = ((frame.width() - area.width) / 2) & !1;
        } else {
            area.height = ((own_width * height / width) as u32 & !1).clamp(1, frame.height());
            area.top = ((frame.height() - area.height) / 2) & !1;
        }
        area
    }
}

/// Scales to exactly this size, bilinear (averaging when it shrinks); the aspect ratio is not kept.
///
/// A frame that has the size already is only cloned.
pub fn scale(frame: &VideoFrame, width: u32, height: u32) -> VideoFrame {
    scale_area(frame, Area::whole(frame), width, height)
}

/// Scales to exactly this size and keeps the aspect ratio by cropping.
pub fn fill(frame: &VideoFrame, width: u32, height: u32) -> VideoFrame {
    scale_area(frame, Area::centred(frame, width, height), width, height)
}

/// Crops the frame to the aspect ratio of `width : height`, and scales it down to that size if it is larger; never up, since
/// the view or encoder scales anyway.
pub fn fit(frame: &VideoFrame, width: u32, height: u32) -> VideoFrame {
    let area = Area::centred(frame, width, height);
    let (width, height) = if area.width > width { (width, height) } else { (area.width, area.height) };
    scale_area(frame, area, width, height)
}

fn scale_area(frame: &VideoFrame, area: Area, width: u32, height: u32) -> VideoFrame {
    if area == Area::whole(frame) && (width, height) == (frame.width(), frame.height()) {
        return frame.clone();
    }
    let mut picture = frame.pool().take(width, height);
    let (sizes, strides, source_strides) = (picture.plane_sizes(), picture.strides(), frame.strides());
    let sources = frame.planes().into_iter().zip(frame.plane_sizes());
    for (plane, (destination, (source, source_size))) in picture.planes_mut().into_iter().zip(sources).enumerate() {
        let halve = if plane == 0 { 1 } else { 2 };
        let area = Area {
            left: area.left / halve,
            top: area.top / halve,
            width: area.width.div_ceil(halve),
            height: area.height.div_ceil(halve),
        };
        let (columns, rows) = sizes[plane];
        if (area.width as usize, area.height as usize) == (columns * 2, rows * 2) {
            let from = area.top as usize * source_strides[plane] + area.left as usize;
            halve_plane(&source[from..], source_strides[plane], destination, strides[plane], columns);
            continue;
        }
        let source = Plane { samples: source, stride: source_strides[plane], size: source_size };
        let destination = PlaneMut { samples: destination, stride: strides[plane], size: sizes[plane] };
        if scale_plane(source, area, destination).is_none() {
            tracing::error!(plane, ?area, width, height, "scaling was refused");
        }
    }
    picture.freeze(frame.capture_time()).with_colour(frame.colour())
}

struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    size: (usize, usize),
}

struct PlaneMut<'a> {
    samples: &'a mut [u8],
    stride: usize,
    size: (usize, usize),
}

/// Every sample becomes the mean of four. Layers have half sides, and a general filter takes five times as long.
fn halve_plane(source: &[u8], source_stride: usize, destination: &mut [u8], stride: usize, columns: usize) {
    let pairs = source.chunks(2 * source_stride);
    for (row, pair) in destination.chunks_mut(stride).zip(pairs) {
        let (upper, lower) = pair.split_at(source_stride.min(pair.len()));
        let samples = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (sample, (upper, lower)) in row[..columns].iter_mut().zip(samples) {
            let sum = u16::from(upper[0]) + u16::from(upper[1]) + u16::from(lower[0]) + u16::from(lower[1]);
            *sample = ((sum + 2) >> 2) as u8;
        }
    }
}

/// `None` if an area lies outside its plane, which the callers above rule out.
fn scale_plane(source: Plane<'_>, area: Area, destination: PlaneMut<'_>) -> Option<()> {
    let (source_columns, source_rows) = source.size;
    let padded = TypedImageRef::<U8>::from_buffer(source.stride as u32, source_rows as u32, source.samples).ok()?;
    // The filter reaches beyond the requested area, but must not reach past the end of a row.
    let source_view = TypedCroppedImage::from_ref(&padded, 0, 0, source_columns as u32, source_rows as u32).ok()?;
    let (columns, rows) = destination.size;
    let rows_view = TypedImage::<U8>::from_buffer(destination.stride as u32, rows as u32, destination.samples).ok()?;
    let mut destination_view = TypedCroppedImageMut::new(rows_view, 0, 0, columns as u32, rows as u32).ok()?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(f64::from(area.left), f64::from(area.top), f64::from(area.width), f64::from(area.height))
        .use_alpha(false);
    RESIZER.with_borrow_mut(|resizer| resizer.resize_typed(&source_view, &mut destination_view, &options)).ok()
}

/// Swaps left and right.
pub fn mirror(frame: &VideoFrame) -> VideoFrame {
    let mut picture = frame.pool().take(frame.width(), frame.height());
    let (sizes, strides) = (picture.plane_sizes(), picture.strides());
    for (plane, (destination, source)) in picture.planes_mut().into_iter().zip(frame.planes()).enumerate() {
        let rows = destination.chunks_exact_mut(strides[plane]).zip(source.chunks_exact(strides[plane]));
        for (to, from) in rows {
            mirror_row(&from[..sizes[plane].0], &mut to[..sizes[plane].0]);
        }
    }
    picture.freeze(frame.capture_time()).with_colour(frame.colour())
}

/// Eight samples at a time: byte swaps are vectorized for all processors.
fn mirror_row(from: &[u8], to: &mut [u8]) {
    let (groups, rest) = from.as_chunks::<8>();
    let (to_rest, to_groups) = to.split_at_mut(rest.len());
    let (to_groups, _) = to_groups.as_chunks_mut::<8>();
    for (to, from) in to_groups.iter_mut().rev().zip(groups) {
        *to = u64::from_ne_bytes(*from).swap_bytes().to_ne_bytes();
    }
    for (to, from) in to_rest.iter_mut().rev().zip(rest) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::{Pattern, read_strip};
    use super::super::pool::FramePool;
    use super::*;
    use std::time::Instant;

    fn pattern(width: u32, height: u32) -> VideoFrame {
        Pattern::new(width, height).draw(&FramePool::new(), 1_763_971_234_567, 4_711, Instant::now())
    }

    #[test]
    fn the_same_size_shares_the_pixels() {
        let frame = pattern(640, 360);
        assert_eq!(scale(&frame, 640, 360).y().as_ptr(), frame.y().as_ptr());
        assert_eq!(fit(&frame, 1280, 720).y().as_ptr(), frame.y().as_ptr());
    }

    #[test]
    fn the_strip_is_still_read_after_scaling() {
        let frame = pattern(1280, 720);
        for (width, height) in [(640, 360), (320, 180), (160, 90), (854, 480), (1920, 1080), (500, 282)] {
            let scaled = scale(&frame, width, height);
            assert_eq!((scaled.width(), scaled.height()), (width, height));
            assert_eq!(scaled.capture_time(), frame.capture_time());
            assert_eq!(read_strip(&scaled), read_strip(&frame), "{width}x{height}");
        }
    }

    #[test]
    fn a_half_is_the_mean_of_four_in_every_plane() {
        let mut picture = FramePool::new().take(8, 4);
        let strides = picture.strides();
        for (plane, samples) in picture.planes_mut().into_iter().enumerate() {
            for (row, line) in samples.chunks_mut(strides[plane]).enumerate() {
                for (column, sample) in line.iter_mut().enumerate() {
                    *sample = (row * 40 + column * 8) as u8;
                }
            }
        }
        let half = scale(&picture.freeze(Instant::now()), 4, 2);
        assert_eq!(half.y()[..4], [24, 40, 56, 72]);
        assert_eq!(half.y()[half.strides()[0]..][..4], [104, 120, 136, 152]);
        assert_eq!((&half.u()[..2], &half.v()[..2]), (&[24, 40][..], &[24, 40][..]));
    }

    #[test]
    fn cutting_keeps_the_middle_and_its_proportions() {
        let frame = pattern(640, 480);
        let area = Area::centred(&frame, 1280, 720);
        assert_eq!(area, Area { left: 0, top: 60, width: 640, height: 360 });
        let area = Area::centred(&frame, 360, 640);
        assert_eq!(area, Area { left: 184, top: 0, width: 270, height: 480 });
        let fitted = fit(&frame, 1280, 720);
        assert_eq!((fitted.width(), fitted.height()), (640, 360));
        let filled = fill(&frame, 320, 180);
        assert_eq!((filled.width(), filled.height()), (320, 180));
    }

    #[test]
    fn nothing_from_behind_a_row_comes_into_the_frame() {
        for (width, height) in [(480, 270), (1180, 960), (60, 40)] {
            let mut picture = FramePool::new().take(width, height);
            let (strides, sizes) = (picture.strides(), picture.plane_sizes());
            for (plane, samples) in picture.planes_mut().into_iter().enumerate() {
                for line in samples.chunks_mut(strides[plane]) {
                    let (inside, behind) = line.split_at_mut(sizes[plane].0);
                    inside.fill(128);
                    behind.fill(0);
                }
            }
            let frame = picture.freeze(Instant::now());
            for (width, height) in [(400, 300), (1280, 720), (width * 3 / 4, height * 3 / 4), (width / 3, height / 3)] {
                for scaled in [scale(&frame, width, height), fill(&frame, width, height)] {
                    for (plane, samples) in scaled.planes().into_iter().enumerate() {
                        for line in samples.chunks(scaled.strides()[plane]) {
                            assert!(line[..scaled.plane_sizes()[plane].0].iter().all(|sample| *sample == 128));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_frame_of_a_few_pixels_is_a_frame() {
        let frame = pattern(640, 360);
        for (width, height) in (1..9).flat_map(|width| (1..9).map(move |height| (width, height))) {
            for scaled in [scale(&frame, width, height), fill(&frame, width, height)] {
                let mut pixels = vec![0; (width * height * 4) as usize];
                super::super::convert::to_rgba(&scaled, &mut pixels)
                    .unwrap_or_else(|error| panic!("{width}x{height}: {error}"));
                assert!(pixels.chunks(4).all(|pixel| pixel[3] == 255), "{width}x{height}");
                assert!(pixels.chunks(4).any(|pixel| pixel[..3] != [0, 0, 0]), "{width}x{height}: {pixels:?}");
            }
        }
    }

    #[test]
    fn mirroring_twice_gives_the_frame_back() {
        for (width, height) in [(1280, 720), (33, 5), (7, 3)] {
            let frame = pattern(width, height);
            let mirrored = mirror(&frame);
            let (stride, columns) = (frame.strides()[0], width as usize);
            assert_eq!(mirrored.y()[stride], frame.y()[stride + columns - 1]);
            let back = mirror(&mirrored);
            for row in 0..height as usize {
                let range = row * stride..row * stride + columns;
                assert_eq!(back.y()[range.clone()], frame.y()[range]);
            }
        }
    }

    #[test]
    fn extreme_shapes_are_scaled_without_failing() {
        let frame = pattern(33, 1);
        for (width, height) in [(1, 1), (1, 500), (500, 1), (64, 64)] {
            assert_eq!(scale(&frame, width, height).height(), height);
            assert_eq!(fill(&frame, width, height).width(), width);
            fit(&frame, width, height);
        }
    }
}
