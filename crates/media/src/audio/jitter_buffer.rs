//! The jitter buffer of one stream: packets in, an even stream of audio out, with no more delay than the network requires.
//!
//! Sans-IO: [`JitterBuffer::insert`] takes packets, [`JitterBuffer::pull`] returns 10 ms at a time, and both get the time as
//! an argument. Packets wait in order of their extended sequence number (RFC 3550). Lost ones are replaced by copies inside
//! later ones (RFC 2198), recovered from the next one's in-band FEC, or concealed by libopus; too much or too little delay
//! is corrected one pitch period at a time.

use rtp::red::{RedBlock, RedPayload};
use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::codec::{self, CodecError};
use super::delay_estimator::{self, DelayEstimator};
use super::stereo::StereoFrame;
use super::stream_decoder::StreamDecoder;
use super::time_stretch::{self, Limits, Stretch};
use super::{AudioPacket, FRAME_SAMPLES, Frame, SAMPLE_RATE};

/// Samples of one millisecond.
const MS: i64 = 48;
/// A jump of the sequence number beyond this, or of the transit time beyond the next, is another stream or invalid.
const MAX_SEQUENCE_JUMP: i64 = 1000;
const MAX_TRANSIT_JUMP: i64 = 2000 * MS;
/// Upper bound of waiting packets: five seconds of ordinary ones.
const MAX_PACKETS: usize = 250;
/// After this much concealment in a row playing stops and starts afresh with the next packets.
const MAX_CONCEALMENT: i64 = 100 * MS;
/// libopus conceals in multiples of this: 2.5 ms.
const PLC_STEP: i64 = 120;
/// Delay over the target from which packets are thrown away instead of played faster.
const MAX_EXCESS: i64 = 300 * MS;
/// Slack over the target from which playout is accelerated; one step may remove a whole frame of it.
const ACCELERATE_ABOVE: f32 = 12.0 * MS as f32;
/// Slack under the target from which playing is slower.
const EXPAND_BELOW: f32 = delay_estimator::TOLERANCE as f32;
/// Audio decoded too early, because packets do not begin where frames do, is removed from this amount on.
const TIDY_ABOVE: usize = 5 * MS as usize;
/// Slack over the target from which every packet is shortened.
const HURRY_ABOVE: f32 = 100.0 * MS as f32;
/// Packets between two changes of length otherwise.
const STRETCH_EVERY: u32 = 3;
/// A pause is audio this far below the loudest of the last seconds, as a share of its mean square: 25 dB. There a seam is
/// inaudible in any room.
const PAUSE_SHARE: f32 = 0.003;
/// What remains of the loudest after one more packet (half after 3 s).
const LOUDEST_DECAY: f32 = 0.9955;

/// Counters of one stream since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Accepted packets, without duplicates and invalid ones.
    pub packets: u64,
    /// Those of them that carried earlier ones in front.
    pub with_copies: u64,
    /// Their payload, bytes.
    pub bytes: u64,
    /// Packets that have not arrived (so far).
    pub lost: u64,
    /// Packets that arrived after their time.
    pub late: u64,
    /// Packets that arrived twice.
    pub duplicates: u64,
    /// Packets that are not Opus.
    pub malformed: u64,
    /// Number of times that another stream took over.
    pub restarts: u64,
    /// Samples decoded from packets.
    pub decoded_samples: u64,
    /// Samples recovered from redundancy in later packets.
    pub recovered_samples: u64,
    /// Samples concealed for lost or late packets.
    pub concealed_samples: u64,
    /// Times that some had to be, however many.
    pub gaps: u64,
    /// Samples skipped by playing faster.
    pub accelerated_samples: u64,
    /// Samples added by playing slower.
    pub expanded_samples: u64,
    /// Samples thrown away because far too much was waiting.
    pub discarded_samples: u64,
}

