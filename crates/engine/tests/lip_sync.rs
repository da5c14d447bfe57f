//! Frame and audio over an uneven network, in virtual time: the real playout clock, audio jitter buffer and lip sync on
//! a seeded link. Seen is what a person would notice: how far frame and audio are apart, and how evenly frames come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use media::audio::codec::{OpusEncoder, PACKET_SAMPLES};
use media::audio::jitter_buffer::JitterBuffer;
use media::audio::{AudioPacket, DelayRange, FRAME_SAMPLES};
use media::lip_sync::{LipSync, PlayoutPoint};
use media::video::playout::Playout;
use netsim::Random;
use rtp::red::RedWriter;

const SECONDS: u64 = 30;
/// What is seen before this is the path there.
const SETTLED_MS: u64 = 10_000;
/// From the mixer to the ear, and from the decoder's input to the eye.
const SPEAKER_MS: u64 = 12;
const DECODING_MS: u64 = 4;

/// The path of one medium, in milliseconds.
#[derive(Clone, Copy)]
struct MediaPath {
    delay: u64,
    /// Added, evenly distributed; packets keep their order.
    jitter: u64,
    /// Packets lost, in percent. A frame then comes later, a packet of audio only as a copy in one of the next.
    loss: u64,
}

/// A path that loses nothing.
fn whole(delay: u64, jitter: u64) -> MediaPath {
    MediaPath { delay, jitter, loss: 0 }
}

