//! Puts received packets back into an even stream of audio, no later than the network makes necessary.
//!
//! Sans-IO: [`JitterBuffer::insert`] takes packets, [`JitterBuffer::pull`] gives 10 ms at a time, and both get the time from
//! outside. Packets wait in order of their extended sequence number (RFC 3550). Lost ones are recovered from the next
//! packet's in-band FEC or concealed by libopus; too much or too little delay is corrected one pitch period at a time.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::codec::{self, CodecError, OpusDecoder};
use super::delay_estimator::DelayEstimator;
use super::time_stretch::{self, Stretch};
use super::{AudioPacket, FRAME_SAMPLES, Frame, SAMPLE_RATE};

/// Samples of one millisecond.
const MS: i64 = 48;
/// A jump of the sequence number or of the transit time beyond these is another stream, or nonsense.
const MAX_SEQUENCE_JUMP: i64 = 1000;
const MAX_TRANSIT_JUMP: i64 = 2000 * MS;
/// Most packets that wait; five seconds of ordinary ones.
const MAX_PACKETS: usize = 250;
/// After this much concealment in a row playing stops and starts afresh with the next packets.
const MAX_CONCEALMENT: i64 = 100 * MS;
/// libopus conceals in multiples of this: 2.5 ms.
const PLC_STEP: i64 = 120;
/// Delay over the target from which packets are thrown away instead of played faster.
const MAX_EXCESS: i64 = 300 * MS;
/// Delay over or under the target that is left alone.
const ACCELERATE_ABOVE: f32 = 20.0 * MS as f32;
const EXPAND_BELOW: f32 = 10.0 * MS as f32;
/// Delay over the target from which every packet is shortened.
const HURRY_ABOVE: f32 = 100.0 * MS as f32;
/// Packets between two changes of length otherwise.
const STRETCH_EVERY: u32 = 3;

/// What has happened to one stream since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken, without duplicates and nonsense.
    pub packets: u64,
    /// Their payload, bytes.
    pub bytes: u64,
    /// Packets that never came (or have not yet).
    pub lost: u64,
    /// Packets that came after their place was played.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that are not Opus.
    pub malformed: u64,
    /// Times that another stream took over.
    pub restarts: u64,
    /// Samples decoded from packets.
    pub decoded_samples: u64,
    /// Samples recovered from in-band FEC.
    pub recovered_samples: u64,
    /// Samples invented for lost or late packets.
    pub concealed_samples: u64,
    /// Samples left out by playing faster.
    pub accelerated_samples: u64,
    /// Samples added by playing slower.
    pub expanded_samples: u64,
    /// Samples thrown away because far too much was waiting.
    pub discarded_samples: u64,
}

struct Stored {
    timestamp: i64,
    samples: i64,
    payload: Bytes,
}

/// Highest numbers seen, extended beyond their wrap.
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

