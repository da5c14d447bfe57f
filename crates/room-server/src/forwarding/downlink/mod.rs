//! The RTP sender of one subscriber: our own RTP under the keys of a connection that `str0m` has set up.
//!
//! Sans-IO: packets, reports and time go in, datagrams and events come out. Nothing happens between packets, except probes,
//! so a subscriber without media costs nothing.

pub mod history;
pub mod losses;
pub mod media_datagram;
pub mod path;
pub mod rtp_header;
pub mod sender_reports;
pub mod srtp;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtp::red::with_block_type;
use rtp::rtcp::{
    feedback::{self, Feedback},
    sender_reports as rtcp_reports,
};
use rtp::{Bitrate, DataSize};

use self::history::{History, Sent};
use self::losses::Losses;
use self::media_datagram::MediaDatagram;
use self::path::Path;
use self::rtp_header::{ExtensionIds, HeaderExtensions, RtpHeader};
use self::sender_reports::{NtpClock, SentTotals};
use self::srtp::Srtp;
use super::core::{ClientAddress, Codec, CoreEvent, MediaPacket, Mid, OutgoingPacket};
use super::datagram::{Contents, Datagram};
use crate::number_hasher::NumberMap;

/// Interval of sender reports while packets are sent.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Sources in one compound packet, which has to fit a datagram.
const SOURCES_IN_REPORT: usize = 10;
/// Headers of IP and UDP, in bytes.
const AROUND: usize = 28;
/// RTP header, extensions and authentication tag of a packet, in bytes, about.
const AROUND_PAYLOAD: usize = 52;
/// Upper bound of padding packets after one wake-up.
const PADDING_AT_ONCE: usize = 64;

/// The negotiated settings of an m-line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSettings {
    /// Source of its packets.
    pub ssrc: u32,
    /// SSRC of retransmissions, if the client accepts RTX (RFC 4588).
    pub repair_ssrc: Option<u32>,
    /// Header extensions.
    pub extensions: ExtensionIds,
    /// Name of the sender (CNAME).
    pub name: String,
}

/// The payload types of a codec on an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadTypes {
    /// Packets.
    pub media: u8,
    /// Their repetitions.
    pub repair: Option<u8>,
    /// The payload type inside RED packets.
    pub inside: Option<u8>,
}

/// A source that the client may know or not.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// The client has reported on it. Until then each packet names its line.
    is_known: bool,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, is_known: false }
    }
}

#[derive(Debug)]
struct Line {
    id: Mid,
    settings: LineSettings,
    media: Source,
    repair: Option<Source>,
    /// Payload types that were looked up; `None` if the client does not accept the codec.
    types: Vec<(Codec, Option<PayloadTypes>)>,
    /// Extended sequence number of the next repetition.
    repair_sequence: u64,
    history: History,
    totals: Option<SentTotals>,
    /// Whether packets were sent since the last report.
    is_unreported: bool,
}

impl Line {
    fn new(id: Mid, settings: LineSettings) -> Self {
        Self {
            id,
            media: Source::new(settings.ssrc),
            repair: settings.repair_ssrc.map(Source::new),
            settings,
            types: Vec::new(),
            repair_sequence: 1,
            history: History::default(),
            totals: None,
            is_unreported: false,
        }
    }

    /// The payload types of a codec; `types` is called once.
    fn types_of(&mut self, codec: Codec, types: impl FnOnce() -> Option<PayloadTypes>) -> Option<PayloadTypes> {
        if let Some((_, known)) = self.types.iter().find(|(known, _)| *known == codec) {
            return *known;
        }
        let types = types();
        self.types.push((codec, types));
        types
    }

    /// Counts a packet; true for the first one.
    fn count(&mut self, timestamp: u32, media: &MediaPacket) -> bool {
        let before = self.totals.map_or((0, 0), |totals| (totals.packets, totals.octets));
        let is_first = self.totals.is_none();
        self.totals = Some(SentTotals {
            ssrc: self.media.ssrc,
            timestamp,
            captured_at: media.wallclock,
            clock_rate: media.codec.clock_rate(),
            packets: before.0.wrapping_add(1),
            octets: before.1.wrapping_add(media.payload.len() as u32),
        });
        self.is_unreported = true;
        is_first
    }
}

