//! Extended sequence numbers (RFC 3550 appendix A.1, without the probation state).

/// Turns 16-bit RTP sequence numbers into 64-bit ones that never wrap.
///
/// A number is taken as the one nearest to the highest seen so far, so reordering across a wrap works in
/// both directions.
#[derive(Clone, Debug, Default)]
pub struct SequenceExtender {
    highest: Option<u64>,
}

impl SequenceExtender {
    /// First extended value. Far enough from zero that packets older than the first one seen still have
    /// a place.
    const BASE: u64 = 1 << 32;

    /// Extends `sequence` and remembers it if it is the highest so far.
    pub fn extend(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = Self::BASE + u64::from(sequence);
            self.highest = Some(first);
            return first;
        };
        let distance = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        let extended = highest.saturating_add_signed(distance);
        self.highest = Some(highest.max(extended));
        extended
    }

    /// The highest number seen, if any.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_rising_over_a_wrap() {
        let mut extender = SequenceExtender::default();
        let first = extender.extend(65_534);
        assert_eq!(extender.extend(65_535), first + 1);
        assert_eq!(extender.extend(0), first + 2);
        assert_eq!(extender.extend(1), first + 3);
    }

    #[test]
    fn a_late_packet_from_before_the_wrap_goes_back_to_its_place() {
        let mut extender = SequenceExtender::default();
        let first = extender.extend(65_535);
        assert_eq!(extender.extend(1), first + 2);
        assert_eq!(extender.extend(65_534), first - 1);
        assert_eq!(extender.highest(), Some(first + 2));
    }
}