/// How long audio may and should wait, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayRange {
    /// Minimum.
    pub min_ms: f64,
    /// Maximum; packets that arrive later are lost.
    pub max_ms: f64,
    /// In addition to what the network requires.
    pub extra_ms: f64,
}

impl Default for DelayRange {
    fn default() -> Self {
        Self { min_ms: 0.0, max_ms: 4000.0, extra_ms: 0.0 }
    }
}

struct Stored {
    timestamp: i64,
    samples: i64,
    payload: Bytes,
    /// It is a copy from a later packet; the packet itself has not arrived.
    is_copy: bool,
}

/// Highest numbers so far, extended beyond their wrap.
struct Extended {
    sequence: i64,
    timestamp: i64,
    transit: i64,
    first_sequence: i64,
    received: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Silence until a packet is due.
    Waiting,
    Playing,
}

/// The jitter buffer of one stream.
pub struct JitterBuffer {
    decoder: StreamDecoder,
    packets: BTreeMap<i64, Stored>,
    highest: Option<Extended>,
    suspect: Option<AudioPacket>,
    delay: DelayEstimator,
    range: DelayRange,
    state: State,
    /// Extended RTP time after the last sample in `decoded`.
    next_timestamp: i64,
    last_sequence: i64,
    decoded: Vec<f32>,
    /// The right channel of it; empty while the stream is mono.
    decoded_right: Vec<f32>,
    /// Concealed since the last real packet, samples.
    concealed_run: i64,
    last_was_dtx: bool,
    /// Samples left of the previous packet when the last one was needed: older audio without more safety.
    carried: usize,
    since_stretch: u32,
    /// Mean square of the loudest recent packet.
    loudest: f32,
    /// Smoothed delay, samples.
    smooth_delay: f32,
    epoch: Option<Instant>,
    lost_before: u64,
    stats: JitterStats,
}