struct Seen {
    /// Frame minus audio, milliseconds.
    offsets: Vec<f64>,
    /// Capture to eye, milliseconds.
    ages: Vec<f64>,
    /// Steps from frame to frame, milliseconds.
    steps: Vec<f64>,
    concealed: f64,
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Packets that one frame is sent in.
const FRAME_PACKETS: u64 = 8;
/// From the gap to the request for what is missing.
const NOTICED_MS: u64 = 10;

/// How much later the last packet of a frame is there, if some are lost. Where the path has room repairs are sent twice.
fn repairs_ms(random: &mut Random, path: MediaPath) -> u64 {
    let mut repairs = || match random.below(100) < path.loss {
        true => {
            1 + std::iter::repeat_with(|| random.below(10_000)).take_while(|lot| *lot < path.loss * path.loss).count()
        }
        false => 0,
    };
    (0..FRAME_PACKETS).map(|_| repairs() as u64).max().unwrap_or(0) * (2 * path.delay + NOTICED_MS)
}

/// Arrival times of frames that are sent at `sent`, by number. None passes another, all are repaired.
fn frames(random: &mut Random, sent: impl Iterator<Item = u64>, path: MediaPath) -> BTreeMap<u64, Vec<u64>> {
    let (mut arrivals, mut last) = (BTreeMap::<u64, Vec<u64>>::new(), 0);
    for (number, sent) in (0u64..).zip(sent) {
        last = last.max(sent + path.delay + random.below(path.jitter) + repairs_ms(random, path));
        arrivals.entry(last).or_default().push(number);
    }
    arrivals
}

/// The same of packets of audio, of which those that are lost are left out.
fn audio_packets(random: &mut Random, sent: impl Iterator<Item = u64>, path: MediaPath) -> BTreeMap<u64, Vec<u64>> {
    let (mut arrivals, mut last) = (BTreeMap::<u64, Vec<u64>>::new(), 0);
    for (number, sent) in (0u64..).zip(sent) {
        last = last.max(sent + path.delay + random.below(path.jitter));
        if random.below(100) >= path.loss {
            arrivals.entry(last).or_default().push(number);
        }
    }
    arrivals
}

/// One packet of a hum in syllables.
fn voice(number: u64) -> [f32; PACKET_SAMPLES] {
    let loudness = if number % 20 < 14 { 0.2 } else { 0.002 };
    std::array::from_fn(|index| {
        let seconds = (number * PACKET_SAMPLES as u64 + index as u64) as f32 / 48_000.0;
        loudness * (std::f32::consts::TAU * 220.0 * seconds).sin()
    })
}

/// A call of half a minute. Frames are 33 ms apart and leave 5 ms after their capture, audio after its 20 ms.
fn call(seed: u64, video: MediaPath, audio: MediaPath) -> Seen {
    let mut random = Random::new(seed);
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let frames = frames(&mut random, (0..SECONDS * 30).map(|number| number * 100 / 3 + 5), video);
    let packets = audio_packets(&mut random, (0..SECONDS * 50).map(|number| number * 20 + 22), audio);
    let (mut playout, mut sync, mut buffer) = (Playout::default(), LipSync::default(), JitterBuffer::new().unwrap());
    // As publishers do that are reported of such losses.
    let mut encoder = OpusEncoder::new(32_000, if audio.loss > 0 { audio.loss as u8 + 5 } else { 0 }, false).unwrap();
    let mut writer = RedWriter::new(111);
    writer.set_copies(usize::from(audio.loss > 0));
    let payload =
        |number| writer.pack((number * PACKET_SAMPLES as u64) as u32, &encoder.encode(&voice(number)).unwrap());
    let payloads: Vec<_> = (0..SECONDS * 50).map(payload).collect();
    let mut seen = Seen { offsets: Vec::new(), ages: Vec::new(), steps: Vec::new(), concealed: 0.0 };
    let (mut waiting, mut heard, mut last_shown) = (Vec::<(Instant, Duration, u64)>::new(), None, None::<Instant>);
    for now in 0..SECONDS * 1000 {
        for number in packets.get(&now).into_iter().flatten() {
            buffer.insert(AudioPacket {
                sequence: *number as u16,
                timestamp: (number * PACKET_SAMPLES as u64) as u32,
                payload: payloads[*number as usize].clone(),
                is_redundant: true,
                arrival: at(now),
            });
        }
        if now % 10 == 0 {
            let position = buffer.next_timestamp();
            let mut frame = [0.0; FRAME_SAMPLES];
            buffer.pull(at(now), &mut frame);
            heard = position.map(|timestamp| PlayoutPoint {
                captured: Duration::from_micros(u64::from(timestamp) * 1000 / 48),
                presented: at(now + SPEAKER_MS),
            });
        }
        for number in frames.get(&now).into_iter().flatten() {
            waiting.push((playout.on_frame((number * 3000) as u32, at(now)), sync.video_delay(), *number));
        }
        // One after the other, as a decoder works.
        let is_due = |(due, wait, _): &(Instant, Duration, u64)| *due + *wait <= at(now + DECODING_MS);
        while let Some((due, wait, number)) = waiting.first().copied().filter(is_due) {
            waiting.remove(0);
            let captured = Duration::from_micros(number * 100_000 / 3);
            let shown = (due + wait).max(at(now + DECODING_MS));
            if let Some(sound) = heard {
                sync.update(
                    PlayoutPoint { captured, presented: (shown - wait).min(due + Duration::from_millis(20)) },
                    sound,
                );
                let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
                let (picture_age, sound_age) =
                    (ms(shown - start) - ms(captured), ms(sound.presented - start) - ms(sound.captured));
                if now > SETTLED_MS {
                    seen.offsets.push(picture_age - sound_age);
                    seen.ages.push(picture_age);
                    seen.steps.extend(last_shown.map(|last| ms(shown.saturating_duration_since(last))));
                }
            }
            last_shown = Some(shown);
            buffer
                .set_delay(DelayRange { extra_ms: sync.audio_delay().as_secs_f64() * 1000.0, ..DelayRange::default() });
        }
    }
    seen.concealed = buffer.stats().concealed_samples as f64 / (SECONDS * 48_000) as f64;
    seen
}

fn assert_together(seen: &Seen, what: &str) {
    let (low, high) = (quantile(&seen.offsets, 0.02), quantile(&seen.offsets, 0.98));
    eprintln!(
        "{what}: offset {low:.0} to {high:.0} ms, picture {:.0} / {:.0} ms old (p50 / p95), longest step {:.0} ms, \
         {:.2} % of the sound concealed",
        quantile(&seen.ages, 0.5),
        quantile(&seen.ages, 0.95),
        quantile(&seen.steps, 1.0),
        seen.concealed * 100.0
    );
    assert!(low >= -40.5 && high <= 40.5, "{what}: {low:.0} to {high:.0} ms");
    assert!(seen.concealed < 0.01, "{what}: {:.2} %", seen.concealed * 100.0);
}

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

#[test]
fn on_an_even_network_frames_are_shown_nearly_at_once() {
    for seed in SEEDS {
        let seen = call(seed, whole(25, 2), whole(25, 2));
        assert_together(&seen, "even");
        assert!(quantile(&seen.ages, 0.5) <= 25.0 + 5.0 + 4.0 + 15.0);
    }
}

#[test]
fn on_an_uneven_network_frames_come_evenly_and_with_their_audio() {
    for seed in SEEDS {
        for jitter in [30, 60, 100] {
            let path = whole(25, jitter);
            let seen = call(seed, path, path);
            assert_together(&seen, &format!("{jitter} ms of jitter"));
            let (short, long) = (quantile(&seen.steps, 0.05), quantile(&seen.steps, 0.95));
            assert!(short >= 20.0 && long <= 47.0, "{jitter} ms of jitter: steps of {short:.0} to {long:.0} ms");
        }
    }
}

#[test]
fn a_medium_that_takes_longer_than_the_other_is_waited_for() {
    for seed in SEEDS {
        let (quick, slow) = (whole(20, 5), whole(220, 20));
        assert_together(&call(seed, slow, quick), "late frames");
        assert_together(&call(seed, quick, slow), "late sound");
    }
}

#[test]
fn repairs_of_the_frame_do_not_part_it_from_its_audio() {
    for seed in SEEDS {
        for (delay, jitter) in [(25, 5), (75, 5), (25, 60)] {
            let path = MediaPath { delay, jitter, loss: 5 };
            let what = format!("5 % loss, {delay} ms of delay, {jitter} ms of jitter");
            assert_together(&call(seed, path, path), &what);
        }
    }
}
