//! What RTP has to know of Opus (RFC 6716, RFC 7587).

/// Samples of an Opus packet at 48 kHz (RFC 6716, section 3.1), which is also its length in RTP units; `None` if it is
/// malformed or empty.
#[must_use]
pub fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match (config, config & 3) {
        (0..12, 0) => 480,
        (0..12, 1) => 960,
        (0..12, 2) => 1920,
        (0..12, _) => 2880,
        (12..16, 0 | 2) => 480,
        (12..16, _) => 960,
        (_, 0) => 120,
        (_, 1) => 240,
        (_, 2) => 480,
        (_, _) => 960,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    (frames > 0).then_some(frame * frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_packets_are_read() {
        let lengths = [&[0x08][..], &[0x49], &[0xfc], &[0xfb, 3], &[0x60], &[0xff, 0], &[0xff], &[]].map(samples);
        assert_eq!(lengths, [Some(960), Some(1920), Some(960), Some(2880), Some(480), None, None, None]);
    }
}