impl JitterBuffer {
    /// Makes an empty buffer.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            decoder: StreamDecoder::new()?,
            packets: BTreeMap::new(),
            highest: None,
            suspect: None,
            delay: DelayEstimator::default(),
            range: DelayRange::default(),
            state: State::Waiting,
            next_timestamp: 0,
            last_sequence: 0,
            decoded: Vec::with_capacity(2 * codec::MAX_PACKET_SAMPLES),
            decoded_right: Vec::new(),
            concealed_run: 0,
            last_was_dtx: false,
            carried: 0,
            since_stretch: 0,
            loudest: 0.0,
            smooth_delay: 0.0,
            epoch: None,
            lost_before: 0,
            stats: JitterStats::default(),
        })
    }

    /// Adds a packet, in any order.
    pub fn insert(&mut self, packet: AudioPacket) {
        let Some((payload, copies)) = take_apart(&packet) else {
            self.stats.malformed += 1;
            return;
        };
        let Some(samples) = codec::packet_samples(&payload) else {
            self.stats.malformed += 1;
            return;
        };
        let arrival = self.clock(packet.arrival);
        let (sequence, timestamp) = match &self.highest {
            None => (i64::from(packet.sequence), i64::from(packet.timestamp)),
            Some(highest) => (
                highest.sequence + i64::from(packet.sequence.wrapping_sub(highest.sequence as u16) as i16),
                highest.timestamp + i64::from(packet.timestamp.wrapping_sub(highest.timestamp as u32) as i32),
            ),
        };
        let transit = arrival - timestamp;
        if self.highest.as_ref().is_some_and(|highest| {
            (sequence - highest.sequence).abs() > MAX_SEQUENCE_JUMP
                || (transit - highest.transit).abs() > MAX_TRANSIT_JUMP
        }) {
            self.on_suspect(packet);
            return;
        }
        self.stats.with_copies += u64::from(!copies.is_empty());
        self.store(sequence, timestamp, arrival, samples as i64, payload);
        for (offset, payload) in copies {
            self.insert_copy((sequence, timestamp), offset, arrival, payload);
        }
    }

    /// Adds a copy from the packet with these numbers, `offset` samples older than it. It is no arrival: it only says how long
    /// a lost packet has to be waited for.
    fn insert_copy(&mut self, (sequence, timestamp): (i64, i64), offset: i64, arrival: i64, payload: Bytes) {
        let Some(samples) = codec::packet_samples(&payload).map(|samples| samples as i64) else { return };
        let first = self.highest.as_ref().map_or(sequence, |highest| highest.first_sequence);
        let timestamp = timestamp - offset;
        // As a rule all packets have the same length; others are refused below.
        let back = (offset / samples).max(1);
        let copied = sequence - back;
        if offset < samples || copied < first {
            return;
        }
        self.delay.on_copy(copied, arrival, timestamp);
        if codec::has_redundancy(&payload) && copied > first {
            self.delay.on_copy(copied - 1, arrival, timestamp - samples);
        }
        let is_played =
            self.state == State::Playing && (timestamp < self.next_timestamp || copied <= self.last_sequence);
        let before = self.packets.range(..copied).next_back();
        let after = self.packets.range(copied..).next();
        let fits = before.is_none_or(|(_, before)| before.timestamp + before.samples <= timestamp)
            && after.is_some_and(|(&next, after)| next != copied && timestamp + samples <= after.timestamp);
        if !is_played && fits {
            self.packets.insert(copied, Stored { timestamp, samples, payload, is_copy: true });
        }
    }

    /// A packet that does not fit: two in a row that fit each other are a new stream (RFC 3550, A.1).
    fn on_suspect(&mut self, packet: AudioPacket) {
        let follows = |first: &AudioPacket| {
            packet.sequence == first.sequence.wrapping_add(1)
                && i64::from(packet.timestamp.wrapping_sub(first.timestamp)) < MAX_TRANSIT_JUMP
        };
        match self.suspect.take() {
            Some(first) if follows(&first) => {
                self.lost_before = self.lost();
                self.packets.clear();
                self.highest = None;
                self.delay.reset();
                self.decoder.reset();
                self.state = State::Waiting;
                self.stats.restarts += 1;
                self.insert(first);
                self.insert(packet);
            }
            _ => self.suspect = Some(packet),
        }
    }

    fn store(&mut self, sequence: i64, timestamp: i64, arrival: i64, samples: i64, payload: Bytes) {
        self.suspect = None;
        if self.packets.get(&sequence).is_some_and(|stored| !stored.is_copy) {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        self.delay.on_packet(sequence, arrival, timestamp);
        if codec::has_redundancy(&payload) {
            self.delay.on_copy(sequence - 1, arrival, timestamp - samples);
        }
        let transit = arrival - timestamp;
        match &mut self.highest {
            None => {
                self.highest = Some(Extended { sequence, timestamp, transit, first_sequence: sequence, received: 1 });
            }
            Some(highest) => {
                highest.received += 1;
                highest.first_sequence = highest.first_sequence.min(sequence);
                if sequence > highest.sequence {
                    (highest.sequence, highest.timestamp, highest.transit) = (sequence, timestamp, transit);
                }
            }
        }
        if self.state == State::Playing && timestamp < self.next_timestamp {
            self.stats.late += 1;
            self.delay.on_late(arrival, timestamp);
            return;
        }
        self.packets.insert(sequence, Stored { timestamp, samples, payload, is_copy: false });
        if self.packets.len() > MAX_PACKETS {
            self.discard_first();
        }
    }

    /// The next 10 ms to play, at `now`, as mono; silence when nothing is due.
    pub fn pull(&mut self, now: Instant, out: &mut Frame) {
        *out = self.pull_stereo(now).mono();
    }

    /// The next 10 ms to play, at `now`; silence when nothing is due.
    pub fn pull_stereo(&mut self, now: Instant) -> StereoFrame {
        let now = self.clock(now);
        self.delay.on_pull(now);
        if self.state == State::Playing {
            self.limit_excess(now);
            let delay = self.delay_at(now) as f32;
            self.smooth_delay += (delay - self.smooth_delay) / 16.0;
        }
        while self.decoded.len() < FRAME_SAMPLES && self.refill(now) {}
        let ready = self.decoded.len().min(FRAME_SAMPLES);
        let mut frame = StereoFrame::SILENCE;
        frame.left[..ready].copy_from_slice(&self.decoded[..ready]);
        self.decoded.drain(..ready);
        if self.decoder.is_stereo() {
            let ready = self.decoded_right.len().min(ready);
            frame.right[..ready].copy_from_slice(&self.decoded_right[..ready]);
            self.decoded_right.drain(..ready);
        } else {
            frame.right = frame.left;
        }
        frame
    }

    /// How long the next sample has waited beyond the fastest path through the network, milliseconds; 0 before playout.
    pub fn delay_ms(&self) -> f64 {
        if self.state == State::Playing { f64::from(self.smooth_delay.max(0.0)) / MS as f64 } else { 0.0 }
    }

    /// How long it should wait, milliseconds.
    pub fn target_ms(&self) -> f64 {
        self.target() as f64 / MS as f64
    }

    /// Sets how long it may and should wait.
    pub fn set_delay(&mut self, range: DelayRange) {
        self.range = range;
    }

    /// RTP time of the next sample of [`pull`](Self::pull); `None` while nothing plays.
    pub fn next_timestamp(&self) -> Option<u32> {
        // The RTP clock wraps by design.
        (self.state == State::Playing).then(|| (self.next_timestamp - self.decoded.len() as i64) as u32)
    }

    /// How long it should wait, samples.
    fn target(&self) -> i64 {
        let samples = |ms: f64| (ms * MS as f64) as i64;
        let (least, most) = (samples(self.range.min_ms), samples(self.range.max_ms));
        (self.delay.target() + samples(self.range.extra_ms)).max(least).min(most.max(least))
    }

    /// Counters since the beginning.
    pub fn stats(&self) -> JitterStats {
        JitterStats { lost: self.lost(), ..self.stats }
    }

    fn lost(&self) -> u64 {
        let current = self.highest.as_ref().map_or(0, |highest| {
            let expected = u64::try_from(highest.sequence - highest.first_sequence + 1).unwrap_or(0);
            expected.saturating_sub(highest.received)
        });
        self.lost_before + current
    }

    /// Decodes or invents some more; false when nothing is due.
    fn refill(&mut self, now: i64) -> bool {
        if self.state == State::Waiting && !self.try_start(now) {
            return false;
        }
        self.drop_late();
        let Some((&sequence, head)) = self.packets.first_key_value() else {
            let missing = (FRAME_SAMPLES - self.decoded.len().min(FRAME_SAMPLES)) as i64;
            return self.run_dry((missing + PLC_STEP - 1) / PLC_STEP * PLC_STEP, false);
        };
        let gap = head.timestamp - self.next_timestamp;
        if gap <= 0 {
            self.play_first();
            return true;
        }
        // The buffer was empty and concealment has covered the gap: continue with the packet.
        if self.concealed_run > 0 && self.slack_at(now) - gap >= self.target() {
            self.next_timestamp = head.timestamp;
            self.smooth_delay = self.delay_at(now) as f32;
            return true;
        }
        let missing = sequence - self.last_sequence - 1;
        if missing > 0 && gap == head.samples {
            let next = head.payload.clone();
            return self.recover(&next, gap);
        }
        // Conceal up to where the redundancy of the next packet begins. Silence that was not sent (DTX) is no loss.
        let step = if gap > head.samples { (gap - head.samples).min(head.samples) } else { gap };
        let played = self.run_dry(step.max(PLC_STEP) / PLC_STEP * PLC_STEP, missing == 0);
        if played {
            self.next_timestamp += step;
        }
        played
    }

    /// Starts with the newest packet that is due.
    fn try_start(&mut self, now: i64) -> bool {
        let Some(base) = self.delay.base() else { return false };
        let (waited, target) = (now - base, self.target() - delay_estimator::TOLERANCE);
        let due: Vec<i64> = self
            .packets
            .iter()
            .take_while(|(_, stored)| waited - stored.timestamp >= target)
            .map(|(&sequence, _)| sequence)
            .collect();
        let Some(&start) = due.last() else { return false };
        for _ in 1..due.len() {
            self.discard_first();
        }
        let Some(stored) = self.packets.get(&start) else { return false };
        self.next_timestamp = stored.timestamp;
        self.last_sequence = start - 1;
        self.state = State::Playing;
        self.concealed_run = 0;
        self.smooth_delay = self.delay_at(now) as f32;
        true
    }

    /// Delay of the next sample to play against the fastest way through the network, samples.
    fn delay_at(&self, now: i64) -> i64 {
        now - self.delay.base().unwrap_or(0) - (self.next_timestamp - self.decoded.len() as i64)
    }

    /// How long the next packet could have been waiting if it is needed now, against the fastest way, samples.
    fn slack_at(&self, now: i64) -> i64 {
        self.delay_at(now) - self.decoded.len() as i64
    }

    fn limit_excess(&mut self, now: i64) {
        let target = self.target();
        if self.delay_at(now) < target + MAX_EXCESS {
            return;
        }
        while self.packets.len() > 1 {
            let Some((_, head)) = self.packets.first_key_value() else { break };
            let after = head.timestamp + head.samples;
            if now - self.delay.base().unwrap_or(0) - (after - self.decoded.len() as i64) < target {
                break;
            }
            self.next_timestamp = after;
            self.discard_first();
        }
        self.smooth_delay = self.delay_at(now) as f32;
    }

    fn discard_first(&mut self) {
        if let Some((sequence, stored)) = self.packets.pop_first() {
            self.stats.discarded_samples += stored.samples.unsigned_abs();
            self.last_sequence = sequence;
        }
    }

    fn drop_late(&mut self) {
        while let Some(first) = self.packets.first_entry() {
            if first.get().timestamp + first.get().samples > self.next_timestamp {
                break;
            }
            self.stats.late += 1;
            first.remove();
        }
    }

    fn play_first(&mut self) {
        let Some((sequence, stored)) = self.packets.pop_first() else { return };
        self.next_timestamp = stored.timestamp + stored.samples;
        self.last_sequence = sequence;
        // One or two bytes are a table of contents without audio: the sender has fallen silent.
        self.last_was_dtx = stored.payload.len() <= 2;
        let was_stereo = self.decoder.is_stereo();
        let decoded = self.decoder.decode(&stored.payload);
        if self.decoder.is_stereo() && !was_stereo {
            self.decoded_right.clone_from(&self.decoded);
        }
        match decoded {
            Ok(samples) => {
                self.concealed_run = 0;
                let kind =
                    if stored.is_copy { &mut self.stats.recovered_samples } else { &mut self.stats.decoded_samples };
                *kind += samples as u64;
                self.append_stretched(samples);
            }
            Err(_) => {
                self.stats.malformed += 1;
                self.conceal(stored.samples, true);
            }
        }
    }

    fn append_stretched(&mut self, samples: usize) {
        self.since_stretch = self.since_stretch.saturating_add(1);
        self.loudest = (self.loudest * LOUDEST_DECAY).max(time_stretch::power(self.decoder.left(samples)));
        self.carried = self.decoded.len();
        let over = self.smooth_delay - self.carried as f32 - self.target() as f32;
        let rested = self.since_stretch >= STRETCH_EVERY;
        let (direction, most) = if over > HURRY_ABOVE || (over > ACCELERATE_ABOVE && rested) {
            (Stretch::Accelerate, usize::MAX)
        } else if over < -EXPAND_BELOW && rested {
            (Stretch::Expand, usize::MAX)
        } else if self.carried > TIDY_ABOVE && rested {
            (Stretch::Accelerate, self.carried)
        } else {
            self.append(samples);
            return;
        };
        let left = self.decoder.left(samples);
        let quiet = (self.loudest * PAUSE_SHARE).max(time_stretch::QUIET_POWER);
        let changed = if self.decoder.is_stereo() {
            let out = [&mut self.decoded, &mut self.decoded_right];
            time_stretch::stretch_pair([left, self.decoder.right(samples)], direction, Limits { most, quiet }, out)
        } else {
            time_stretch::stretch(left, direction, Limits { most, quiet }, &mut self.decoded)
        };
        match direction {
            Stretch::Accelerate => {
                self.stats.accelerated_samples += changed as u64;
                self.smooth_delay -= changed as f32;
            }
            Stretch::Expand => {
                self.stats.expanded_samples += changed as u64;
                self.smooth_delay += changed as f32;
            }
        }
        self.since_stretch = 0;
    }

    /// Appends the last decoded audio unchanged.
    fn append(&mut self, samples: usize) {
        self.decoded.extend_from_slice(self.decoder.left(samples));
        if self.decoder.is_stereo() {
            self.decoded_right.extend_from_slice(self.decoder.right(samples));
        }
    }

    fn recover(&mut self, next: &[u8], gap: i64) -> bool {
        let length = usize::try_from(gap).unwrap_or(0).min(codec::MAX_PACKET_SAMPLES);
        self.next_timestamp += gap;
        match self.decoder.recover(next, length) {
            Ok(()) => {
                // Without a copy inside, libopus has concealed.
                if codec::has_redundancy(next) {
                    self.stats.recovered_samples += length as u64;
                } else {
                    self.stats.gaps += u64::from(self.concealed_run == 0);
                    self.stats.concealed_samples += length as u64;
                }
                self.append(length);
            }
            Err(_) => self.conceal(gap, true),
        }
        true
    }

    /// Conceals while that is plausible, then is silent until packets arrive.
    fn run_dry(&mut self, samples: i64, silence_was_meant: bool) -> bool {
        if self.concealed_run >= MAX_CONCEALMENT {
            self.state = State::Waiting;
            return false;
        }
        let silence_was_meant = silence_was_meant || self.last_was_dtx;
        self.conceal(samples, !silence_was_meant);
        true
    }

    fn conceal(&mut self, samples: i64, counts: bool) {
        let length = usize::try_from(samples).unwrap_or(0).min(codec::MAX_PACKET_SAMPLES);
        if counts {
            self.stats.gaps += u64::from(self.concealed_run == 0);
            self.stats.concealed_samples += length as u64;
        }
        self.concealed_run += samples;
        self.decoder.conceal(length);
        self.append(length);
    }

    /// Samples since the first time that was passed in.
    fn clock(&mut self, at: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(at);
        let signed = |duration: std::time::Duration| (duration.as_secs_f64() * f64::from(SAMPLE_RATE)).round() as i64;
        if at >= epoch { signed(at - epoch) } else { -signed(epoch - at) }
    }
}

/// The packet's own audio, and the copies of earlier audio in it by how many samples they are older.
fn take_apart(packet: &AudioPacket) -> Option<(Bytes, Vec<(i64, Bytes)>)> {
    if !packet.is_redundant {
        return Some((packet.payload.clone(), Vec::new()));
    }
    let red = RedPayload::parse(&packet.payload)?;
    let is_audio = |block: &&RedBlock| block.payload_type == red.primary.payload_type && !block.payload.is_empty();
    // The newest first: the older ones are then known to come before something.
    let copies = red.copies.iter().rev().filter(is_audio);
    let content = |block: &RedBlock| packet.payload.slice_ref(block.payload);
    Some((content(&red.primary), copies.map(|block| (i64::from(block.offset), content(block))).collect()))
}

#[cfg(test)]
mod tests;
