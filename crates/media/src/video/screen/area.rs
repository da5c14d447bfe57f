//! Rectangles on the desktop.

/// A rectangle in pixels; the corner may lie anywhere on the desktop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Of the left side.
    pub x: i32,
    /// Of the upper side.
    pub y: i32,
    /// 0 = empty.
    pub width: u32,
    /// 0 = empty.
    pub height: u32,
}

impl Area {
    /// A rectangle of that size at the corner of things.
    pub(super) fn of_size(width: u32, height: u32) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The intersection; `None` if it is empty.
    pub(super) fn common(&self, other: &Self) -> Option<Self> {
        let span = |start: i32, length: u32, other_start: i32, other_length: u32| {
            let from = i64::from(start.max(other_start));
            let to = (i64::from(start) + i64::from(length)).min(i64::from(other_start) + i64::from(other_length));
            Some((i32::try_from(from).ok()?, u32::try_from(to - from).ok().filter(|length| *length > 0)?))
        };
        let (x, width) = span(self.x, self.width, other.x, other.width)?;
        let (y, height) = span(self.y, self.height, other.y, other.height)?;
        Some(Self { x, y, width, height })
    }

    /// The part of this rectangle that `wanted` names, from its corner; an empty one is the whole. `None` if nothing of it lies
    /// within.
    pub(super) fn part(&self, wanted: &Self) -> Option<Self> {
        let whole = Self::of_size(self.width, self.height);
        if wanted.is_empty() { (!whole.is_empty()).then_some(whole) } else { whole.common(wanted) }
    }

    /// The same with even sides, as 4:2:0 frames have them; `None` if nothing is left.
    pub(super) fn even(&self) -> Option<Self> {
        let even = Self { width: self.width & !1, height: self.height & !1, ..*self };
        (!even.is_empty()).then_some(even)
    }

    /// Moved by this distance.
    pub(super) fn moved(&self, x: i32, y: i32) -> Self {
        Self { x: self.x.saturating_add(x), y: self.y.saturating_add(y), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn area(x: i32, y: i32, width: u32, height: u32) -> Area {
        Area { x, y, width, height }
    }

    #[test]
    fn a_region_is_cut_to_what_is_there() {
        let window = area(300, 200, 640, 480);
        assert_eq!(window.part(&area(0, 0, 0, 0)), Some(area(0, 0, 640, 480)));
        assert_eq!(window.part(&area(600, 400, 100, 100)), Some(area(600, 400, 40, 80)));
        assert_eq!(window.part(&area(-10, -10, 30, 20)), Some(area(0, 0, 20, 10)));
        assert_eq!(window.part(&area(640, 0, 10, 10)), None);
        assert_eq!(area(0, 0, 0, 5).part(&area(0, 0, 0, 0)), None);
    }

    #[test]
    fn numbers_beyond_reason_overflow_nothing() {
        let far = area(i32::MAX, i32::MIN, u32::MAX, u32::MAX);
        assert_eq!(area(0, 0, 640, 480).part(&far), None);
        assert_eq!(area(-5, -5, u32::MAX, u32::MAX).common(&area(0, 0, 10, 10)), Some(area(0, 0, 10, 10)));
        assert_eq!(far.moved(i32::MAX, i32::MIN), far);
    }

    #[test]
    fn sides_become_even_and_a_single_column_is_nothing() {
        assert_eq!(area(1, 1, 641, 3).even(), Some(area(1, 1, 640, 2)));
        assert_eq!(area(0, 0, 1, 100).even(), None);
    }
}
