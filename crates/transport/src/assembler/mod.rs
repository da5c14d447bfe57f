//! Frame assembly: RTP packets of one video stream in, complete frames out. The codec may change with any key frame.
//!
//! A frame ends with the marker bit, or where the timestamp changes. Packets may arrive reordered, twice, late or never. A
//! gap gets time for retransmission, which depends on the round-trip time. After that the assembler requests a key frame,
//! and uses whichever arrives first: the missing packet or the key frame. Finally it gives the gap up and delivers nothing
//! until a key frame is complete, because everything between refers to a frame the decoder does not have; except where
//! temporal layers show that the lost frames are not referred to. Sans-IO: time is an argument.

mod keyframe_requests;

use crate::orientation::Rotation;
use crate::payload::{FrameBuilder, VideoCodec};
use bytes::{Bytes, BytesMut};
use keyframe_requests::KeyframeRequests;
use rtp::PayloadError;
use rtp::SequenceExtender;
use rtp::vp8::TemporalPlace;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Largest access unit, in bytes.
pub const MAX_ACCESS_UNIT_BYTES: usize = 8 << 20;
/// Packets that are held back at any time.
const MAX_BUFFERED_PACKETS: usize = 8192;
/// Payload bytes that are held back at any time.
const MAX_BUFFERED_BYTES: usize = MAX_ACCESS_UNIT_BYTES;
/// Bytes of parameter sets that are kept for the next frame if they were sent in an access unit of their own.
const MAX_PARAMETER_SET_BYTES: usize = 64 << 10;
/// After this many late packets in a row the sender must have restarted its sequence numbers.
const MAX_LATE_IN_A_ROW: u32 = 64;
/// Weight of a longer repair in the smoothed repair time: slow repairs must not be given up.
const RISING_REPAIR_WEIGHT: f64 = 0.5;
/// Weight of a shorter repair in the smoothed repair time.
const FALLING_REPAIR_WEIGHT: f64 = 0.02;
/// Packets by which an early start of the stream may be reordered.
const MAX_START_REORDER: u64 = 64;
/// A gap of at least this many packets may be an outage. A sender that notices an outage starts again with a key frame, and
/// any other has to be asked for one at once.
const MIN_OUTAGE_PACKETS: u64 = 20;
/// Length of an outage in units of the 90 kHz clock: 0.3 to 30 s.
const OUTAGE_TIMESTAMPS: std::ops::Range<u32> = 27_000..2_700_000;

/// Age of a gap after which a key frame is requested: long enough for several requests and answers.
#[must_use]
pub fn keyframe_timeout(rtt: Duration) -> Duration {
    (rtt * 5 + Duration::from_millis(50)).clamp(Duration::from_millis(200), Duration::from_millis(800))
}

/// Age of a gap after which it is given up: the key frame has had its time as well.
#[must_use]
pub fn gap_timeout(rtt: Duration) -> Duration {
    keyframe_timeout(rtt) + (rtt * 3 + Duration::from_millis(200)).min(Duration::from_millis(600))
}

/// One RTP packet, without the header fields the assembler has no use for.
#[derive(Clone, Debug)]
pub struct Packet {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp (90 kHz).
    pub timestamp: u32,
    /// Marker bit: last packet of its access unit.
    pub marker: bool,
    /// Codec of its payload type.
    pub codec: VideoCodec,
    /// Video orientation, if the packet carries one.
    pub rotation: Option<Rotation>,
    /// Payload in the codec's RTP format; empty for padding.
    pub payload: Bytes,
}

/// A complete access unit.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its codec.
    pub codec: VideoCodec,
    /// Its bytes, for H.264 in Annex B form.
    pub data: Bytes,
    /// Its rotation, or that of the last frame that carried one.
    pub rotation: Rotation,
    /// RTP timestamp (90 kHz).
    pub timestamp: u32,
    /// Whether it is a key frame; for H.264, whether it contains an IDR slice.
    pub is_keyframe: bool,
    /// When its last missing packet arrived.
    pub completed: Instant,
    /// Whether nothing was lost between this frame and the one delivered before it.
    pub contiguous: bool,
}

/// Counters of an assembler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssemblerStats {
    /// Access units delivered.
    pub frames: u64,
    /// Complete access units dropped while waiting for a key frame.
    pub skipped: u64,
    /// Access units with malformed payloads.
    pub malformed: u64,
    /// Gaps that were not filled in time.
    pub given_up: u64,
    /// Packets that arrived after their gap was given up, or twice.
    pub late: u64,
    /// Restarts of the sequence numbers by the sender.
    pub restarts: u64,
}

