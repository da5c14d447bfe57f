//! The meaning of a frame's samples: how luma and colour differences become red, green and blue, and which values are black
//! and white.

use yuv::{YuvRange, YuvStandardMatrix};

/// How luma and colour differences become red, green and blue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601: that of computer cameras and of VP8, and the default.
    #[default]
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

/// Which values are black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// 16 to 235, colour differences 16 to 240.
    #[default]
    Limited,
    /// 0 to 255.
    Full,
}

/// Both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    /// See [`Matrix`].
    pub matrix: Matrix,
    /// See [`Range`].
    pub range: Range,
}

impl Matrix {
    /// By `matrix_coefficients` of ITU-T H.264, table E-5; what is unknown or unspecified is BT.601.
    pub fn from_h264(number: u32) -> Self {
        match number {
            1 => Self::Bt709,
            9 | 10 => Self::Bt2020,
            _ => Self::Bt601,
        }
    }
}

impl Colour {
    pub(super) fn for_conversion(self) -> (YuvRange, YuvStandardMatrix) {
        let range = match self.range {
            Range::Limited => YuvRange::Limited,
            Range::Full => YuvRange::Full,
        };
        let matrix = match self.matrix {
            Matrix::Bt601 => YuvStandardMatrix::Bt601,
            Matrix::Bt709 => YuvStandardMatrix::Bt709,
            Matrix::Bt2020 => YuvStandardMatrix::Bt2020,
        };
        (range, matrix)
    }
}
