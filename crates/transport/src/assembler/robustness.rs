//! Streams as they should be, damaged at random. One seed is one run.

use super::tests::{Bench, delta, keyframe};
use super::*;
use netsim::Random;

/// Permanent seeds; one that finds a bug is added.
const SEEDS: [u64; 8] = [1, 2, 3, 0xdead_beef, 0x5eed, 77, 1_000_003, u64::MAX];
const FRAMES: u32 = 120;

fn stream(first: u16) -> Vec<Packet> {
    let frame = |number: u32| {
        let sequence = first.wrapping_add((number * 3) as u16);
        if number.is_multiple_of(30) { keyframe(sequence, number * 3000) } else { delta(sequence, number * 3000) }
    };
    (0..FRAMES).flat_map(frame).collect()
}

/// Plays packets 11 ms apart and lets the timers run in between.
fn play(bench: &mut Bench, packets: &[Packet]) {
    for (index, packet) in packets.iter().enumerate() {
        let now = bench.start + Duration::from_millis(index as u64 * 11);
        bench.assembler.push(packet.clone(), now);
        bench.assembler.handle_timeout(now, Duration::from_millis(20));
        bench.assembler.poll_keyframe_request(now, Duration::from_millis(20));
        while let Some(frame) = bench.assembler.poll_frame() {
            bench.frames.push(frame);
        }
    }
}

/// Delivered frames are in order, and after something was lost the next one is a key frame.
fn check(frames: &[Frame]) {
    assert!(frames.first().is_none_or(|frame| frame.is_keyframe));
    for pair in frames.windows(2) {
        assert!(pair[1].timestamp > pair[0].timestamp);
        assert!(pair[1].is_keyframe || pair[1].timestamp - pair[0].timestamp == 3000, "a frame is missing: {pair:?}");
        assert_eq!(pair[1].contiguous, pair[1].timestamp - pair[0].timestamp == 3000, "{pair:?}");
    }
}

#[test]
fn no_frame_is_shown_without_its_reference() {
    for seed in SEEDS {
        let mut random = Random::new(seed);
        let mut packets = stream(random.below(65_536) as u16);
        packets.retain(|_| random.below(100) >= 4);
        for _ in 0..60 {
            let at = random.below(packets.len() as u64 - 5) as usize;
            packets.swap(at, at + 1 + random.below(4) as usize);
        }
        let mut bench = Bench::new();
        play(&mut bench, &packets);
        check(&bench.frames);
        assert!(!bench.frames.is_empty(), "seed {seed}");
    }
}

#[test]
fn reordering_within_the_window_loses_no_frame() {
    for seed in SEEDS {
        let mut random = Random::new(seed);
        let mut packets = stream(random.below(65_536) as u16);
        for _ in 0..200 {
            // The first packet marks the start of the stream, so it stays in place.
            let at = 1 + random.below(packets.len() as u64 - 4) as usize;
            packets.swap(at, at + 1 + random.below(3) as usize);
        }
        let mut bench = Bench::new();
        play(&mut bench, &packets);
        check(&bench.frames);
        assert_eq!(bench.frames.len(), FRAMES as usize, "seed {seed}");
    }
}

#[test]
fn mutated_packets_never_panic() {
    for seed in SEEDS {
        let mut random = Random::new(seed);
        let mut packets = stream(0);
        for packet in &mut packets {
            if random.below(4) != 0 {
                continue;
            }
            match random.below(6) {
                0 => packet.sequence = random.below(65_536) as u16,
                1 => packet.timestamp = random.below(1 << 32) as u32,
                2 => packet.marker = !packet.marker,
                3 => packet.payload.truncate(random.below(4) as usize),
                4 => packet.payload = (0..random.below(40)).map(|_| random.below(256) as u8).collect(),
                _ => {
                    let mut payload = packet.payload.to_vec();
                    let at = random.below(payload.len() as u64) as usize;
                    payload[at] ^= 1 << random.below(8);
                    packet.payload = payload.into();
                }
            }
        }
        let mut bench = Bench::new();
        play(&mut bench, &packets);
        assert!(bench.assembler.packets.len() <= MAX_BUFFERED_PACKETS);
        let buffered: usize = bench.assembler.packets.values().map(|slot| slot.payload.len()).sum();
        assert_eq!(buffered, bench.assembler.buffered_bytes);
    }
}