#[derive(Debug)]
struct Slot {
    timestamp: u32,
    marker: bool,
    codec: VideoCodec,
    rotation: Option<Rotation>,
    payload: Bytes,
    arrival: Instant,
}

/// Assembles the frames of one video stream.
#[derive(Debug)]
pub struct Assembler {
    extender: SequenceExtender,
    packets: BTreeMap<u64, Slot>,
    buffered_bytes: usize,
    /// First packet of the access unit to be completed next.
    next: Option<u64>,
    /// Whether `next` is known to begin an access unit, because the end of the previous one was seen.
    at_boundary: bool,
    /// Everything from `next` up to here is present and belongs to one unfinished access unit.
    scanned: u64,
    /// Whether an access unit was taken out, so that packets before `next` are late rather than early.
    started: bool,
    late_in_a_row: u32,
    /// The gap that has been open for so long that a key frame was requested.
    overdue_gap: Option<u64>,
    /// Smoothed time until a gap was filled. A server may have to request the packet from the sender, which takes longer than a
    /// round trip to the server.
    repair_rtt: Option<Duration>,
    awaiting_keyframe: bool,
    lost_since_frame: bool,
    /// RTP timestamp of the last access unit that was complete.
    last_timestamp: Option<u32>,
    /// Codec of the last delivered frame, and its place among temporal layers.
    last_codec: Option<VideoCodec>,
    last_place: Option<TemporalPlace>,
    /// The last rotation that a frame carried.
    rotation: Rotation,
    parameter_sets: BytesMut,
    keyframe_requests: KeyframeRequests,
    ready: VecDeque<Frame>,
    stats: AssemblerStats,
}

/// State of the next access unit.
enum Scan {
    /// Complete; this is its last packet.
    Complete(u64),
    /// The packet of this number is missing.
    Missing(u64),
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            extender: SequenceExtender::default(),
            packets: BTreeMap::new(),
            buffered_bytes: 0,
            next: None,
            at_boundary: false,
            scanned: 0,
            started: false,
            late_in_a_row: 0,
            overdue_gap: None,
            repair_rtt: None,
            awaiting_keyframe: true,
            lost_since_frame: false,
            last_timestamp: None,
            last_codec: None,
            last_place: None,
            rotation: Rotation::None,
            parameter_sets: BytesMut::new(),
            keyframe_requests: KeyframeRequests::default(),
            ready: VecDeque::new(),
            stats: AssemblerStats::default(),
        }
    }
}

impl Assembler {
    /// Adds a packet, in the order of arrival.
    pub fn push(&mut self, packet: Packet, now: Instant) {
        self.keyframe_requests.on_packet(now);
        if packet.codec.begins_keyframe(&packet.payload) {
            self.keyframe_requests.on_keyframe_start();
        }
        let mut number = self.extender.extend(packet.sequence);
        if let Some(next) = self.next
            && number < next
        {
            if !self.started && next - number <= MAX_START_REORDER {
                self.move_to(number, false);
            } else {
                self.stats.late += 1;
                self.late_in_a_row += 1;
                if self.late_in_a_row < MAX_LATE_IN_A_ROW {
                    return;
                }
                self.restart();
                number = self.extender.extend(packet.sequence);
            }
        }
        self.late_in_a_row = 0;
        if self.next.is_none() {
            self.move_to(number, false);
        }
        if self.packets.contains_key(&number) {
            self.stats.late += 1;
            return;
        }
        if number == self.scanned
            && let Some(opened) = self.gap_opened()
        {
            let took = now.saturating_duration_since(opened);
            self.repair_rtt = Some(self.repair_rtt.map_or(took, |known| {
                let gain = if took > known { RISING_REPAIR_WEIGHT } else { FALLING_REPAIR_WEIGHT };
                known.mul_f64(1.0 - gain) + took.mul_f64(gain)
            }));
        }
        self.buffered_bytes += packet.payload.len();
        let Packet { timestamp, marker, codec, rotation, payload, .. } = packet;
        self.packets.insert(number, Slot { timestamp, marker, codec, rotation, payload, arrival: now });
        if self.packets.len() > MAX_BUFFERED_PACKETS || self.buffered_bytes > MAX_BUFFERED_BYTES {
            self.overflow();
        }
        if self.is_outage() && !self.is_gap_overdue() {
            self.overdue_gap = Some(self.scanned);
            self.keyframe_requests.request_again();
        }
        self.drain(now);
    }

