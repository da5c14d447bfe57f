//! Streams as phones, hardware encoders and browsers send them: what is shown, in which order and colours, and what is
//! refused by name. The seeds were made with x264 and libvpx from `baseline.h264`, whose frames carry their number.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Instant;

use media::video::codec::decoder;
use media::video::convert::to_rgba;
use media::video::pattern::read_strip;
use media::video::{DecodeError, VideoCodec, VideoFrame};
use rtp::h264::annex_b::{NalKind, nal_units};

const DELIMITER: NalKind = NalKind::Other(9);

fn join<'a>(units: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    units.flat_map(|unit| [&[0, 0, 0, 1], unit].concat()).collect()
}

/// Access units of a stream with one slice in each frame.
fn by_slice(data: &[u8]) -> Vec<Vec<u8>> {
    let units: Vec<_> = nal_units(data).collect();
    let is_slice = |kind| matches!(kind, NalKind::Slice | NalKind::IdrSlice);
    units.split_inclusive(|unit| is_slice(unit.kind())).map(|part| join(part.iter().map(|unit| unit.bytes()))).collect()
}

/// Access units of a stream with delimiters.
fn by_delimiter(data: &[u8]) -> Vec<Vec<u8>> {
    let units: Vec<_> = nal_units(data).collect();
    let parts = units.chunk_by(|_, next| next.kind() != DELIMITER);
    parts.map(|part| join(part.iter().map(|unit| unit.bytes()))).collect()
}

/// Frames of an IVF file.
#[cfg(feature = "vp8")]
fn by_ivf(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut frames) = (&file[32..], Vec::new());
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        frames.push(after[..length].to_vec());
        rest = &after[length..];
    }
    frames
}

fn decode(codec: VideoCodec, frames: &[Vec<u8>]) -> Result<Vec<VideoFrame>, DecodeError> {
    let (mut decoder, mut shown) = (decoder(codec)?, Vec::new());
    for frame in frames {
        decoder.decode(frame, Instant::now(), &mut shown)?;
    }
    Ok(shown)
}

fn counters(frames: &[VideoFrame]) -> Vec<u16> {
    frames.iter().map(|frame| read_strip(frame).unwrap().counter).collect()
}

#[test]
fn frames_that_come_before_earlier_ones_are_all_shown_in_order() {
    let units = by_slice(include_bytes!("../seeds/reordered.h264"));
    assert_eq!(units.len(), 6);
    // The next IDR frame lets the last ones go.
    let shown = decode(VideoCodec::H264, &[&units[..], &units[..1]].concat()).unwrap();
    assert_eq!(counters(&shown)[..6], [0, 1, 2, 3, 4, 5]);
}

#[test]
fn several_slices_behind_a_delimiter_are_one_frame_at_once() {
    let units = by_delimiter(include_bytes!("../seeds/slices.h264"));
    let mut decoder = decoder(VideoCodec::H264).unwrap();
    for (index, unit) in units.iter().enumerate() {
        let mut shown = Vec::new();
        decoder.decode(unit, Instant::now(), &mut shown).unwrap();
        assert_eq!(counters(&shown), [index as u16]);
    }
    assert!(!decoder.reorders());
}

#[cfg(feature = "vp8")]
#[test]
fn vp8_is_shown_frame_by_frame() {
    let shown = decode(VideoCodec::Vp8, &by_ivf(include_bytes!("../seeds/vp8.ivf"))).unwrap();
    assert_eq!(counters(&shown), [0, 1, 2, 3, 4, 5]);
    assert_eq!((shown[0].width(), shown[0].height()), (96, 64));
}

#[test]
fn what_is_not_carried_is_refused_by_name() {
    for (seed, name) in [
        (&include_bytes!("../seeds/yuv444.h264")[..], "4:4:4"),
        (include_bytes!("../seeds/ten_bit.h264"), "10 bit"),
        (include_bytes!("../seeds/interlaced.h264"), "interlaced"),
    ] {
        let error = decode(VideoCodec::H264, &[seed.to_vec()]).unwrap_err();
        assert_eq!(error.to_string(), name);
    }
}

#[test]
fn colours_are_those_that_the_stream_names() {
    // The second IDR frame lets the first one go, which might have waited for others.
    let unit = include_bytes!("../seeds/bt709_full.h264").to_vec();
    let shown = decode(VideoCodec::H264, &[unit.clone(), unit]).unwrap();
    let mut rgba = vec![0; 32 * 32 * 4];
    to_rgba(&shown[0], &mut rgba).unwrap();
    for (channel, expected) in rgba.iter().zip([200, 30, 60]) {
        assert!(channel.abs_diff(expected) <= 3, "{:?}", &rgba[..4]);
    }
}

/// xorshift64*: the same numbers everywhere.
#[cfg(feature = "vp8")]
fn below(state: &mut u64, limit: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
}

#[cfg(feature = "vp8")]
#[test]
fn damaged_vp8_neither_crashes_nor_stops_the_decoder_finally() {
    let intact = by_ivf(include_bytes!("../seeds/vp8.ivf"));
    let rounds = std::env::var("MUTATION_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(400);
    let (mut random, mut shown_before) = (0x5eed_0008, 0);
    for round in 0..rounds {
        let mut decoder = decoder(VideoCodec::Vp8).unwrap();
        let mut shown = Vec::new();
        for frame in &intact {
            let mut frame = frame.clone();
            for _ in 0..below(&mut random, 4) {
                let at = below(&mut random, frame.len());
                match below(&mut random, 4) {
                    0 if at < frame.len() => frame[at] ^= 1 << below(&mut random, 8),
                    1 if at < frame.len() => frame[at] = below(&mut random, 256) as u8,
                    2 => frame.truncate(at),
                    _ => frame.insert(at, below(&mut random, 256) as u8),
                }
            }
            if let Err(DecodeError::Codec(reason)) = decoder.decode(&frame, Instant::now(), &mut shown) {
                panic!("round {round}: {reason}");
            }
        }
        shown_before += shown.len();
        shown.clear();
        decoder.decode(&intact[0], Instant::now(), &mut shown).unwrap();
        assert_eq!(counters(&shown), [0], "round {round}: an intact key frame must be shown");
    }
    assert!(shown_before > 100, "some damage is harmless: {shown_before} pictures were shown");
}
