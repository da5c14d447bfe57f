//! Whatever arrives from the network, the decoder says so or waits for a keyframe; it never falls over.
//!
//! The streams in `seeds/` are damaged at random, each run in the same way; `MUTATION_ROUNDS` and `MUTATION_SEED` widen
//! the search.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use media::video::pattern::{Pattern, read_strip};
use media::video::sps::Sps;
use media::video::{Content, DecodeError, EncoderConfig, FramePool, VideoDecoder, VideoEncoder};
use rtp::h264::annex_b::{NalKind, is_keyframe, nal_units};

const SEEDS: [(&str, &[u8]); 4] = [
    ("baseline.h264", include_bytes!("../seeds/baseline.h264")),
    ("screen.h264", include_bytes!("../seeds/screen.h264")),
    ("sizes.h264", include_bytes!("../seeds/sizes.h264")),
    ("high.h264", include_bytes!("../seeds/high.h264")),
];

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Damages a stream in up to eight places.
fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        let at = random.below(data.len());
        let end = (at + 1 + random.below(40)).min(data.len());
        match random.below(9) {
            0..=3 if at < data.len() => data[at] ^= 1 << random.below(8),
            4 if at < data.len() => data[at] = random.below(256) as u8,
            5 => drop(data.drain(at..end)),
            6 => {
                let piece = data[at..end].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, piece);
            }
            7 => drop(data.splice(at..at, [0, 0, 1, random.below(256) as u8])),
            8 => {
                let other = SEEDS[random.below(SEEDS.len())].1;
                let start = random.below(other.len());
                let piece = &other[start..(start + random.below(200)).min(other.len())];
                data.splice(at..at, piece.iter().copied());
            }
            _ => {}
        }
    }
}

/// Splits behind every slice.
fn access_units(data: &[u8]) -> Vec<Vec<u8>> {
    let mut units = vec![Vec::new()];
    for nal in nal_units(data) {
        let unit = units.last_mut().unwrap();
        unit.extend_from_slice(&[0, 0, 0, 1]);
        unit.extend_from_slice(nal.bytes());
        if matches!(nal.kind(), NalKind::Slice | NalKind::IdrSlice) {
            units.push(Vec::new());
        }
    }
    units
}

#[test]
fn the_seeds_decode_completely() {
    for (name, data) in SEEDS {
        let mut decoder = VideoDecoder::new().unwrap();
        let mut counters = Vec::new();
        for unit in access_units(data) {
            if let Some(frame) = decoder.decode(&unit, Instant::now()).unwrap() {
                counters.push(read_strip(&frame).expect(name).counter);
            }
        }
        assert_eq!(counters, [0, 1, 2, 3, 4, 5], "{name}");
    }
}

#[test]
fn damaged_streams_neither_crash_nor_stop_the_decoder_finally() {
    let mut random = Random(from_env("MUTATION_SEED", 0x5eed_0001));
    let mut shown = 0;
    for round in 0..from_env("MUTATION_ROUNDS", 400) {
        let mut decoder = VideoDecoder::new().unwrap();
        let mut data = SEEDS[round as usize % SEEDS.len()].1.to_vec();
        mutate(&mut data, &mut random);
        for unit in access_units(&data).iter().chain([&data]) {
            match decoder.decode(unit, Instant::now()) {
                Ok(frame) => shown += u32::from(frame.is_some()),
                Err(DecodeError::Codec(reason)) => panic!("round {round}: {reason}"),
                Err(_) => {}
            }
        }
        let intact = access_units(SEEDS[0].1);
        let frame = decoder.decode(&intact[0], Instant::now());
        assert!(frame.is_ok_and(|frame| frame.is_some()), "round {round}: an intact keyframe must be shown");
    }
    assert!(shown > 100, "most damage is local: {shown} pictures were shown");
}

#[test]
fn random_bytes_are_parsed_without_a_panic() {
    let mut random = Random(from_env("MUTATION_SEED", 0x5eed_0002));
    for _ in 0..from_env("MUTATION_ROUNDS", 20_000) {
        // Few values, so that start codes and Exp-Golomb zeros are frequent.
        let len = random.below(80);
        let mut data: Vec<u8> = (0..len).map(|_| [0, 0, 0, 1, 1, 3, 0x67, 0xff, 0x55][random.below(9)]).collect();
        data.splice(0..0, [0, 0, 1, 0x67, [66, 100, 110][random.below(3)], 0, 31]);
        for nal in nal_units(&data) {
            assert!(!nal.bytes().is_empty());
            if let Ok(sps) = Sps::parse(nal) {
                assert!(sps.width <= sps.coded_width && sps.height <= sps.coded_height);
            }
        }
        let _ = is_keyframe(&data);
    }
}

#[test]
#[ignore = "writes the seeds anew"]
fn write_seeds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let (pool, start) = (FramePool::new(), Instant::now());
    let frame = |index: u16, width, height| {
        let unix_ms = 1_763_971_234_000 + u64::from(index) * 33;
        let capture_time = start + Duration::from_millis(u64::from(index) * 33);
        Pattern::new(width, height).draw(&pool, unix_ms, index, capture_time)
    };
    let config = EncoderConfig { width: 96, height: 64, fps: 30, bitrate_bps: 1_000_000, content: Content::Camera };
    for (name, content) in [("baseline.h264", Content::Camera), ("screen.h264", Content::Screen)] {
        let mut encoder = VideoEncoder::new(EncoderConfig { content, ..config }).unwrap();
        let mut encode = |index| encoder.encode(&frame(index, 96, 64), false).unwrap().unwrap().data.to_vec();
        std::fs::write(folder.join(name), (0..6).flat_map(&mut encode).collect::<Vec<_>>()).unwrap();
    }
    let mut encoder = VideoEncoder::new(config).unwrap();
    let mut encode = |index: u16| {
        let (width, height) = [(96, 64), (64, 96), (128, 32)][usize::from(index / 2)];
        encoder.set_size(width, height).unwrap();
        encoder.encode(&frame(index, width, height), false).unwrap().unwrap().data.to_vec()
    };
    std::fs::write(folder.join("sizes.h264"), (0..6).flat_map(&mut encode).collect::<Vec<_>>()).unwrap();
    std::fs::write(folder.join("high.h264"), high_profile((0..6).map(|index| frame(index, 96, 64)))).unwrap();
}

/// What other senders may use and our own encoder does not: arithmetic coding and 8 x 8 transforms.
fn high_profile(frames: impl Iterator<Item = media::video::VideoFrame>) -> Vec<u8> {
    use openh264::encoder::{BitRate, Encoder, EncoderConfig, FrameRate, Profile};
    let config = EncoderConfig::new()
        .profile(Profile::High)
        .bitrate(BitRate::from_bps(1_000_000))
        .max_frame_rate(FrameRate::from_hz(30.0))
        .skip_frames(false);
    let mut encoder = Encoder::with_api_config(openh264::OpenH264API::from_source(), config).unwrap();
    let encode = |frame: media::video::VideoFrame| {
        let [y, u, v] = frame.strides();
        let size = (frame.width() as usize, frame.height() as usize);
        let source = openh264::formats::YUVSlices::new((frame.y(), frame.u(), frame.v()), size, (y, u, v));
        encoder.encode(&source).unwrap().to_vec()
    };
    frames.flat_map(encode).collect()
}