/// Which form a packet is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Under its own number.
    Plain,
    /// As a repetition under a number of its own.
    Repair,
}

/// Sends RTP to one subscriber.
pub struct Downlink {
    srtp: Option<Srtp>,
    destination: Option<ClientAddress>,
    lines: NumberMap<Mid, Line>,
    /// Which line a source belongs to.
    by_ssrc: NumberMap<u32, Mid>,
    path: Path,
    /// Whether a packet was sent that padding can be made of.
    can_pad: bool,
    clock: NtpClock,
    /// Source of the packets that reports are sent in.
    reporter: u32,
    reports_at: Instant,
    losses: Losses,
    events: VecDeque<CoreEvent>,
    datagrams: VecDeque<Datagram>,
}

impl Downlink {
    /// Sends nothing before there are keys and a destination. `reporter` is an SSRC without media.
    pub fn new(now: Instant, reporter: u32) -> Self {
        Self {
            srtp: None,
            destination: None,
            lines: NumberMap::default(),
            by_ssrc: NumberMap::default(),
            path: Path::default(),
            can_pad: false,
            clock: NtpClock::new(now),
            reporter,
            reports_at: now,
            losses: Losses::new(now),
            events: VecDeque::new(),
            datagrams: VecDeque::new(),
        }
    }

    /// Encrypts with these keys from now on.
    pub fn set_keys(&mut self, srtp: Srtp) {
        self.srtp = Some(srtp);
    }

    /// Whether there are keys.
    pub fn has_keys(&self) -> bool {
        self.srtp.is_some()
    }

    /// Sends to this address from now on.
    pub fn set_destination(&mut self, destination: ClientAddress) {
        self.destination = Some(destination);
    }

    /// Where packets are sent.
    pub fn destination(&self) -> Option<ClientAddress> {
        self.destination
    }

    /// Whether an SSRC is one of ours.
    pub fn has_source(&self, ssrc: u32) -> bool {
        ssrc == self.reporter || self.by_ssrc.contains_key(&ssrc)
    }

