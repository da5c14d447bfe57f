//! A minute of somebody's voice through encoder, network and jitter buffer, and what a listener has of it.

use super::cost::Cost;
use super::network::{DELAY_MS, Network};
use super::speech::Speech;
use bytes::Bytes;
use media::audio::codec::{OpusEncoder, PACKET_SAMPLES};
use media::audio::jitter_buffer::{JitterBuffer, JitterStats};
use media::audio::{AudioPacket, FRAME_SAMPLES, Frame};
use netsim::Random;
use rtp::red::RedWriter;
use std::time::{Duration, Instant};

/// Bit rate of the sender, as calls have it unless the application says otherwise.
const BITRATE_BPS: u32 = 48_000;
/// The thread that fills the speaker wakes up by so much too late, ms.
const WAKE_MS: f64 = 4.0;
/// Quieter than this on average is silence to a listener, mean square: -60 dBFS.
const SILENCE: f32 = 1e-6;
/// RTP time of the first packet: it wraps within the run.
const FIRST_TIMESTAMP: u32 = u32::MAX - 400_000;
/// Length of what is played at once, ms.
const FRAME_MS: f64 = 10.0;

/// What came of one call.
pub struct Heard {
    pub stats: JitterStats,
    /// How much later than over the fastest way each 10 ms was played, ms; NaN while nothing played.
    pub delays: Vec<f64>,
    /// First arrival of a packet until the first audio, ms.
    pub start_ms: f64,
    /// Longest silence after the first audio, ms, by when it began, ms.
    pub silence: (f64, f64),
    /// Silent time of the first two seconds after the first audio, ms.
    pub silent_at_start_ms: f64,
    /// Audio until this long after the end of the outage, ms; NaN without an outage.
    pub back_ms: f64,
    /// Time to encode 10 ms, and to take, decode and give them, microseconds.
    pub encoder_us: f64,
    pub receiver_us: f64,
    /// Share of the packets that carry a copy of the packet before, percent.
    pub redundant_percent: f64,
}

impl Heard {
    /// Share of what was played that was concealed, percent.
    pub fn concealed_percent(&self) -> f64 {
        let JitterStats { decoded_samples, recovered_samples, concealed_samples, .. } = self.stats;
        concealed_samples as f64 / (decoded_samples + recovered_samples + concealed_samples).max(1) as f64 * 100.0
    }

    /// Share recovered from redundancy, percent.
    pub fn recovered_percent(&self) -> f64 {
        let JitterStats { decoded_samples, recovered_samples, concealed_samples, .. } = self.stats;
        recovered_samples as f64 / (decoded_samples + recovered_samples + concealed_samples).max(1) as f64 * 100.0
    }

    /// Mean delay of what was played, ms.
    pub fn mean_delay_ms(&self) -> f64 {
        let played: Vec<f64> = self.delays.iter().copied().filter(|delay| delay.is_finite()).collect();
        played.iter().sum::<f64>() / played.len().max(1) as f64
    }

