//! One seed is one run: the network is simulated, the oracles are what a listener would notice.

use std::time::{Duration, Instant};

use super::super::codec::{OpusEncoder, PACKET_SAMPLES};
use super::super::level::{rms_dbfs, tone_amplitude};
use super::*;
use rtp::red::RedWriter;

/// xorshift; enough for networks.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0..1
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Clone)]
struct Arrival {
    ms: f64,
    sequence: u16,
    timestamp: u32,
    payload: Bytes,
    is_redundant: bool,
}

/// The same as packets that carry earlier ones.
fn with_copies(arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let mut writer = RedWriter::new(111);
    writer.set_copies(2);
    let pack = |arrival: Arrival| Arrival {
        payload: writer.pack(arrival.timestamp, &arrival.payload),
        is_redundant: true,
        ..arrival
    };
    arrivals.into_iter().map(pack).collect()
}

/// A sender of a 440 Hz hum; `first` are the first sequence number and timestamp.
fn hum(packets: usize, first: (u16, u32)) -> Vec<Arrival> {
    let mut encoder = OpusEncoder::new(48_000, 20, false).unwrap();
    (0..packets)
        .map(|packet| {
            let mut samples = [0.0; PACKET_SAMPLES];
            for (index, sample) in samples.iter_mut().enumerate() {
                let at = (packet * PACKET_SAMPLES + index) as f64 / 48_000.0;
                *sample = (0.1 * (std::f64::consts::TAU * 440.0 * at).sin()) as f32;
            }
            Arrival {
                ms: packet as f64 * 20.0,
                sequence: first.0.wrapping_add(packet as u16),
                timestamp: first.1.wrapping_add((packet * PACKET_SAMPLES) as u32),
                payload: encoder.encode(&samples).unwrap(),
                is_redundant: false,
            }
        })
        .collect()
}

struct Listener {
    buffer: JitterBuffer,
    epoch: Instant,
    heard: Vec<f32>,
    /// Every 10 ms.
    delays: Vec<f64>,
    concealed: Vec<u64>,
}

impl Listener {
    fn new() -> Self {
        Self {
            buffer: JitterBuffer::new().unwrap(),
            epoch: Instant::now(),
            heard: Vec::new(),
            delays: Vec::new(),
            concealed: Vec::new(),
        }
    }

    fn at(&self, ms: f64) -> Instant {
        self.epoch + Duration::from_secs_f64(ms / 1000.0)
    }

    /// Receives and plays until `until_ms`.
    fn listen(&mut self, mut arrivals: Vec<Arrival>, until_ms: u64) {
        arrivals.sort_by(|a, b| a.ms.total_cmp(&b.ms));
        let mut arrivals = arrivals.into_iter().peekable();
        for ms in (self.delays.len() as u64 * 10..until_ms).step_by(10) {
            while let Some(next) = arrivals.next_if(|next| next.ms <= ms as f64) {
                let arrival = self.at(next.ms);
                let Arrival { sequence, timestamp, payload, is_redundant, .. } = next;
                self.buffer.insert(AudioPacket { sequence, timestamp, payload, is_redundant, arrival });
            }
            let mut frame = [0.0; FRAME_SAMPLES];
            self.buffer.pull(self.at(ms as f64 + 1.0), &mut frame);
            self.heard.extend_from_slice(&frame);
            self.delays.push(self.buffer.delay_ms());
            self.concealed.push(self.buffer.stats().concealed_samples / 48);
        }
    }

    /// When the tone is first audible, milliseconds.
    fn first_sound_ms(&self) -> usize {
        self.heard.iter().position(|sample| sample.abs() > 0.02).unwrap_or(usize::MAX) / 48
    }

    /// Share of the 20 ms pieces between two times in which the tone is not as it should be.
    fn broken(&self, from_ms: usize, to_ms: usize) -> f64 {
        let pieces: Vec<_> = self.heard[from_ms * 48..to_ms * 48].chunks_exact(960).collect();
        let good = |piece: &&&[f32]| (0.07..0.13).contains(&tone_amplitude(piece, 440.0));
        1.0 - pieces.iter().filter(good).count() as f64 / pieces.len() as f64
    }

    /// Share of the 20 ms pieces between two times in which next to nothing is heard. (For a pure hum Opus sends little
    /// redundancy, so what stands in for a lost packet is some 8 dB quieter.)
    fn silent(&self, from_ms: usize, to_ms: usize) -> f64 {
        let pieces: Vec<_> = self.heard[from_ms * 48..to_ms * 48].chunks_exact(960).collect();
        pieces.iter().filter(|piece| rms_dbfs(piece) < -40.0).count() as f64 / pieces.len() as f64
    }