    /// The settings of an m-line.
    pub fn settings(&self, line: Mid) -> Option<&LineSettings> {
        self.lines.get(&line).map(|line| &line.settings)
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = Mid> {
        self.lines.keys().copied()
    }

    /// Sets up an m-line. With another SSRC it starts over.
    pub fn set_line(&mut self, id: Mid, settings: LineSettings) {
        if let Some(line) = self.lines.get_mut(&id)
            && line.settings.ssrc == settings.ssrc
            && line.settings.repair_ssrc == settings.repair_ssrc
        {
            line.settings = settings;
            return;
        }
        self.by_ssrc.retain(|_, line| *line != id);
        self.by_ssrc.extend([Some(settings.ssrc), settings.repair_ssrc].into_iter().flatten().map(|ssrc| (ssrc, id)));
        self.lines.insert(id, Line::new(id, settings));
    }

    /// Forgets the payload types after a negotiation.
    pub fn forget_types(&mut self) {
        self.lines.values_mut().for_each(|line| line.types.clear());
    }

    /// Whether the client accepts this codec on this m-line. `types` returns its payload types and is called once.
    pub fn takes(&mut self, line: Mid, codec: Codec, types: impl FnOnce() -> Option<PayloadTypes>) -> bool {
        self.lines.get_mut(&line).is_some_and(|line| line.types_of(codec, types).is_some())
    }

    /// The datagram for a packet; `None` when there is no path yet, or when its number was used. `types` returns the codec's
    /// payload types and is called once.
    pub fn write(
        &mut self,
        now: Instant,
        packet: &OutgoingPacket,
        types: impl FnOnce() -> Option<PayloadTypes>,
    ) -> Option<Datagram> {
        let line = self.lines.get_mut(&packet.line)?;
        // Under one key no two packets may have the same number.
        if line.history.may_have(packet.sequence) {
            return None;
        }
        let codec = packet.media.codec;
        let types = line.types_of(codec, types)?;
        let own_name = types.inside.and_then(|inside| with_block_type(&packet.media.payload, inside));
        let media = match own_name {
            Some(payload) => Arc::new(MediaPacket { payload: payload.into(), ..MediaPacket::clone(&packet.media) }),
            None => Arc::clone(&packet.media),
        };
        let mut sent = Sent {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload_type: types.media,
            repair_type: types.repair,
            media,
            header: None,
        };
        let (destination, srtp) = (self.destination?, self.srtp.as_ref()?);
        let media = build(now, srtp, &mut self.path, line, &sent, Form::Plain)?;
        if line.repair.is_none() || types.repair.is_none() {
            sent.header = Some(Box::new(media.header));
        }
        self.can_pad |= line.repair.is_some() && types.repair.is_some() && line_is_estimated(line);
        let is_first = line.count(packet.timestamp, &packet.media);
        line.history.keep(sent, now);
        if line.repair.is_some() && types.repair.is_some() {
            self.path.duplicate_if_worthwhile(now, packet.line, packet.sequence as u16);
        }
        if is_first || now >= self.reports_at {
            self.report(now);
        }
        self.path.handle_timeout(now, self.can_pad);
        self.handle_timeout(now);
        Some(Datagram { destination, contents: Contents::Media(media) })
    }

    /// Handles an encrypted RTCP packet of the client. An invalid one is ignored.
    pub fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Some(Ok(packet)) = self.srtp.as_ref().map(|srtp| srtp.unprotect_rtcp(datagram)) else { return };
        for feedback in feedback::read(&packet) {
            match feedback {
                Feedback::Reception { ssrc, lost } => self.note_reception(ssrc, lost),
                Feedback::Nack { ssrc, sequences } => self.repeat(now, ssrc, &sequences),
                Feedback::KeyframeRequest { ssrc } => {
                    self.events.extend(self.by_ssrc.get(&ssrc).map(|line| CoreEvent::KeyframeNeeded(*line)));
                }
                Feedback::Arrivals(arrivals) => {
                    if let Some(sent) = self.losses.on_arrivals(now, &arrivals) {
                        self.events.push_back(CoreEvent::Loss { sent: Some(sent), received: None });
                    }
                    let estimate = self.path.on_feedback(now, arrivals);
                    self.events.extend(estimate.map(|estimate| CoreEvent::Estimate(estimate.as_u64())));
                }
            }
        }
    }

    fn note_reception(&mut self, ssrc: u32, lost: f32) {
        let Some(line) = self.by_ssrc.get(&ssrc).and_then(|line| self.lines.get_mut(line)) else { return };
        let sources = [Some(&mut line.media), line.repair.as_mut()];
        sources.into_iter().flatten().filter(|source| source.ssrc == ssrc).for_each(|source| source.is_known = true);
        if line.media.ssrc == ssrc && !self.losses.are_told_by_arrivals() {
            self.events.push_back(CoreEvent::Loss { sent: Some(lost), received: None });
        }
    }

    fn repeat(&mut self, now: Instant, ssrc: u32, sequences: &[u16]) {
        let Some(line) = self.by_ssrc.get(&ssrc).and_then(|line| self.lines.get_mut(line)) else { return };
        let (Some(destination), Some(srtp)) = (self.destination, self.srtp.as_ref()) else { return };
        let spacing = self.path.retransmission_spacing();
        for sequence in sequences {
            let Some(sent) = line.history.retransmit(*sequence, now, spacing).cloned() else { continue };
            if !self.path.allows_retransmission(now, datagram_size(&sent)) {
                continue;
            }
            let repetition = match &sent.header {
                Some(header) => Some(MediaDatagram {
                    cipher: Arc::clone(srtp.rtp()),
                    header: **header,
                    repeated: None,
                    media: Arc::clone(&sent.media),
                    ssrc: line.media.ssrc,
                    sequence: sent.sequence,
                }),
                None => build(now, srtp, &mut self.path, line, &sent, Form::Repair),
            };
            self.datagrams.extend(repetition.map(|media| Datagram { destination, contents: Contents::Media(media) }));
        }
    }

    /// Sets the bitrate that could be sent at most, in bits per second.
    pub fn set_desired_bitrate(&mut self, now: Instant, bps: u64) {
        self.path.set_desired(now, Bitrate::bps(bps as f64));
    }

