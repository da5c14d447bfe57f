//! H.264 as it travels: NAL units in byte streams (ITU-T H.264, annex B) and in RTP (RFC 6184).

pub mod annex_b;
pub mod payload;
pub mod sei;

/// Types of NAL units (ITU-T H.264, table 7-1; RFC 6184, section 5.2), the lower five bits of a unit's header.
pub mod nal_type {
    /// Slice of a frame that refers to earlier ones.
    pub const SLICE: u8 = 1;
    /// Slice of an IDR frame, which refers to no other.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const DELIMITER: u8 = 9;
    /// Aggregation packet of several units (RTP only).
    pub const STAP_A: u8 = 24;
    /// Fragment of a unit (RTP only).
    pub const FU_A: u8 = 28;
}

/// Mask of the type in a unit's header byte.
const TYPE_MASK: u8 = 0x1f;
