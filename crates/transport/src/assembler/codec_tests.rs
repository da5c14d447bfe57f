//! VP8, streams that change their codec, and orientation.

use super::tests::{Bench, keyframe};
use super::*;

/// A VP8 frame of one packet: number, whether it stands alone, and its place among temporal layers.
fn vp8(sequence: u16, is_keyframe: bool, (base, layer): (u8, u8)) -> Packet {
    let payload = [0x90, 0xe0, sequence as u8 & 0x7f, base, layer << 6, u8::from(!is_keyframe), 1, 2, 3];
    Packet {
        sequence,
        timestamp: u32::from(sequence) * 3000,
        marker: true,
        codec: VideoCodec::Vp8,
        rotation: None,
        payload: Bytes::copy_from_slice(&payload),
    }
}

/// Plays these packets 33 ms apart, then lets ten seconds pass; numbers of the frames that came out.
fn play(packets: &[Packet]) -> (Vec<u32>, bool) {
    let mut bench = Bench::new();
    let mut asked = false;
    for (index, packet) in packets.iter().enumerate() {
        let now = bench.start + Duration::from_millis(index as u64 * 33);
        bench.assembler.push(packet.clone(), now);
        bench.assembler.handle_timeout(now, Duration::from_millis(20));
        asked |= bench.assembler.poll_keyframe_request(now, Duration::from_millis(20));
        bench.frames.extend(std::iter::from_fn(|| bench.assembler.poll_frame()));
    }
    (bench.frames.iter().map(|frame| frame.timestamp / 3000).collect(), asked)
}

/// Three temporal layers as libwebrtc sends them: 0 2 1 2.
fn layered() -> Vec<Packet> {
    (0..64u16)
        .map(|number| vp8(number, number == 0, ((number / 4) as u8, [0, 2, 1, 2][usize::from(number % 4)])))
        .collect()
}

#[test]
fn a_lost_frame_without_references_costs_no_key_frame() {
    let mut packets = layered();
    packets.remove(9);
    let (frames, asked) = play(&packets);
    assert!(!asked);
    assert!(frames.starts_with(&[0, 1, 2, 3, 4, 5, 6, 7, 8]) && !frames.contains(&9), "{frames:?}");
    assert_eq!(frames.last(), Some(&63));
}

#[test]
fn a_lost_frame_of_the_lowest_layer_needs_a_key_frame() {
    let mut packets = layered();
    packets.remove(8);
    let (frames, asked) = play(&packets);
    assert!(asked);
    assert_eq!(frames.last(), Some(&7));
}

#[test]
fn a_change_of_codec_takes_effect_with_a_key_frame() {
    let mut bench = Bench::new();
    let mut packets = keyframe(0, 0);
    packets.extend([vp8(3, false, (0, 0)), vp8(4, true, (1, 0)), vp8(5, false, (2, 0))]);
    packets.extend(keyframe(6, 60_000));
    packets.iter().for_each(|packet| bench.assembler.push(packet.clone(), bench.start));
    bench.frames.extend(std::iter::from_fn(|| bench.assembler.poll_frame()));
    let frames: Vec<_> = bench.frames.iter().map(|frame| (frame.codec, frame.timestamp)).collect();
    let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8];
    assert_eq!(frames, [(h264, 0), (vp8, 12_000), (vp8, 15_000), (h264, 60_000)]);
}

#[test]
fn a_frame_without_a_rotation_has_that_of_the_last_one() {
    let mut bench = Bench::new();
    let turned = |mut packets: Vec<Packet>, rotation| {
        packets.last_mut().unwrap().rotation = rotation;
        packets
    };
    let quarter = Some(Rotation::Quarter);
    let packets = [turned(keyframe(0, 0), quarter), keyframe(3, 3000), turned(keyframe(6, 6000), Some(Rotation::None))];
    packets.concat().iter().for_each(|packet| bench.assembler.push(packet.clone(), bench.start));
    bench.frames.extend(std::iter::from_fn(|| bench.assembler.poll_frame()));
    let rotations: Vec<_> = bench.frames.iter().map(|frame| frame.rotation).collect();
    assert_eq!(rotations, [Rotation::Quarter, Rotation::Quarter, Rotation::None]);
}

#[test]
fn a_sender_that_never_answers_is_asked_less_and_less_often() {
    let mut bench = Bench::new();
    let mut requests = 0;
    for number in 0..900u16 {
        let now = bench.start + Duration::from_millis(u64::from(number) * 33);
        bench.assembler.push(vp8(number, false, (number as u8, 0)), now);
        requests += u32::from(bench.assembler.poll_keyframe_request(now, Duration::from_millis(20)));
    }
    // Seven in the first 1.5 s, then after pauses that double up to 8 s.
    assert!((10..=14).contains(&requests), "{requests} in 30 s");
}

#[test]
fn a_key_frame_behind_a_delimiter_is_found_by_a_late_joiner() {
    let mut bench = Bench::new();
    let joined = |sequence, payload: &[u8], marker| Packet {
        sequence,
        timestamp: 0,
        marker,
        codec: VideoCodec::H264,
        rotation: None,
        payload: Bytes::copy_from_slice(payload),
    };
    bench.assembler.push(joined(5, &[0x78, 0, 2, 9, 0x10, 0, 2, 0x67, 1, 0, 2, 0x68, 2], false), bench.start);
    bench.assembler.push(joined(6, &[0x65, 1, 2, 3], true), bench.start);
    assert!(bench.assembler.poll_frame().is_some_and(|frame| frame.is_keyframe));
}