    /// Probes, when it is due, whether the path carries more than is known.
    pub fn probe(&mut self, now: Instant) {
        if self.can_pad {
            self.path.start_probe_if_due(now);
            self.pad(now);
        }
    }

    /// Does the work that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((line, sequence)) = self.path.poll_duplicate(now) {
            let Some(line) = self.lines.get_mut(&line) else { continue };
            let Some(sent) = line.history.retransmit(sequence, now, Duration::ZERO).cloned() else { continue };
            let (Some(destination), Some(srtp)) = (self.destination, self.srtp.as_ref()) else { continue };
            let copy = build(now, srtp, &mut self.path, line, &sent, Form::Repair);
            self.datagrams.extend(copy.map(|media| Datagram { destination, contents: Contents::Media(media) }));
        }
        self.pad(now);
    }

    /// When [`Downlink::handle_timeout`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        self.path.next_departure()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<CoreEvent> {
        self.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    /// How many packets are kept for repetition, on all lines.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.lines.values().map(|line| line.history.length()).sum()
    }

    fn pad(&mut self, now: Instant) {
        let (Some(destination), Some(srtp)) = (self.destination, self.srtp.as_ref()) else { return };
        for _ in 0..PADDING_AT_ONCE {
            if !self.path.needs_padding(now) {
                break;
            }
            let built = self.lines.values_mut().filter(|line| line_is_estimated(line)).find_map(|line| {
                let sent = line.history.padding()?.clone();
                build(now, srtp, &mut self.path, line, &sent, Form::Repair)
            });
            match built {
                Some(media) => self.datagrams.push_back(Datagram { destination, contents: Contents::Media(media) }),
                None => break,
            }
        }
    }

    fn report(&mut self, now: Instant) {
        self.reports_at = now + REPORT_INTERVAL;
        let (Some(srtp), Some(destination)) = (&mut self.srtp, self.destination) else { return };
        let mut unreported = Vec::new();
        for line in self.lines.values_mut().filter(|line| line.is_unreported) {
            line.is_unreported = false;
            unreported.extend(line.totals.map(|totals| totals.report(now, &line.settings.name)));
        }
        for sources in unreported.chunks(SOURCES_IN_REPORT) {
            let mut contents = rtcp_reports::write(self.clock.at(now), self.reporter, sources);
            if srtp.protect_rtcp(&mut contents).is_ok() {
                self.datagrams.push_back(Datagram::of_bytes(destination, contents));
            }
        }
    }
}

/// Whether the arrival of packets of this line is reported.
fn line_is_estimated(line: &Line) -> bool {
    line.settings.extensions.transport_wide.is_some()
}

/// Approximate size of the datagram that carries a packet.
fn datagram_size(sent: &Sent) -> DataSize {
    DataSize::of(sent.media.payload.len() + AROUND + AROUND_PAYLOAD)
}

/// Numbers a packet, and accounts for it.
fn build(
    now: Instant,
    srtp: &Srtp,
    path: &mut Path,
    line: &mut Line,
    sent: &Sent,
    form: Form,
) -> Option<MediaDatagram> {
    let (source, payload_type, sequence, repeated) = match form {
        Form::Plain => (&line.media, sent.payload_type, sent.sequence, None),
        Form::Repair => {
            let repair = line.repair.as_ref()?;
            line.repair_sequence += 1;
            (repair, sent.repair_type?, line.repair_sequence, Some(sent.sequence as u16))
        }
    };
    let header = RtpHeader {
        marker: sent.media.marker,
        payload_type,
        sequence: sequence as u16,
        timestamp: sent.timestamp,
        ssrc: source.ssrc,
    };
    let ids = &line.settings.extensions;
    let extensions = HeaderExtensions {
        mid: (!source.is_known).then_some(line.id),
        transport_wide: ids.transport_wide.map(|_| path.on_sent(now, datagram_size(sent))),
        media: sent.media.extensions,
    };
    Some(MediaDatagram {
        cipher: Arc::clone(srtp.rtp()),
        header: rtp_header::write(&header, ids, &extensions),
        repeated,
        media: Arc::clone(&sent.media),
        ssrc: header.ssrc,
        sequence,
    })
}
