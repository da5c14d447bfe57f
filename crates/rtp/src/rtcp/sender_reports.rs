//! Sender reports of several sources in one packet (RFC 3550, section 6.4.1).
//!
//! In front stands a receiver report of a source that sends nothing: SRTCP counts its packets by the first source in them,
//! and receivers drop what looks like a replay, so that source must be used by no other writer.

use rtc_rtcp::packet::{Packet, marshal};
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::sender_report::SenderReport;

use crate::clock::NtpTime;

/// Upper bound of a canonical name that is sent, in bytes.
const MAX_NAME_BYTES: usize = 64;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;

/// What is reported about one source.
#[derive(Clone, Copy, Debug)]
pub struct SourceReport<'a> {
    /// The source.
    pub ssrc: u32,
    /// RTP timestamp of the moment of the report.
    pub rtp_time: u32,
    /// Packets since the beginning; wraps.
    pub packets: u32,
    /// Bytes of payload since the beginning; wraps.
    pub octets: u32,
    /// Canonical name (RFC 3550, section 6.5.1); sources with the same one are played in sync.
    pub cname: &'a str,
}

/// Writes a compound packet, not encrypted: a receiver report of `reporter`, then the reports and names of the sources.
#[must_use]
pub fn write(now: NtpTime, reporter: u32, sources: &[SourceReport<'_>]) -> Vec<u8> {
    let reporter: Box<dyn Packet> = Box::new(ReceiverReport { ssrc: reporter, ..ReceiverReport::default() });
    let reports = sources.iter().map(|source| -> Box<dyn Packet> {
        Box::new(SenderReport {
            ssrc: source.ssrc,
            ntp_time: now.to_bits(),
            rtp_time: source.rtp_time,
            packet_count: source.packets,
            octet_count: source.octets,
            ..SenderReport::default()
        })
    });
    let packets: Vec<Box<dyn Packet>> = std::iter::once(reporter).chain(reports).collect();
    let mut compound = marshal(&packets).map(Vec::from).unwrap_or_default();
    sources.iter().for_each(|source| write_name(source, &mut compound));
    compound
}

/// Appends the description of a source. By hand: `rtc-rtcp` writes a number into the padding, which has to be zero.
fn write_name(source: &SourceReport<'_>, compound: &mut Vec<u8>) {
    let name = source.cname.as_bytes();
    let name = name.get(..MAX_NAME_BYTES).unwrap_or(name);
    // An item ends with at least one zero, and with a whole word.
    let words = 1 + (2 + name.len() + 1).div_ceil(4);
    let end = compound.len() + 4 + words * 4;
    compound.extend_from_slice(&[0x81, SOURCE_DESCRIPTION, 0, words as u8]);
    compound.extend_from_slice(&source.ssrc.to_be_bytes());
    compound.extend_from_slice(&[CNAME, name.len() as u8]);
    compound.extend_from_slice(name);
    compound.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::feedback;

    const NOW: NtpTime = NtpTime::from_bits(0x0102_0304_0506_0708);

    fn report(cname: &str) -> SourceReport<'_> {
        SourceReport { ssrc: 7, rtp_time: 49_000, packets: 3, octets: 300, cname }
    }

    #[test]
    fn a_report_has_the_bytes_of_the_rfc() {
        let packet = write(NOW, 1, &[report("name")]);
        assert_eq!(packet[..8], [0x80, 201, 0, 1, 0, 0, 0, 1]);
        assert_eq!(packet[8..16], [0x80, 200, 0, 6, 0, 0, 0, 7]);
        assert_eq!(packet[16..24], NOW.to_bits().to_be_bytes());
        assert_eq!(packet[24..36], [0, 0, 0xbf, 0x68, 0, 0, 0, 3, 0, 0, 1, 44]);
        assert_eq!(packet[36..], [0x81, 202, 0, 3, 0, 0, 0, 7, 1, 4, b'n', b'a', b'm', b'e', 0, 0]);
    }

    #[test]
    fn several_sources_fit_one_well_formed_packet() {
        let name = "a".repeat(80);
        let packet = write(NOW, 1, &[report(&name), report("b")]);
        assert_eq!(packet.len() % 4, 0);
        assert!(feedback::read(&packet).is_empty());
        let mut rest = &packet[..];
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            kinds.push(rest[1]);
            rest = &rest[4 + 4 * usize::from(rest[3])..];
        }
        assert_eq!(kinds, [201, 200, 200, 202, 202]);
    }
}