    fn delay_between(&self, from_ms: usize, to_ms: usize) -> f64 {
        let part = &self.delays[from_ms / 10..to_ms / 10];
        part.iter().sum::<f64>() / part.len() as f64
    }

    fn concealed_between(&self, from_ms: usize, to_ms: usize) -> u64 {
        self.concealed[to_ms / 10 - 1] - self.concealed[from_ms / 10]
    }
}

#[test]
fn a_clean_link_is_heard_at_once_and_without_a_flaw() {
    let mut listener = Listener::new();
    listener.listen(hum(500, (7, 99)), 10_000);
    assert!(listener.first_sound_ms() <= 60, "{}", listener.first_sound_ms());
    assert!(listener.delay_between(500, 10_000) <= 45.0, "{}", listener.delay_between(500, 10_000));
    assert_eq!(listener.broken(200, 9_900), 0.0);
    let stats = listener.buffer.stats();
    assert_eq!((stats.concealed_samples, stats.lost, stats.late, stats.discarded_samples), (0, 0, 0, 0), "{stats:?}");
}

#[test]
fn jitter_is_absorbed_after_a_short_while() {
    for seed in 1..=5 {
        let mut random = Random(seed * 7919);
        let mut arrivals = hum(1000, (0, 0));
        arrivals.iter_mut().for_each(|arrival| arrival.ms += random.unit() * 60.0);
        let mut listener = Listener::new();
        listener.listen(arrivals, 20_000);
        let concealed = listener.concealed_between(3_000, 19_900);
        assert!(concealed < 340, "seed {seed}: {concealed} ms concealed");
        let delay = listener.delay_between(3_000, 19_900);
        assert!((50.0..=125.0).contains(&delay), "seed {seed}: {delay} ms");
        let broken = listener.broken(3_000, 19_900);
        assert!(broken < 0.05, "seed {seed}: {broken} broken");
    }
}

#[test]
fn the_delay_goes_down_again_when_the_network_calms() {
    let mut random = Random(42);
    let mut arrivals = hum(1500, (0, 0));
    arrivals[..500].iter_mut().for_each(|arrival| arrival.ms += random.unit() * 100.0);
    let mut listener = Listener::new();
    listener.listen(arrivals, 30_000);
    assert!(listener.delay_between(5_000, 9_900) > 80.0);
    assert!(listener.delay_between(20_000, 29_900) < 70.0, "{}", listener.delay_between(20_000, 29_900));
}

#[test]
fn single_losses_leave_no_silence() {
    for seed in 1..=5 {
        let mut random = Random(seed * 104_729);
        let arrivals: Vec<_> = hum(1000, (0, 0)).into_iter().filter(|_| random.unit() >= 0.05).collect();
        let mut listener = Listener::new();
        listener.listen(arrivals, 20_000);
        let stats = listener.buffer.stats();
        assert!((20..=90).contains(&stats.lost), "{stats:?}");
        assert!(listener.silent(200, 19_900) < 0.02, "seed {seed}: {}", listener.silent(200, 19_900));
        assert!(listener.delay_between(1_000, 19_900) < 70.0, "{}", listener.delay_between(1_000, 19_900));
    }
}

#[test]
fn bursts_of_loss_are_replaced_by_copies_in_later_packets() {
    let mut arrivals = with_copies(hum(1000, (65_000, u32::MAX - 100_000)));
    // Six in a row out of fifty.
    arrivals.retain(|arrival| arrival.ms as usize / 20 % 50 >= 6);
    let mut listener = Listener::new();
    listener.listen(arrivals, 20_000);
    // The first burst of all finds the buffer unprepared, and it takes a while to grow.
    assert_eq!(listener.concealed_between(8_000, 19_000), 0);
    assert!(listener.broken(8_000, 18_900) < 0.02, "{}", listener.broken(8_000, 18_900));
    let stats = listener.buffer.stats();
    assert_eq!((stats.lost, stats.duplicates, stats.malformed), (114, 0, 0), "{stats:?}");
    let delay = listener.delay_between(8_000, 19_000);
    assert!((110.0..170.0).contains(&delay), "{delay} ms");
}

#[test]
fn copies_of_what_has_come_change_nothing() {
    let mut random = Random(7);
    let mut plain = hum(500, (0, 0));
    plain.iter_mut().for_each(|arrival| arrival.ms += random.unit() * 40.0);
    let heard = |arrivals: Vec<Arrival>| {
        let mut listener = Listener::new();
        listener.listen(arrivals, 10_000);
        let stats = JitterStats { bytes: 0, with_copies: 0, ..listener.buffer.stats() };
        (listener.heard, stats, listener.buffer.target_ms())
    };
    let (before, after) = (heard(plain.clone()), heard(with_copies(plain)));
    assert_eq!((before.1, before.2), (after.1, after.2));
    assert!(before.0 == after.0);
}