    /// Requests a key frame for gaps older than [`keyframe_timeout`], and gives them up after [`gap_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, rtt: Duration) {
        let rtt = self.repair_rtt(rtt);
        let is_overdue =
            self.gap_opened().is_some_and(|opened| now.saturating_duration_since(opened) >= keyframe_timeout(rtt));
        if is_overdue && self.overdue_gap != Some(self.scanned) {
            self.overdue_gap = Some(self.scanned);
            // What waits behind the gap may not depend on it.
            self.drain(now);
            if self.is_gap_overdue() {
                self.keyframe_requests.request();
            }
        }
        while self.gap_opened().is_some_and(|opened| now.saturating_duration_since(opened) >= gap_timeout(rtt)) {
            let Some((&number, _)) = self.packets.range(self.scanned + 1..).next() else { return };
            self.stats.given_up += 1;
            self.on_loss();
            self.discard_before(number);
            self.move_to(number, false);
            self.drain(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_keyframe_request`](Self::poll_keyframe_request)
    /// has something to do next.
    #[must_use]
    pub fn next_timeout(&self, rtt: Duration) -> Option<Instant> {
        let rtt = self.repair_rtt(rtt);
        let limit = if self.is_gap_overdue() { gap_timeout(rtt) } else { keyframe_timeout(rtt) };
        let gap = self.gap_opened().map(|opened| opened + limit);
        let needs_keyframe = self.awaiting_keyframe || self.is_gap_overdue();
        [gap, self.keyframe_requests.next_timeout(needs_keyframe, rtt)].into_iter().flatten().min()
    }

    /// The next complete access unit, in order.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Whether a key frame has to be requested from the sender now. Repeats at a limited rate until one arrives.
    pub fn poll_keyframe_request(&mut self, now: Instant, rtt: Duration) -> bool {
        let rtt = self.repair_rtt(rtt);
        self.keyframe_requests.poll_request(self.awaiting_keyframe || self.is_gap_overdue(), now, rtt)
    }

    /// Requests a key frame on behalf of the consumer; delivery continues meanwhile.
    pub fn request_keyframe(&mut self) {
        self.keyframe_requests.request();
    }

    /// Delivers nothing until the next key frame, and requests it, because the consumer dropped frames.
    pub fn require_keyframe(&mut self) {
        self.ready.clear();
        self.last_place = None;
        self.on_loss();
    }

    /// Sequence number before which no packet is needed any more.
    #[must_use]
    pub fn oldest_needed(&self) -> Option<u16> {
        self.next.map(|next| next as u16)
    }

    /// Counters so far.
    #[must_use]
    pub fn stats(&self) -> AssemblerStats {
        self.stats
    }

    /// Time in which a missing packet can be recovered.
    fn repair_rtt(&self, rtt: Duration) -> Duration {
        self.repair_rtt.map_or(rtt, |repair_rtt| repair_rtt.max(rtt))
    }

    fn is_gap_overdue(&self) -> bool {
        self.overdue_gap == Some(self.scanned)
    }

    /// Whether the gap in front of the buffered packets is an outage.
    fn is_outage(&self) -> bool {
        if self.packets.contains_key(&self.scanned) {
            return false;
        }
        let (Some(last), Some((&number, slot))) = (self.last_timestamp, self.packets.range(self.scanned + 1..).next())
        else {
            return false;
        };
        number - self.scanned >= MIN_OUTAGE_PACKETS && OUTAGE_TIMESTAMPS.contains(&slot.timestamp.wrapping_sub(last))
    }

    fn on_loss(&mut self) {
        self.lost_since_frame = true;
        self.awaiting_keyframe = true;
        self.keyframe_requests.request();
    }

    fn move_to(&mut self, next: u64, at_boundary: bool) {
        self.next = Some(next);
        self.scanned = next;
        self.at_boundary = at_boundary;
    }

    fn restart(&mut self) {
        self.stats.restarts += 1;
        self.extender = SequenceExtender::default();
        self.packets.clear();
        self.buffered_bytes = 0;
        self.next = None;
        self.started = false;
        self.parameter_sets.clear();
        self.last_place = None;
        self.on_loss();
    }

    fn overflow(&mut self) {
        self.stats.given_up += 1;
        self.packets.clear();
        self.buffered_bytes = 0;
        self.on_loss();
        if let Some(highest) = self.extender.highest() {
            self.started = true;
            self.move_to(highest + 1, false);
        }
    }

    fn discard_before(&mut self, number: u64) {
        while let Some(entry) = self.packets.first_entry() {
            if *entry.key() >= number {
                break;
            }
            self.buffered_bytes -= entry.remove().payload.len();
        }
        self.started = true;
    }

    /// When the gap in front of the next access unit was first noticed.
    fn gap_opened(&self) -> Option<Instant> {
        self.next?;
        if self.packets.contains_key(&self.scanned) {
            return None;
        }
        self.packets.range(self.scanned + 1..).next().map(|(_, slot)| slot.arrival)
    }

    fn drain(&mut self, now: Instant) {
        while let Some(next) = self.next {
            match self.scan(next) {
                Scan::Complete(end) => self.complete(next, end, now),
                Scan::Missing(number) => {
                    let may_skip = self.awaiting_keyframe || self.is_gap_overdue();
                    if !(may_skip && self.skip_gap(number)) {
                        return;
                    }
                }
            }
        }
    }

    fn scan(&mut self, next: u64) -> Scan {
        let Some(timestamp) = self.packets.get(&next).map(|slot| slot.timestamp) else { return Scan::Missing(next) };
        loop {
            let Some(slot) = self.packets.get(&self.scanned) else { return Scan::Missing(self.scanned) };
            if slot.timestamp != timestamp {
                return Scan::Complete(self.scanned - 1);
            }
            if slot.marker {
                return Scan::Complete(self.scanned);
            }
            self.scanned += 1;
        }
    }

    /// Skips a gap in front of a complete frame that does not depend on the missing packets.
    fn skip_gap(&mut self, gap: u64) -> bool {
        let last = self.last_place.filter(|_| !self.awaiting_keyframe);
        let needs_nothing = |slot: &Slot| {
            let place = || slot.codec.place(&slot.payload);
            slot.codec.begins_keyframe(&slot.payload)
                || last.is_some_and(|last| place().is_some_and(|place| place.follows(last)))
        };
        let starts = self.packets.range(gap + 1..).filter(|(_, slot)| needs_nothing(slot));
        let Some(start) = starts.map(|(&number, _)| number).find(|&start| self.is_complete_from(start)) else {
            return false;
        };
        self.stats.given_up += 1;
        self.lost_since_frame = true;
        self.discard_before(start);
        self.move_to(start, false);
        true
    }

    fn is_complete_from(&self, start: u64) -> bool {
        let contiguous =
            (start..).zip(self.packets.range(start..)).take_while(|(expected, (number, _))| expected == *number);
        contiguous.into_iter().any(|(_, (_, slot))| slot.marker)
    }

    fn complete(&mut self, start: u64, end: u64, now: Instant) {
        let Some(first) = self.packets.get(&start) else { return };
        let (timestamp, codec, place) = (first.timestamp, first.codec, first.codec.place(&first.payload));
        let whole = self.at_boundary || codec.begins_frame(&first.payload);
        let mut builder = FrameBuilder::new(codec, MAX_ACCESS_UNIT_BYTES);
        let mut result = Ok(());
        for number in start..=end {
            if let Some(slot) = self.packets.remove(&number) {
                self.buffered_bytes -= slot.payload.len();
                self.rotation = slot.rotation.unwrap_or(self.rotation);
                let same = if slot.codec == codec { Ok(()) } else { Err(PayloadError::BrokenFragments) };
                result = result.and(same).and_then(|()| builder.push(&slot.payload));
            }
        }
        self.started = true;
        self.last_timestamp = Some(timestamp);
        self.move_to(end + 1, true);
        if !whole {
            return;
        }
        let unit = match result.and_then(|()| builder.finish()) {
            Ok(unit) => unit,
            Err(error) => {
                tracing::debug!(%error, "frame dropped");
                self.stats.malformed += 1;
                self.on_loss();
                return;
            }
        };
        if !unit.has_frame {
            if self.parameter_sets.len() + unit.data.len() <= MAX_PARAMETER_SET_BYTES {
                self.parameter_sets.extend_from_slice(&unit.data);
            }
            return;
        }
        let other_codec = self.last_codec.is_some_and(|last| last != codec);
        if other_codec && !unit.is_keyframe && !self.awaiting_keyframe {
            self.on_loss();
        }
        // A gap with frames of upper temporal layers only does not affect the others.
        let follows = !other_codec && self.last_place.zip(place).is_some_and(|(last, place)| place.follows(last));
        if self.awaiting_keyframe && !unit.is_keyframe && !follows {
            self.stats.skipped += 1;
            self.parameter_sets.clear();
            return;
        }
        if unit.is_keyframe || self.awaiting_keyframe {
            self.awaiting_keyframe = false;
            self.keyframe_requests.on_keyframe();
        }
        (self.last_codec, self.last_place) = (Some(codec), place);
        let mut data = std::mem::take(&mut self.parameter_sets);
        if data.is_empty() {
            data = unit.data;
        } else {
            data.extend_from_slice(&unit.data);
        }
        self.stats.frames += 1;
        self.ready.push_back(Frame {
            codec,
            data: data.freeze(),
            rotation: self.rotation,
            timestamp,
            is_keyframe: unit.is_keyframe,
            completed: now,
            contiguous: !std::mem::take(&mut self.lost_since_frame),
        });
    }
}

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;
