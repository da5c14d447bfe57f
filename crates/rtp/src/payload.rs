//! What is wrong with the payload of a packet.

/// Why a payload could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload ends before its own lengths say.
    #[error("payload is truncated")]
    Truncated,
    /// A fragment without its beginning, or a beginning within another unit.
    #[error("fragments do not fit together")]
    BrokenFragments,
    /// A packet type outside packetization mode 1.
    #[error("NAL unit type {0} is not used in packetization mode 1")]
    UnsupportedType(u8),
    /// The frame is larger than the limit.
    #[error("frame is too large")]
    TooLarge,
}
