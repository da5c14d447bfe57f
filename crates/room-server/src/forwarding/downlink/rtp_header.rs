//! The head of a packet for a subscriber (RFC 3550, section 5.1, and RFC 8285).

use crate::forwarding::core::{Mid, PacketExtensions};

/// First bits of the header extensions in the form with one byte of head each (RFC 8285, section 4.2).
const ONE_BYTE_FORM: [u8; 2] = [0xbe, 0xde];
/// Numbers that this form can express.
const IDS: std::ops::RangeInclusive<u8> = 1..=14;

/// Under which numbers the client wants the header extensions of a line, as far as it wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    pub mid: Option<u8>,
    /// Transport-wide sequence number.
    pub transport_wide: Option<u8>,
    /// Loudness (RFC 6464).
    pub audio_level: Option<u8>,
    /// Rotation (3GPP TS 26.114).
    pub orientation: Option<u8>,
}

impl ExtensionIds {
    /// Without those that would need the other form of header extensions.
    pub fn expressible(self) -> Self {
        let keep = |id: Option<u8>| id.filter(|id| IDS.contains(id));
        Self {
            mid: keep(self.mid),
            transport_wide: keep(self.transport_wide),
            audio_level: keep(self.audio_level),
            orientation: keep(self.orientation),
        }
    }
}

/// The fixed part of a header.
#[derive(Clone, Copy, Debug)]
pub struct RtpHeader {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number, 16 bits.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
}

/// The header extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderExtensions {
    /// The line, as long as the client may not know to which the source belongs.
    pub mid: Option<Mid>,
    /// Transport-wide sequence number.
    pub transport_wide: Option<u16>,
    /// Side information of the packet.
    pub media: PacketExtensions,
}

/// Upper bound of a header: the fixed part, the extensions' header, and these in whole words.
const MAX_HEADER_BYTES: usize = 12 + 4 + 24;

/// A header as it travels.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER_BYTES],
    length: u8,
}

impl HeaderBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or_default()
    }

    /// Appends bytes that always fit: see [`MAX_HEADER_BYTES`].
    fn put(&mut self, bytes: &[u8]) {
        let begin = usize::from(self.length);
        if let Some(place) = self.bytes.get_mut(begin..begin + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len() as u8;
        }
    }

    /// Values have 1 to 16 bytes.
    fn put_extension(&mut self, id: u8, value: &[u8]) {
        let Some(length) = value.len().checked_sub(1).filter(|length| *length < 16) else { return };
        self.put(&[id << 4 | length as u8]);
        self.put(value);
    }
}

/// Writes a header.
pub fn write(header: &RtpHeader, ids: &ExtensionIds, extensions: &HeaderExtensions) -> HeaderBytes {
    let mut written = HeaderBytes { bytes: [0; MAX_HEADER_BYTES], length: 0 };
    written.put(&[0x80, u8::from(header.marker) << 7 | header.payload_type & 0x7f]);
    written.put(&header.sequence.to_be_bytes());
    written.put(&header.timestamp.to_be_bytes());
    written.put(&header.ssrc.to_be_bytes());
    let fixed = written.length;
    written.put(&[ONE_BYTE_FORM[0], ONE_BYTE_FORM[1], 0, 0]);
    let begin = written.length;
    if let (Some(id), Some(number)) = (ids.transport_wide, extensions.transport_wide) {
        written.put_extension(id, &number.to_be_bytes());
    }
    if let (Some(id), Some(level)) = (ids.audio_level, extensions.media.audio_level) {
        let below = level.unsigned_abs().min(127);
        written.put_extension(id, &[u8::from(extensions.media.voice_activity.unwrap_or(false)) << 7 | below]);
    }
    if let (Some(id), Some(turns)) = (ids.orientation, extensions.media.orientation) {
        written.put_extension(id, &[turns & 0b11]);
    }
    if let (Some(id), Some(mid)) = (ids.mid, extensions.mid) {
        written.put_extension(id, mid.as_str().as_bytes());
    }
    let length = written.length - begin;
    if length == 0 {
        written.length = fixed;
        return written;
    }
    // The bytes behind are zero, which is padding.
    written.length = begin + length.next_multiple_of(4);
    written.bytes[0] |= 0x10;
    written.bytes[usize::from(begin) - 1] = length.div_ceil(4);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader =
        RtpHeader { marker: true, payload_type: 111, sequence: 0x0102, timestamp: 0x0304_0506, ssrc: 0x0708_090a };
    const IDS: ExtensionIds =
        ExtensionIds { mid: Some(4), transport_wide: Some(3), audio_level: Some(1), orientation: Some(13) };

    fn written(header: &RtpHeader, ids: ExtensionIds, extensions: &HeaderExtensions) -> Vec<u8> {
        write(header, &ids.expressible(), extensions).as_slice().to_vec()
    }

    #[test]
    fn without_extensions_there_are_twelve_bytes() {
        let packet = written(&HEADER, ExtensionIds::default(), &HeaderExtensions::default());
        assert_eq!(packet, [0x80, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn extensions_are_written_under_the_numbers_that_the_client_wants() {
        let media = PacketExtensions { audio_level: Some(-30), voice_activity: Some(true), orientation: Some(3) };
        let extensions = HeaderExtensions { mid: Mid::new("ab"), transport_wide: Some(0x1122), media };
        let packet = written(&HEADER, IDS, &extensions);
        assert_eq!(packet[0], 0x90);
        assert_eq!(packet[12..16], [0xbe, 0xde, 0, 3]);
        assert_eq!(packet[16..], [0x31, 0x11, 0x22, 0x10, 0x80 | 30, 0xd0, 3, 0x41, b'a', b'b', 0, 0]);
    }

    #[test]
    fn the_longest_header_fits() {
        let media = PacketExtensions { audio_level: Some(0), voice_activity: None, orientation: Some(1) };
        let mid = Mid::new("0123456789abcdef");
        let packet = written(&HEADER, IDS, &HeaderExtensions { mid, transport_wide: Some(7), media });
        assert_eq!(packet.len(), MAX_HEADER_BYTES);
        assert_eq!(packet[24..], *b"0123456789abcdef");
    }

    #[test]
    fn a_number_that_the_short_form_cannot_express_is_skipped() {
        let ids = ExtensionIds { transport_wide: Some(15), ..ExtensionIds::default() };
        let extensions = HeaderExtensions { transport_wide: Some(1), ..HeaderExtensions::default() };
        assert_eq!(written(&HEADER, ids, &extensions).len(), 12);
    }
}