    /// The delay that `part` of what was played stayed under, ms.
    pub fn delay_percentile(&self, part: f64) -> f64 {
        let mut played: Vec<f64> = self.delays.iter().copied().filter(|delay| delay.is_finite()).collect();
        played.sort_by(f64::total_cmp);
        played.get(((played.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// A talker without pauses, in packets of 20 ms, and the time that encoding 10 ms took, microseconds.
fn encoded_speech(packets: usize, expected_loss_percent: u8, seed: u64) -> (Vec<Bytes>, f64) {
    let mut speech = Speech::new(seed, 110.0 + 20.0 * (seed % 6) as f64, 0.0);
    let mut encoder = OpusEncoder::new(BITRATE_BPS, expected_loss_percent, false).expect("an encoder");
    let mut cost = Cost::default();
    let mut encode = |_| {
        let samples = speech.samples::<PACKET_SAMPLES>();
        cost.of(|| encoder.encode(&samples).expect("a packet"))
    };
    let encoded = (0..packets).map(&mut encode).collect();
    (encoded, cost.median_us() / 2.0)
}

fn timestamp_of(packet: usize) -> u32 {
    FIRST_TIMESTAMP.wrapping_add((packet * PACKET_SAMPLES) as u32)
}

/// The packets as the engine sends them.
fn with_copies(packets: &[Bytes], copies: usize) -> Vec<Bytes> {
    let mut writer = RedWriter::new(111);
    writer.set_copies(copies);
    packets.iter().enumerate().map(|(number, packet)| writer.pack(timestamp_of(number), packet)).collect()
}

/// Plays `seconds` of a call over `network`. One seed is one run.
pub fn listen(network: &Network, seconds: usize, seed: u64) -> Heard {
    let (packets, encoder_us) = encoded_speech(seconds * 50, network.expected_loss_percent(), seed);
    let redundant = packets.iter().filter(|packet| media::audio::codec::has_redundancy(packet)).count();
    let packets = with_copies(&packets, network.copies());
    let arrivals = network.arrivals(packets.len(), seed);
    let mut due: Vec<(f64, usize)> =
        arrivals.iter().enumerate().filter_map(|(number, at)| at.map(|at| (at, number))).collect();
    due.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first_arrival = due.first().map_or(f64::NAN, |first| first.0);
    let mut due = due.into_iter().peekable();

    let epoch = Instant::now();
    let instant = |ms: f64| epoch + Duration::from_secs_f64(ms / 1000.0);
    let mut rng = Random::new(seed ^ 0xface);
    let mut buffer = JitterBuffer::new().expect("a decoder");
    let (mut delays, mut powers, mut cost) = (Vec::new(), Vec::new(), Cost::default());
    // In pairs of 10 ms: one packet, as a rule.
    let beats: Vec<f64> = (0..seconds * 100).map(|beat| beat as f64 * FRAME_MS + WAKE_MS * rng.unit()).collect();
    for pair in beats.chunks(2) {
        let played: Vec<(f64, Frame, Option<u32>)> = cost.of(|| {
            let play = |&now: &f64| {
                while let Some((at, number)) = due.next_if(|next| next.0 <= now) {
                    buffer.insert(AudioPacket {
                        // Both wrap within the run.
                        sequence: (65_000 + number) as u16,
                        timestamp: timestamp_of(number),
                        payload: packets[number].clone(),
                        is_redundant: true,
                        arrival: instant(at),
                    });
                }
                let mut frame = [0.0; FRAME_SAMPLES];
                buffer.pull(instant(now), &mut frame);
                (now, frame, buffer.next_timestamp())
            };
            pair.iter().map(play).collect()
        });
        for (now, frame, next) in played {
            // What is played now was in a packet that could have come, at best, at that time.
            let at_best = |samples: u32| {
                network.sent_ms((f64::from(samples) - FRAME_SAMPLES as f64) / PACKET_SAMPLES as f64) + DELAY_MS
            };
            let after = next.map(|at| at.wrapping_sub(FIRST_TIMESTAMP));
            delays.push(after.map_or(f64::NAN, |samples| now - at_best(samples)));
            powers.push(frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME_SAMPLES as f32);
        }
    }
    let start = powers.iter().position(|power| *power > SILENCE).unwrap_or(powers.len());
    let end = network.outage.end;
    let back = powers.iter().enumerate().position(|(beat, power)| beat as f64 * FRAME_MS >= end && *power > SILENCE);
    Heard {
        stats: buffer.stats(),
        delays,
        start_ms: start as f64 * FRAME_MS - first_arrival,
        silence: longest_silence(&powers[start.min(powers.len())..]),
        silent_at_start_ms: powers.iter().skip(start).take(200).filter(|power| **power <= SILENCE).count() as f64
            * FRAME_MS,
        back_ms: back.filter(|_| end > 0.0).map_or(f64::NAN, |beat| beat as f64 * FRAME_MS - end),
        encoder_us,
        receiver_us: cost.median_us() / 2.0,
        redundant_percent: redundant as f64 / packets.len() as f64 * 100.0,
    }
}

fn longest_silence(powers: &[f32]) -> (f64, f64) {
    let (mut longest, mut began, mut run) = (0, 0, 0);
    for (beat, power) in powers.iter().enumerate() {
        run = if *power <= SILENCE { run + 1 } else { 0 };
        if run > longest {
            (longest, began) = (run, beat + 1 - run);
        }
    }
    (longest as f64 * FRAME_MS, began as f64 * FRAME_MS)
}
