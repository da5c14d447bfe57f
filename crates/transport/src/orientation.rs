//! Video orientation: the header extension that phones send (3GPP TS 26.114, section 7.4.5).

/// URI of the header extension.
pub const URI: &str = "urn:3gpp:video-orientation";

/// Mask of the rotation; the bits above it are the camera and a flip that receivers ignore.
const ROTATION_MASK: u8 = 0x03;

/// Clockwise rotation of a frame before it is displayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// No rotation.
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

    /// Reads the content of the header extension. Unknown bits and further bytes are ignored.
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
    fn only_the_rotation_bits_count() {
        assert_eq!(Rotation::from_extension(&[1]), Some(Rotation::Quarter));
        assert_eq!(Rotation::from_extension(&[0xff]), Some(Rotation::ThreeQuarters));
        assert_eq!(Rotation::from_extension(&[0xfc]), Some(Rotation::None));
        assert_eq!(Rotation::from_extension(&[2, 9]), Some(Rotation::Half));
        assert_eq!(Rotation::from_extension(&[]), None);
    }
}
