//! Bitrates and sizes that cannot be mistaken for each other.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};
use std::time::Duration;

/// A bitrate, in bits a second: finite and never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Bitrate(f64);

/// A number of bytes. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSize(u64);

impl Bitrate {
    /// No data at all.
    pub const ZERO: Self = Self(0.0);

    /// A bitrate in bits a second. What is negative or no number is zero; what is infinite is the greatest finite one.
    #[must_use]
    pub const fn bps(bps: f64) -> Self {
        if bps > 0.0 { Self(bps.min(f64::MAX)) } else { Self::ZERO }
    }

    /// A bitrate in thousands of bits a second.
    #[must_use]
    pub const fn kbps(kbps: u32) -> Self {
        Self(kbps as f64 * 1e3)
    }

    /// A bitrate in millions of bits a second.
    #[must_use]
    pub const fn mbps(mbps: u32) -> Self {
        Self(mbps as f64 * 1e6)
    }

    /// Bits a second.
    #[must_use]
    pub const fn as_bps(self) -> f64 {
        self.0
    }

    /// Whole bits a second.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0 as u64
    }

    /// Whether nothing may be sent at this bitrate.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// The lower one of two bitrates.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The higher one of two bitrates.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The nearest bitrate within bounds; the lower bound wins if they cross.
    #[must_use]
    pub const fn clamp(self, min: Self, max: Self) -> Self {
        self.min(max).max(min)
    }

    /// The share of `whole` that this bitrate is; 0 of nothing.
    #[must_use]
    pub fn ratio(self, whole: Self) -> f64 {
        if whole.is_zero() { 0.0 } else { self.0 / whole.0 }
    }
}

impl DataSize {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// A number of bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size of something in memory.
    #[must_use]
    pub const fn of(length: usize) -> Self {
        Self(length as u64)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The number of bits.
    #[must_use]
    pub const fn as_bits(self) -> u64 {
        self.0.saturating_mul(8)
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// How long these bytes take at a bitrate; [`Duration::MAX`] at a bitrate of zero.
    #[must_use]
    pub fn time_at(self, rate: Bitrate) -> Duration {
        Duration::try_from_secs_f64(self.as_bits() as f64 / rate.0).unwrap_or(Duration::MAX)
    }

    /// The bitrate at which these bytes took `time`; zero for no time.
    #[must_use]
    pub fn rate_over(self, time: Duration) -> Bitrate {
        if time.is_zero() { Bitrate::ZERO } else { Bitrate::bps(self.as_bits() as f64 / time.as_secs_f64()) }
    }
}

impl Add for Bitrate {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::bps(self.0 + other.0)
    }
}

impl AddAssign for Bitrate {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Ends at zero.
impl Sub for Bitrate {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::bps(self.0 - other.0)
    }
}

impl Mul<f64> for Bitrate {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self::bps(self.0 * factor)
    }
}

impl Div<f64> for Bitrate {
    type Output = Self;
    fn div(self, divisor: f64) -> Self {
        Self::bps(self.0 / divisor)
    }
}

/// What a bitrate carries in a time.
impl Mul<Duration> for Bitrate {
    type Output = DataSize;
    fn mul(self, time: Duration) -> DataSize {
        DataSize((self.0 * time.as_secs_f64() / 8.0) as u64)
    }
}

impl Sum for Bitrate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1e6 {
            write!(out, "{:.2} Mbit/s", self.0 / 1e6)
        } else {
            write!(out, "{:.0} kbit/s", self.0 / 1e3)
        }
    }
}

impl Add for DataSize {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for DataSize {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Ends at zero.
impl Sub for DataSize {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for DataSize {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for DataSize {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for DataSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_bitrates_and_times_convert_into_each_other() {
        let second = Duration::from_secs(1);
        assert_eq!(Bitrate::mbps(8) * second, DataSize::bytes(1_000_000));
        assert_eq!(DataSize::bytes(125).time_at(Bitrate::kbps(1)), second);
        assert_eq!(DataSize::bytes(125).rate_over(second), Bitrate::kbps(1));
    }

    #[test]
    fn nothing_overflows_or_becomes_negative() {
        assert_eq!(Bitrate::kbps(1) - Bitrate::kbps(2), Bitrate::ZERO);
        assert_eq!(Bitrate::bps(f64::NAN), Bitrate::ZERO);
        assert!((Bitrate::bps(f64::INFINITY) + Bitrate::bps(f64::MAX)).as_bps().is_finite());
        assert_eq!(DataSize::bytes(1).time_at(Bitrate::ZERO), Duration::MAX);
        assert_eq!(DataSize::bytes(u64::MAX).time_at(Bitrate::bps(1e-300)), Duration::MAX);
        assert_eq!(DataSize::ZERO.rate_over(Duration::ZERO), Bitrate::ZERO);
        assert_eq!(DataSize::bytes(1) - DataSize::bytes(2), DataSize::ZERO);
        assert_eq!(DataSize::bytes(u64::MAX) + DataSize::bytes(1), DataSize::bytes(u64::MAX));
    }

    #[test]
    fn crossed_bounds_give_the_lower_one() {
        let [low, high] = [Bitrate::kbps(100), Bitrate::kbps(50)];
        assert_eq!(Bitrate::kbps(75).clamp(low, high), low);
        assert_eq!(Bitrate::kbps(50).ratio(Bitrate::ZERO), 0.0);
    }

    #[test]
    fn bitrates_read_well_in_logs() {
        assert_eq!(Bitrate::bps(1_234_567.0).to_string(), "1.23 Mbit/s");
        assert_eq!(Bitrate::kbps(300).to_string(), "300 kbit/s");
    }
}
