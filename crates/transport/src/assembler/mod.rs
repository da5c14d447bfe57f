//! Frame assembly: RTP packets of one video stream in, complete frames out. The codec may change with any key frame.
//!
//! A frame ends with the marker bit, or where the timestamp changes. Packets may come reordered,
//! twice, late or never. A hole is given time for retransmission, tied to the round-trip time; after that
//! the assembler asks for a key frame, and takes what comes first: the missing packet, or the key frame. In
//! the end it gives the hole up, and delivers nothing until a key frame is complete, because everything
//! between refers to a picture the decoder does not have; except where temporal layers tell that only pictures were lost
//! to which no later one refers. Sans-IO: time is an argument.

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
/// Most packets held back at any time.
const MAX_BUFFERED_PACKETS: usize = 8192;
/// Most payload bytes held back at any time.
const MAX_BUFFERED_BYTES: usize = MAX_ACCESS_UNIT_BYTES;
/// Parameter sets sent in an access unit of their own are kept for the picture that follows.
const MAX_PARAMETER_SET_BYTES: usize = 64 << 10;
/// So many late packets in a row are not late: the sender began to count anew.
const RESTART_AFTER_LATE: u32 = 64;
/// Share of a new measurement in the time that a repair takes, where it is longer, and where it is shorter: it is the long
/// repairs that must not be given up.
const LONGER_REPAIR: f64 = 0.5;
const SHORTER_REPAIR: f64 = 0.02;
/// How far before the first packet seen a reordered first packet may lie.
const MAX_START_REORDER: u64 = 64;
/// A hole of so many packets and so long a time, in units of the 90 kHz clock, is an outage: 0.3 to 30 s. A sender that
/// knows of it begins anew, and one that does not is to be asked at once.
const OUTAGE_PACKETS: u64 = 20;
const OUTAGE_TIME: std::ops::Range<u32> = 27_000..2_700_000;

/// How long a hole may stay open before a key frame is asked for: enough for several requests and their
/// answers.
#[must_use]
pub fn doubt_timeout(rtt: Duration) -> Duration {
    (rtt * 5 + Duration::from_millis(50)).clamp(Duration::from_millis(200), Duration::from_millis(800))
}

/// How long a hole may stay open at all: the key frame has had its time as well.
#[must_use]
pub fn gap_timeout(rtt: Duration) -> Duration {
    doubt_timeout(rtt) + (rtt * 3 + Duration::from_millis(200)).min(Duration::from_millis(600))
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
    /// By its payload type.
    pub codec: VideoCodec,
    /// How the picture is to be turned, if the packet says so.
    pub rotation: Option<Rotation>,
    /// Payload as of the codec's RFC; empty for padding.
    pub payload: Bytes,
}

/// A complete access unit.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it is coded with.
    pub codec: VideoCodec,
    /// Its bytes, for H.264 in Annex B form.
    pub data: Bytes,
    /// How it is to be turned: as it says, or as the last one that said so.
    pub rotation: Rotation,
    /// RTP timestamp (90 kHz).
    pub timestamp: u32,
    /// It stands alone; for H.264: it holds an IDR slice.
    pub is_keyframe: bool,
    /// When its last missing packet arrived.
    pub completed: Instant,
    /// Nothing was lost between this frame and the one delivered before it.
    pub contiguous: bool,
}

/// Counters since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssemblerStats {
    /// Access units delivered.
    pub frames: u64,
    /// Complete access units thrown away while waiting for a key frame.
    pub skipped: u64,
    /// Access units whose payloads did not make sense.
    pub malformed: u64,
    /// Holes that were not filled in time.
    pub given_up: u64,
    /// Packets that came after their place was given up, or twice.
    pub late: u64,
    /// Times the sender began to count anew.
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

/// See the module.
#[derive(Debug)]
pub struct Assembler {
    extender: SequenceExtender,
    packets: BTreeMap<u64, Slot>,
    buffered_bytes: usize,
    /// First packet of the access unit to be completed next.
    next: Option<u64>,
    /// `next` is known to begin an access unit, since the one before it was seen to end.
    at_boundary: bool,
    /// Everything from `next` up to here is present and belongs to one unfinished access unit.
    scanned: u64,
    /// An access unit was taken out, so packets before `next` are late rather than early.
    started: bool,
    late_in_a_row: u32,
    /// The hole that has been open for so long that a key frame was asked for.
    doubted: Option<u64>,
    /// How long holes were open until they were filled, by and large. A server may have to ask the sender for the packet,
    /// which is a longer route than the one to the server.
    repair: Option<Duration>,
    awaiting_keyframe: bool,
    lost_since_frame: bool,
    /// RTP time of the last picture that could be taken out.
    last_timestamp: Option<u32>,
    /// Codec of the last delivered frame, and its place among temporal layers.
    last_codec: Option<VideoCodec>,
    last_place: Option<TemporalPlace>,
    /// As a picture said last.
    rotation: Rotation,
    parameter_sets: BytesMut,
    keyframe_requests: KeyframeRequests,
    ready: VecDeque<Frame>,
    stats: AssemblerStats,
}