/// See the module.
pub struct JitterBuffer {
    decoder: OpusDecoder,
    packets: BTreeMap<i64, Stored>,
    highest: Option<Extended>,
    suspect: Option<AudioPacket>,
    delay: DelayEstimator,
    state: State,
    /// Extended RTP time after the last sample in `decoded`.
    next_timestamp: i64,
    last_sequence: i64,
    decoded: Vec<f32>,
    scratch: Vec<f32>,
    /// Concealed since the last real packet, samples.
    concealed_run: i64,
    last_was_dtx: bool,
    since_stretch: u32,
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
            decoder: OpusDecoder::new()?,
            packets: BTreeMap::new(),
            highest: None,
            suspect: None,
            delay: DelayEstimator::default(),
            state: State::Waiting,
            next_timestamp: 0,
            last_sequence: 0,
            decoded: Vec::with_capacity(2 * codec::MAX_PACKET_SAMPLES),
            scratch: vec![0.0; codec::MAX_PACKET_SAMPLES],
            concealed_run: 0,
            last_was_dtx: false,
            since_stretch: 0,
            smooth_delay: 0.0,
            epoch: None,
            lost_before: 0,
            stats: JitterStats::default(),
        })
    }

    /// Takes a packet in whatever order it comes.
    pub fn insert(&mut self, packet: AudioPacket) {
        let Some(samples) = codec::packet_samples(&packet.payload) else {
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
        self.store(sequence, timestamp, arrival, samples as i64, packet.payload);
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
        if self.packets.contains_key(&sequence) {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        self.delay.on_packet(arrival, timestamp);
        let transit = arrival - timestamp;
        match &mut self.highest {
            None => {
                self.highest = Some(Extended { sequence, timestamp, transit, first_sequence: sequence, received: 1 });
            }
            Some(highest) => {
                highest.received += 1;
                highest.first_sequence = highest.first_sequence.min(sequence);
                if sequence > highest.sequence {
                    self.delay.on_hole(sequence - highest.sequence - 1);
                    (highest.sequence, highest.timestamp, highest.transit) = (sequence, timestamp, transit);
                }
            }
        }
        if self.state == State::Playing && timestamp < self.next_timestamp {
            self.stats.late += 1;
            return;
        }
        self.packets.insert(sequence, Stored { timestamp, samples, payload });
        if self.packets.len() > MAX_PACKETS {
            self.discard_first();
        }
    }

    /// Gives the next 10 ms to play, at `now`; silence when nothing is due.
    pub fn pull(&mut self, now: Instant, out: &mut Frame) {
        let now = self.clock(now);
        if self.state == State::Playing {
            self.limit_excess(now);
            let delay = self.delay_at(now) as f32;
            self.smooth_delay += (delay - self.smooth_delay) / 16.0;
        }
        while self.decoded.len() < FRAME_SAMPLES && self.refill(now) {}
        let ready = self.decoded.len().min(FRAME_SAMPLES);
        out[..ready].copy_from_slice(&self.decoded[..ready]);
        out[ready..].fill(0.0);
        self.decoded.drain(..ready);
    }

    /// How long the next sample has waited beyond the fastest way through the network, milliseconds; 0 before playing.
    pub fn delay_ms(&self) -> f64 {
        if self.state == State::Playing { f64::from(self.smooth_delay.max(0.0)) / MS as f64 } else { 0.0 }
    }

    /// How long it should wait, milliseconds.
    pub fn target_ms(&self) -> f64 {
        self.delay.target() as f64 / MS as f64
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
            return self.run_dry(FRAME_SAMPLES as i64, false);
        };
        let gap = head.timestamp - self.next_timestamp;
        if gap <= 0 {
            self.play_first();
            return true;
        }
        // The buffer was dry, and what it invented has covered the gap: go on with the packet.
        if self.concealed_run > 0 && self.delay_at(now) - gap >= self.delay.target() {
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
        let (waited, target) = (now - base + self.decoded.len() as i64, self.delay.target());
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

    fn limit_excess(&mut self, now: i64) {
        let target = self.delay.target();
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
        match self.decoder.decode(&stored.payload, &mut self.scratch) {
            Ok(samples) => {
                self.concealed_run = 0;
                self.stats.decoded_samples += samples as u64;
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
        let over = self.smooth_delay - self.delay.target() as f32;
        let input = &self.scratch[..samples];
        let rested = self.since_stretch >= STRETCH_EVERY;
        if over > HURRY_ABOVE || (over > ACCELERATE_ABOVE && rested) {
            let removed = time_stretch::stretch(input, Stretch::Accelerate, &mut self.decoded);
            self.stats.accelerated_samples += removed as u64;
            self.smooth_delay -= removed as f32;
            self.since_stretch = 0;
        } else if over < -EXPAND_BELOW && rested {
            let added = time_stretch::stretch(input, Stretch::Expand, &mut self.decoded);
            self.stats.expanded_samples += added as u64;
            self.smooth_delay += added as f32;
            self.since_stretch = 0;
        } else {
            self.decoded.extend_from_slice(input);
        }
    }

    fn recover(&mut self, next: &[u8], gap: i64) -> bool {
        let length = usize::try_from(gap).unwrap_or(0).min(self.scratch.len());
        self.next_timestamp += gap;
        match self.decoder.recover(next, &mut self.scratch[..length]) {
            Ok(()) => {
                self.stats.recovered_samples += length as u64;
                self.decoded.extend_from_slice(&self.scratch[..length]);
            }
            Err(_) => self.conceal(gap, true),
        }
        true
    }

    /// Conceals while that can sound like anything, then gives up until packets come again.
    fn run_dry(&mut self, samples: i64, silence_was_meant: bool) -> bool {
        if self.concealed_run >= MAX_CONCEALMENT {
            self.state = State::Waiting;
            return false;
        }
        let silence_was_meant = silence_was_meant || self.last_was_dtx;
        if self.concealed_run == 0 && !silence_was_meant && self.packets.is_empty() {
            self.delay.on_underrun();
        }
        self.conceal(samples, !silence_was_meant);
        true
    }

    fn conceal(&mut self, samples: i64, counts: bool) {
        let length = usize::try_from(samples).unwrap_or(0).min(self.scratch.len());
        self.concealed_run += samples;
        if counts {
            self.stats.concealed_samples += length as u64;
        }
        if self.decoder.conceal(&mut self.scratch[..length]).is_err() {
            self.scratch[..length].fill(0.0);
        }
        self.decoded.extend_from_slice(&self.scratch[..length]);
    }

    /// Samples since the first time that this buffer was given.
    fn clock(&mut self, at: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(at);
        let signed = |duration: std::time::Duration| (duration.as_secs_f64() * f64::from(SAMPLE_RATE)).round() as i64;
        if at >= epoch { signed(at - epoch) } else { -signed(epoch - at) }
    }
}

#[cfg(test)]
mod tests;
