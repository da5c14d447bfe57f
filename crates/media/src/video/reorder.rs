//! Restores the order in which frames are shown. A stream whose frames come in that order waits for nothing.

use super::frame::VideoFrame;
use super::picture_order::Place;

/// Upper bound of frames held back: the size of the largest decoded picture buffer.
const MAX_DEPTH: usize = 16;

/// Frames that wait for earlier ones.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    held: Vec<(i64, VideoFrame)>,
    shown: Option<i64>,
    depth: usize,
    /// Learned depth, where the stream does not say.
    learned: usize,
}

impl Reorder {
    /// Frames that wait for earlier ones.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Adds a decoded frame and appends those that are due.
    pub(super) fn push(&mut self, frame: VideoFrame, place: Option<Place>, out: &mut Vec<VideoFrame>) {
        let Some(place) = place else {
            self.release(0, out);
            self.depth = 0;
            return out.push(frame);
        };
        if place.begins {
            self.release(0, out);
            self.shown = None;
        }
        if place.is_b {
            self.learned = self.learned.max(1);
        }
        if place.reordered.is_none() && self.shown.is_some_and(|shown| place.count < shown) {
            self.learned += 1;
        }
        self.depth = place.reordered.map_or(self.learned, |reported| reported as usize).min(MAX_DEPTH);
        let at = self.held.partition_point(|(count, _)| *count <= place.count);
        self.held.insert(at, (place.count, frame));
        self.release(self.depth, out);
    }

    fn release(&mut self, keep: usize, out: &mut Vec<VideoFrame>) {
        let ready = self.held.len().saturating_sub(keep);
        for (count, frame) in self.held.drain(..ready) {
            self.shown = Some(count);
            out.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::FramePool;
    use super::*;
    use std::time::{Duration, Instant};

    /// Shows frames with these places, in decoding order; reports after how many each was shown, and in which order.
    fn order(places: &[(i64, bool)], reordered: Option<u32>) -> Vec<(usize, i64)> {
        let (mut reorder, start, mut shown) = (Reorder::default(), Instant::now(), Vec::new());
        for (index, &(count, is_b)) in places.iter().enumerate() {
            let frame = FramePool::new().take(2, 2).freeze(start + Duration::from_secs(count as u64));
            let place = Place { count, begins: count == 0, is_b, reordered };
            let mut out = Vec::new();
            reorder.push(frame, Some(place), &mut out);
            let count = |frame: &VideoFrame| frame.capture_time().duration_since(start).as_secs() as i64;
            shown.extend(out.iter().map(|frame| (index, count(frame))));
        }
        shown
    }

    #[test]
    fn a_stream_in_order_waits_for_nothing() {
        let places = [(0, false), (2, false), (4, false), (8, false), (10, false)];
        for reordered in [None, Some(0)] {
            let shown = order(&places, reordered);
            assert_eq!(shown, [(0, 0), (1, 2), (2, 4), (3, 8), (4, 10)]);
        }
    }

    #[test]
    fn frames_that_are_shown_earlier_come_first_and_an_idr_frame_lets_all_go() {
        let places = [(0, false), (8, false), (4, true), (2, true), (6, true), (0, false)];
        let shown: Vec<i64> = order(&places, Some(2)).into_iter().map(|(_, count)| count).collect();
        assert_eq!(shown, [0, 2, 4, 6, 8]);
    }

    #[test]
    fn a_stream_that_tells_nothing_is_in_order_after_its_first_group() {
        let group = |start: i64| [(start + 6, false), (start + 2, true), (start + 4, true)];
        let places: Vec<_> = std::iter::once((0, false)).chain((0..5).flat_map(|index| group(index * 6))).collect();
        let shown: Vec<i64> = order(&places, None).into_iter().map(|(_, count)| count).collect();
        assert!(shown[4..].windows(2).all(|pair| pair[0] < pair[1]), "{shown:?}");
    }
}
