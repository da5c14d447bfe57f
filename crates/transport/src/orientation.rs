//! How a picture has to be turned to stand upright: the header extension that phones send (3GPP TS 26.114, 7.4.5).

/// Its name in SDP.
pub const URI: &str = "urn:3gpp:video-orientation";

/// The last two bits; those above tell which camera it is and a mirroring that receivers leave alone.
const ROTATION_MASK: u8 = 0x03;

/// Quarter turns clockwise before a picture is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// As it is.
    #[default]
    None,
    /// 90 degrees.
    Quarter,
    /// 180 degrees.
    Half,
    /// 270 degrees.
    ThreeQuarters,
}

impl Rotation {
    /// Quarter turns clockwise, 0 to 3.
    #[must_use]
    pub fn quarters(self) -> u8 {
        self as u8
    }

    /// Reads the extension's content; what is longer or has unknown bits set counts by its last two bits.
    #[must_use]
    pub fn from_extension(content: &[u8]) -> Option<Self> {
        let turns = [Self::None, Self::Quarter, Self::Half, Self::ThreeQuarters];
        content.first().and_then(|byte| turns.get(usize::from(byte & ROTATION_MASK)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_turns_count_whatever_else_is_set() {
        assert_eq!(Rotation::from_extension(&[1]), Some(Rotation::Quarter));
        assert_eq!(Rotation::from_extension(&[0xff]), Some(Rotation::ThreeQuarters));
        assert_eq!(Rotation::from_extension(&[0xfc]), Some(Rotation::None));
        assert_eq!(Rotation::from_extension(&[2, 9]), Some(Rotation::Half));
        assert_eq!(Rotation::from_extension(&[]), None);
    }
}