#[test]
fn a_copy_that_comes_too_late_is_no_late_packet() {
    let mut arrivals = with_copies(hum(300, (0, 0)));
    arrivals.retain(|arrival| arrival.ms as usize / 20 != 100);
    let mut listener = Listener::new();
    listener.listen(arrivals, 6_000);
    let stats = listener.buffer.stats();
    assert_eq!((stats.lost, stats.late, stats.duplicates), (1, 0, 0), "{stats:?}");
}

#[test]
fn a_stream_may_become_stereo_and_is_then_heard_on_both_sides_apart() {
    let mut encoder = OpusEncoder::stereo(96_000, 0, false).unwrap();
    let mut arrivals = hum(300, (0, 0));
    for (packet, arrival) in arrivals.iter_mut().enumerate().skip(100) {
        let mut samples = Vec::new();
        for index in 0..PACKET_SAMPLES {
            let at = (packet * PACKET_SAMPLES + index) as f64 / 48_000.0;
            samples.extend([0.1 * (std::f64::consts::TAU * 440.0 * at).sin() as f32, 0.0]);
        }
        arrival.payload = encoder.encode(&samples).unwrap();
    }
    let mut listener = Listener::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for ms in (0..6_000).step_by(10) {
        for arrival in arrivals.iter().filter(|arrival| arrival.ms as i32 == ms) {
            let (sequence, timestamp, payload) = (arrival.sequence, arrival.timestamp, arrival.payload.clone());
            let arrival = listener.at(f64::from(ms));
            listener.buffer.insert(AudioPacket { sequence, timestamp, payload, is_redundant: false, arrival });
        }
        let frame = listener.buffer.pull_stereo(listener.at(f64::from(ms) + 1.0));
        left.extend_from_slice(&frame.left);
        right.extend_from_slice(&frame.right);
    }
    let loudness = |side: &[f32], from_ms: usize| tone_amplitude(&side[from_ms * 48..][..24_000], 440.0);
    assert!((0.07..0.13).contains(&loudness(&left, 1_000)) && (0.07..0.13).contains(&loudness(&right, 1_000)));
    assert!((0.07..0.13).contains(&loudness(&left, 4_000)) && loudness(&right, 4_000) < 0.01);
    assert_eq!(listener.buffer.stats().concealed_samples, 0);
}

#[test]
fn swapped_packets_are_played_in_order() {
    let mut arrivals = hum(500, (0, 0));
    arrivals.iter_mut().step_by(2).for_each(|arrival| arrival.ms += 25.0);
    let mut listener = Listener::new();
    listener.listen(arrivals, 10_000);
    assert_eq!(listener.concealed_between(3_000, 9_900), 0);
    assert!(listener.broken(3_000, 9_900) < 0.02);
    assert_eq!(listener.buffer.stats().lost, 0);
}

#[test]
fn numbers_that_wrap_are_not_noticed() {
    let mut listener = Listener::new();
    listener.listen(hum(300, (65_500, u32::MAX - 50_000)), 6_000);
    let stats = listener.buffer.stats();
    assert_eq!((stats.lost, stats.concealed_samples, stats.restarts), (0, 0, 0), "{stats:?}");
    assert_eq!(listener.broken(200, 5_900), 0.0);
}

#[test]
fn packets_that_come_twice_are_played_once() {
    let arrivals = hum(200, (0, 0));
    let twice = arrivals.iter().cloned().chain(arrivals.iter().cloned()).collect();
    let mut listener = Listener::new();
    listener.listen(twice, 4_000);
    assert_eq!(listener.buffer.stats().packets, 200);
    assert_eq!(listener.broken(200, 3_900), 0.0);
}

#[test]
fn a_restarted_sender_is_heard_again_soon() {
    let mut arrivals = hum(200, (100, 5_000));
    let again = hum(200, (40_000, 3_000_000_000));
    arrivals.extend(again.into_iter().map(|arrival| Arrival { ms: arrival.ms + 4_000.0, ..arrival }));
    let mut listener = Listener::new();
    listener.listen(arrivals, 8_000);
    assert_eq!(listener.buffer.stats().restarts, 1);
    assert_eq!(listener.broken(4_300, 7_900), 0.0);
}

#[test]
fn one_stray_packet_does_not_restart_the_stream() {
    let mut arrivals = hum(200, (100, 5_000));
    let stray = Arrival {
        ms: 2_005.0,
        sequence: 50_000,
        timestamp: 1,
        payload: arrivals[0].payload.clone(),
        is_redundant: false,
    };
    arrivals.push(stray);
    let mut listener = Listener::new();
    listener.listen(arrivals, 4_000);
    assert_eq!(listener.buffer.stats().restarts, 0);
    assert_eq!(listener.broken(200, 3_900), 0.0);
}