/// What the next access unit looks like so far.
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
            doubted: None,
            repair: None,
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
    /// Takes one packet in the order of arrival.
    pub fn push(&mut self, packet: Packet, now: Instant) {
        self.keyframe_requests.stream_began(now);
        if packet.codec.begins_keyframe(&packet.payload) {
            self.keyframe_requests.answered();
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
                if self.late_in_a_row < RESTART_AFTER_LATE {
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
            self.repair = Some(self.repair.map_or(took, |known| {
                let gain = if took > known { LONGER_REPAIR } else { SHORTER_REPAIR };
                known.mul_f64(1.0 - gain) + took.mul_f64(gain)
            }));
        }
        self.buffered_bytes += packet.payload.len();
        let Packet { timestamp, marker, codec, rotation, payload, .. } = packet;
        self.packets.insert(number, Slot { timestamp, marker, codec, rotation, payload, arrival: now });
        if self.packets.len() > MAX_BUFFERED_PACKETS || self.buffered_bytes > MAX_BUFFERED_BYTES {
            self.overflow();
        }
        if self.is_behind_outage() && !self.is_in_doubt() {
            self.doubted = Some(self.scanned);
            self.keyframe_requests.want_at_once();
        }
        self.drain(now);
    }

    /// Lets time pass: doubts holes that stayed open for [`doubt_timeout`], gives them up after
    /// [`gap_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, rtt: Duration) {
        let rtt = self.repair_time(rtt);
        let doubtful =
            self.gap_opened().is_some_and(|opened| now.saturating_duration_since(opened) >= doubt_timeout(rtt));
        if doubtful && self.doubted != Some(self.scanned) {
            self.doubted = Some(self.scanned);
            // What waits behind the hole may need nothing of it.
            self.drain(now);
            if self.is_in_doubt() {
                self.keyframe_requests.want();
            }
        }
        while self.gap_opened().is_some_and(|opened| now.saturating_duration_since(opened) >= gap_timeout(rtt)) {
            let Some((&number, _)) = self.packets.range(self.scanned + 1..).next() else { return };
            self.stats.given_up += 1;
            self.lose();
            self.discard_before(number);
            self.move_to(number, false);
            self.drain(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`take_keyframe_request`](Self::take_keyframe_request)
    /// has something to do next.
    #[must_use]
    pub fn next_timeout(&self, rtt: Duration) -> Option<Instant> {
        let rtt = self.repair_time(rtt);
        let limit = if self.is_in_doubt() { gap_timeout(rtt) } else { doubt_timeout(rtt) };
        let gap = self.gap_opened().map(|opened| opened + limit);
        let needs_keyframe = self.awaiting_keyframe || self.is_in_doubt();
        [gap, self.keyframe_requests.next_timeout(needs_keyframe, rtt)].into_iter().flatten().min()
    }

    /// The next complete access unit, in order.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Whether a key frame has to be requested from the sender now. Repeats at a limited rate until one arrives.
    pub fn take_keyframe_request(&mut self, now: Instant, rtt: Duration) -> bool {
        let rtt = self.repair_time(rtt);
        self.keyframe_requests.take(self.awaiting_keyframe || self.is_in_doubt(), now, rtt)
    }

    /// Asks for a key frame on behalf of the consumer; delivery goes on meanwhile.
    pub fn request_keyframe(&mut self) {
        self.keyframe_requests.want();
    }

    /// The consumer dropped frames: deliver nothing until the next key frame, and ask for it.
    pub fn require_keyframe(&mut self) {
        self.ready.clear();
        self.last_place = None;
        self.lose();
    }

    /// Sequence number before which nothing is of use any more.
    #[must_use]
    pub fn oldest_wanted(&self) -> Option<u16> {
        self.next.map(|next| next as u16)
    }

    /// Counters so far.
    #[must_use]
    pub fn stats(&self) -> AssemblerStats {
        self.stats
    }

    /// Round trip to whoever has what is missing.
    fn repair_time(&self, rtt: Duration) -> Duration {
        self.repair.map_or(rtt, |repair| repair.max(rtt))
    }

    fn is_in_doubt(&self) -> bool {
        self.doubted == Some(self.scanned)
    }

    /// Whether the hole in front of what waits is that of an outage.
    fn is_behind_outage(&self) -> bool {
        if self.packets.contains_key(&self.scanned) {
            return false;
        }
        let (Some(last), Some((&number, slot))) = (self.last_timestamp, self.packets.range(self.scanned + 1..).next())
        else {
            return false;
        };
        number - self.scanned >= OUTAGE_PACKETS && OUTAGE_TIME.contains(&slot.timestamp.wrapping_sub(last))
    }

    fn lose(&mut self) {
        self.lost_since_frame = true;
        self.awaiting_keyframe = true;
        self.keyframe_requests.want();
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
        self.lose();
    }

    fn overflow(&mut self) {
        self.stats.given_up += 1;
        self.packets.clear();
        self.buffered_bytes = 0;
        self.lose();
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

    /// When the hole in front of the next access unit was first noticed.
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
                    let may_jump = self.awaiting_keyframe || self.is_in_doubt();
                    if !(may_jump && self.jump_over(number)) {
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

    /// While nothing else helps, holes in front of a complete frame that needs none of what is missing are not waited for.
    fn jump_over(&mut self, hole: u64) -> bool {
        let last = self.last_place.filter(|_| !self.awaiting_keyframe);
        let needs_nothing = |slot: &Slot| {
            let place = || slot.codec.place(&slot.payload);
            slot.codec.begins_keyframe(&slot.payload)
                || last.is_some_and(|last| place().is_some_and(|place| place.follows(last)))
        };
        let starts = self.packets.range(hole + 1..).filter(|(_, slot)| needs_nothing(slot));
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
                self.lose();
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
            self.lose();
        }
        // A hole that swallowed only pictures of upper temporal layers harms none of the others.
        let follows = !other_codec && self.last_place.zip(place).is_some_and(|(last, place)| place.follows(last));
        if self.awaiting_keyframe && !unit.is_keyframe && !follows {
            self.stats.skipped += 1;
            self.parameter_sets.clear();
            return;
        }
        if unit.is_keyframe || self.awaiting_keyframe {
            self.awaiting_keyframe = false;
            self.keyframe_requests.satisfied();
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