#[test]
fn an_outage_is_silent_and_then_over() {
    let arrivals: Vec<_> = hum(500, (0, 0)).into_iter().filter(|a| !(3_000.0..5_000.0).contains(&a.ms)).collect();
    let mut listener = Listener::new();
    listener.listen(arrivals, 10_000);
    let silence = &listener.heard[3_400 * 48..4_900 * 48];
    assert!(silence.iter().all(|sample| *sample == 0.0));
    assert_eq!(listener.broken(5_200, 9_900), 0.0);
    // Invented for a moment only.
    assert!(listener.buffer.stats().concealed_samples <= 48 * 160, "{:?}", listener.buffer.stats());
}

#[test]
fn a_stall_of_the_network_leaves_no_lasting_delay() {
    let mut arrivals = hum(1000, (0, 0));
    // For a second nothing comes, then everything at once.
    arrivals.iter_mut().filter(|a| (3_000.0..4_000.0).contains(&a.ms)).for_each(|a| a.ms = 4_000.0);
    let mut listener = Listener::new();
    listener.listen(arrivals, 20_000);
    assert!(listener.delay_between(9_000, 19_900) < 80.0, "{}", listener.delay_between(9_000, 19_900));
    assert_eq!(listener.concealed_between(5_000, 19_900), 0);
}

#[test]
fn a_speaker_that_stood_still_leaves_no_lasting_delay() {
    let arrivals = hum(500, (0, 0));
    let mut listener = Listener::new();
    for arrival in &arrivals[..100] {
        let at = listener.at(arrival.ms);
        let Arrival { sequence, timestamp, payload, .. } = arrival.clone();
        listener.buffer.insert(AudioPacket { sequence, timestamp, payload, is_redundant: false, arrival: at });
    }
    // Playing begins two seconds late.
    listener.delays = vec![0.0; 200];
    listener.heard = vec![0.0; 2_000 * 48];
    listener.concealed = vec![0; 200];
    listener.listen(arrivals[100..].to_vec(), 10_000);
    assert!(listener.delay_between(3_000, 9_900) < 60.0, "{}", listener.delay_between(3_000, 9_900));
    assert_eq!(listener.broken(2_200, 9_900), 0.0);
}

#[test]
fn clocks_that_drift_apart_neither_starve_nor_flood() {
    for drift in [0.999, 1.001] {
        let mut arrivals = hum(3_000, (0, 0));
        arrivals.iter_mut().for_each(|arrival| arrival.ms *= drift);
        let mut listener = Listener::new();
        listener.listen(arrivals, 59_000);
        let stats = listener.buffer.stats();
        assert!(stats.concealed_samples < 48 * 300, "{drift}: {stats:?}");
        assert!(listener.delay_between(30_000, 58_900) < 70.0, "{drift}: {}", listener.delay_between(30_000, 58_900));
        assert!(listener.broken(500, 58_900) < 0.02, "{drift}: {}", listener.broken(500, 58_900));
    }
}

#[test]
fn nonsense_from_the_network_does_not_panic() {
    let arrivals: Vec<Arrival> = hum(100, (0, 0)).into_iter().chain(with_copies(hum(100, (0, 0)))).collect();
    for seed in 1..=20 {
        let mut random = Random(seed * 6_700_417);
        let mut listener = Listener::new();
        for round in 0..500u64 {
            let mut arrival = arrivals[random.next() as usize % arrivals.len()].clone();
            let mut payload = arrival.payload.to_vec();
            for _ in 0..random.next() % 8 {
                let index = random.next() as usize % payload.len();
                payload[index] = random.next() as u8;
            }
            if random.unit() < 0.3 {
                payload.truncate(random.next() as usize % (payload.len() + 1));
            }
            if random.unit() < 0.2 {
                arrival.sequence = random.next() as u16;
            }
            if random.unit() < 0.2 {
                arrival.timestamp = random.next() as u32;
            }
            // Arrivals may even lie in the past or the far future.
            let at = listener.epoch + Duration::from_millis(random.next() % (round * 20 + 1));
            let (sequence, timestamp) = (arrival.sequence, arrival.timestamp);
            let is_redundant = random.unit() < 0.5;
            let payload = payload.into();
            listener.buffer.insert(AudioPacket { sequence, timestamp, payload, is_redundant, arrival: at });
            let mut frame = [0.0; FRAME_SAMPLES];
            listener.buffer.pull(listener.at(random.unit() * 20_000.0), &mut frame);
            assert!(frame.iter().all(|sample| sample.is_finite()));
        }
    }
}
