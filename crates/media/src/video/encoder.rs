//! H.264 encoder for live video: constrained baseline, IDR frames on request only, variable bitrate.

use std::time::Instant;

use bytes::Bytes;
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange, RateControlMode, UsageType,
};
use openh264::formats::YUVSlices;

use super::encoder_options;
use super::frame::VideoFrame;
use super::scale;
use super::static_refinement::StaticRefinement;

/// What the frames show, which decides how the encoder searches and spends its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// A camera: natural motion.
    #[default]
    Camera,
    /// A screen: text, hard edges, large unchanged areas.
    Screen,
}

/// The configuration of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// In pixels, see [`can_encode`]; odd widths lose a column.
    pub width: u32,
    /// In pixels, as `width`.
    pub height: u32,
    /// Frames per second of the input; clamped to 1..=60.
    pub fps: u32,
    /// Target in bits per second; kept within 10 kbit/s..=50 Mbit/s.
    pub bitrate_bps: u32,
    /// What the frames show.
    pub content: Content,
}

/// Shortest side that is encoded, in pixels.
const MIN_SIDE: u32 = 16;
/// Largest frame that the library encodes, lying or upright, in pixels.
const MAX_SIDES: (u32, u32) = (3840, 2160);

/// Whether frames of this size can be encoded: sides of at least 16 pixels, within 3840 x 2160 or 2160 x 3840.
pub fn can_encode(width: u32, height: u32) -> bool {
    let (longer, shorter) = (width.max(height), width.min(height));
    shorter >= MIN_SIDE && longer <= MAX_SIDES.0 && shorter <= MAX_SIDES.1
}

impl EncoderConfig {
    fn checked(self) -> Result<Self, EncodeError> {
        let (width, height) = (self.width & !1, self.height & !1);
        if !can_encode(width, height) {
            return Err(EncodeError::Size { width: self.width, height: self.height });
        }
        let (bitrate_bps, fps) = sane_rate(self.bitrate_bps, self.fps);
        Ok(Self { width, height, fps, bitrate_bps, content: self.content })
    }
}

fn sane_rate(bitrate_bps: u32, fps: u32) -> (u32, u32) {
    (bitrate_bps.clamp(10_000, 50_000_000), fps.clamp(1, 60))
}

/// Above this many pixels one core is no longer enough for 30 frames a second beside everything else.
const SINGLE_THREAD_PIXELS: u32 = 1280 * 720;

/// Slices of about one packet; the library splits a frame among threads by slices only.
const SLICE_BYTES: u32 = 1_200;

/// Finer quantization than this spends bits that nobody sees.
const MIN_QP: u8 = 10;
const MAX_QP: u8 = 51;

/// Why encoding failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The size is out of the encoder's range.
    #[error("cannot encode {width} x {height}")]
    Size {
        /// As asked for.
        width: u32,
        /// As asked for.
        height: u32,
    },
    /// The codec library refused.
    #[error("encoder: {0}")]
    Codec(String),
}

impl From<openh264::Error> for EncodeError {
    fn from(error: openh264::Error) -> Self {
        Self::Codec(error.to_string())
    }
}

/// An encoded frame.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// NAL units with start codes (Annex B); a keyframe begins with its parameter sets.
    pub data: Bytes,
    /// An IDR frame: a decoder can start here.
    pub is_keyframe: bool,
    /// Of the frame it was made of.
    pub capture_time: Instant,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Encodes frames of any size to one size. The first frame is an IDR; others come only when asked for, and with
/// [`Content::Screen`] at a change of the whole screen.
pub struct VideoEncoder {
    config: EncoderConfig,
    encoder: Encoder,
    /// Capture time of the first frame since the encoder was made; its time stamps count from here.
    epoch: Option<Instant>,
    /// Asked for, but not produced yet, since rate control may skip the very frame that was to be it.
    idr_wanted: bool,
    /// Keeps a screen at rest getting sharper.
    static_refinement: StaticRefinement,
    /// Size of the last access unit, a guess for the next one's buffer.
    last_len: usize,
}

impl VideoEncoder {
    /// Makes an encoder; the first frame sets it up, which takes some milliseconds.
    ///
    /// # Errors
    /// [`EncodeError::Size`] for a size out of range.
    pub fn new(config: EncoderConfig) -> Result<Self, EncodeError> {
        let config = config.checked()?;
        Ok(Self {
            config,
            encoder: build(&config)?,
            epoch: None,
            idr_wanted: true,
            static_refinement: StaticRefinement::default(),
            last_len: 0,
        })
    }

    /// The present configuration.
    pub fn config(&self) -> EncoderConfig {
        self.config
    }

    /// Encodes a frame. One of another size is scaled, and cut to the aspect ratio if that differs.
    ///
    /// `None` means that rate control left this frame out; a wanted IDR then comes with the next one.
    ///
    /// # Errors
    /// [`EncodeError::Codec`] if the library fails; the encoder then starts again with an IDR.
    pub fn encode(&mut self, frame: &VideoFrame, force_idr: bool) -> Result<Option<AccessUnit>, EncodeError> {
        self.idr_wanted |= force_idr;
        let mut scaled = scale::fill(frame, self.config.width, self.config.height);
        if self.config.content == Content::Screen {
            scaled = self.static_refinement.nudge(scaled);
        }
        let encoded = self.encode_scaled(&scaled);
        if encoded.is_err() {
            self.restart()?;
        }
        encoded
    }

    fn encode_scaled(&mut self, frame: &VideoFrame) -> Result<Option<AccessUnit>, EncodeError> {
        let [y_stride, u_stride, v_stride] = frame.strides();
        let (width, height) = (frame.width(), frame.height());
        let source = YUVSlices::new(
            (frame.y(), frame.u(), frame.v()),
            (width as usize, height as usize),
            (y_stride, u_stride, v_stride),
        );
        let started = self.epoch.is_some();
        let epoch = *self.epoch.get_or_insert(frame.capture_time());
        if self.idr_wanted && started {
            self.encoder.force_intra_frame(); // the first picture is an IDR by itself
        }
        let age = frame.capture_time().saturating_duration_since(epoch);
        let timestamp = openh264::Timestamp::from_millis(age.as_millis() as u64);
        let bits = self.encoder.encode_at(&source, timestamp)?;
        let kind = bits.frame_type();
        if matches!(kind, FrameType::Skip | FrameType::Invalid) {
            return Ok(None);
        }
        let mut data = Vec::with_capacity(self.last_len + self.last_len / 4 + 256);
        bits.write_vec(&mut data);
        if data.is_empty() {
            return Ok(None);
        }
        self.last_len = data.len();
        let is_keyframe = kind == FrameType::IDR;
        self.idr_wanted &= !is_keyframe;
        if !started {
            // The same rate once more, with a maximum that is not the target.
            let EncoderConfig { bitrate_bps, fps, .. } = self.config;
            if let Err(code) = encoder_options::set_rate(&mut self.encoder, bitrate_bps as i32, fps as f32, true) {
                tracing::warn!(code, bitrate_bps, fps, "the encoder keeps to a maximum of its own");
            }
        }
        Ok(Some(AccessUnit { data: data.into(), is_keyframe, capture_time: frame.capture_time(), width, height }))
    }

    /// Changes target and frame rate from the next frame on; no IDR follows from it.
    ///
    /// # Errors
    /// [`EncodeError::Codec`] if the library refuses; the encoder then starts again with these values and an IDR.
    pub fn set_rate(&mut self, bitrate_bps: u32, fps: u32) -> Result<(), EncodeError> {
        let (bitrate_bps, fps) = sane_rate(bitrate_bps, fps);
        let (old_bitrate_bps, old_fps) = (self.config.bitrate_bps, self.config.fps);
        if (bitrate_bps, fps) == (old_bitrate_bps, old_fps) {
            return Ok(());
        }
        (self.config.bitrate_bps, self.config.fps) = (bitrate_bps, fps);
        if self.epoch.is_none() {
            return self.restart(); // not set up yet: the library takes options only after the first frame
        }
        let raise = bitrate_bps > old_bitrate_bps;
        let set = encoder_options::set_rate(&mut self.encoder, bitrate_bps as i32, fps as f32, raise);
        set.or_else(|code| {
            tracing::warn!(code, bitrate_bps, fps, "the encoder refused a rate and starts anew");
            self.restart()
        })
    }

    /// Changes the size; the next frame is an IDR. Nothing happens if it is the size already.
    ///
    /// # Errors
    /// [`EncodeError::Size`] for a size out of range; the old one stays.
    pub fn set_size(&mut self, width: u32, height: u32) -> Result<(), EncodeError> {
        let config = EncoderConfig { width, height, ..self.config }.checked()?;
        if config == self.config {
            return Ok(());
        }
        self.config = config;
        self.restart()
    }

    fn restart(&mut self) -> Result<(), EncodeError> {
        self.encoder = build(&self.config)?;
        self.epoch = None;
        self.idr_wanted = true;
        Ok(())
    }
}

fn build(config: &EncoderConfig) -> Result<Encoder, EncodeError> {
    let usage = match config.content {
        Content::Camera => UsageType::CameraVideoRealTime,
        Content::Screen => UsageType::ScreenContentRealTime,
    };
    let mut options = openh264::encoder::EncoderConfig::new()
        .usage_type(usage)
        .profile(Profile::Baseline)
        .bitrate(BitRate::from_bps(config.bitrate_bps))
        .max_frame_rate(FrameRate::from_hz(config.fps as f32))
        .rate_control_mode(RateControlMode::Bitrate)
        .skip_frames(true)
        .complexity(Complexity::Low)
        .qp(QpRange::new(MIN_QP, MAX_QP))
        .intra_frame_period(IntraFramePeriod::from_num_frames(0))
        .scene_change_detect(config.content == Content::Screen) // the library insists on it for screens
        .adaptive_quantization(false)
        .background_detection(false)
        .num_threads(1);
    if config.width * config.height > SINGLE_THREAD_PIXELS {
        options = options.num_threads(2).max_slice_len(SLICE_BYTES);
    }
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), options)?;
    if let Err(code) = encoder_options::silence(&mut encoder) {
        tracing::debug!(code, "the encoder may write to the standard error output");
    }
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::super::decoder::VideoDecoder;
    use super::super::pattern::{Pattern, read_strip};
    use super::super::pool::FramePool;
    use super::*;
    use rtp::h264::annex_b::{Nal, NalKind, is_keyframe, nal_units};
    use std::time::Duration;

    const CONFIG: EncoderConfig =
        EncoderConfig { width: 640, height: 360, fps: 30, bitrate_bps: 800_000, content: Content::Camera };

    /// A camera with the pattern and some noise, on its own clock.
    struct Camera {
        pattern: Pattern,
        pool: FramePool,
        start: Instant,
        count: u16,
        noise: u32,
    }

    impl Camera {
        fn new(width: u32, height: u32) -> Self {
            let pattern = Pattern::new(width, height);
            Self { pattern, pool: FramePool::new(), start: Instant::now(), count: 0, noise: 1 }
        }

        fn frame(&mut self, fps: u32) -> VideoFrame {
            let age = Duration::from_millis(u64::from(self.count) * 1_000 / u64::from(fps));
            let unix_ms = 1_763_971_234_000 + age.as_millis() as u64;
            let frame = self.pattern.draw(&self.pool, unix_ms, self.count, self.start + age);
            self.count += 1;
            let mut noisy = self.pool.take(frame.width(), frame.height());
            noisy.copy_from(frame.planes(), frame.strides()).unwrap();
            let rows_below_strip = frame.strides()[0] * (frame.height() as usize / 3);
            for sample in &mut noisy.planes_mut()[0][rows_below_strip..] {
                self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = sample.saturating_add((self.noise >> 28) as u8);
            }
            noisy.freeze(frame.capture_time())
        }
    }

    fn kinds(unit: &AccessUnit) -> Vec<NalKind> {
        nal_units(&unit.data).map(Nal::kind).collect()
    }

    fn encoded(encoder: &mut VideoEncoder, camera: &mut Camera, frames: u32, fps: u32) -> Vec<AccessUnit> {
        (0..frames).filter_map(|_| encoder.encode(&camera.frame(fps), false).unwrap()).collect()
    }

    /// Bits per second over this many frames.
    fn rate(encoder: &mut VideoEncoder, camera: &mut Camera, frames: u32, fps: u32) -> f64 {
        rate_of(&encoded(encoder, camera, frames, fps), frames, fps)
    }

    /// The same, none of them a key frame.
    fn steady_rate(encoder: &mut VideoEncoder, camera: &mut Camera, frames: u32, fps: u32) -> f64 {
        let units = encoded(encoder, camera, frames, fps);
        assert!(units.iter().all(|unit| !unit.is_keyframe));
        rate_of(&units, frames, fps)
    }

    fn rate_of(units: &[AccessUnit], frames: u32, fps: u32) -> f64 {
        let bytes: usize = units.iter().map(|unit| unit.data.len()).sum();
        bytes as f64 * 8.0 * f64::from(fps) / f64::from(frames)
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_frame() {
        for content in [Content::Camera, Content::Screen] {
            let mut encoder = VideoEncoder::new(EncoderConfig { content, ..CONFIG }).unwrap();
            let mut decoder = VideoDecoder::new().unwrap();
            let mut camera = Camera::new(640, 360);
            let mut decoded = 0;
            for _ in 0..30 {
                let frame = camera.frame(30);
                let Some(unit) = encoder.encode(&frame, false).unwrap() else { continue };
                assert_eq!((unit.width, unit.height, unit.capture_time), (640, 360, frame.capture_time()));
                let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
                assert_eq!((shown.width(), shown.height()), (640, 360));
                assert_eq!(shown.capture_time(), frame.capture_time());
                assert_eq!(read_strip(&shown), read_strip(&frame));
                decoded += 1;
            }
            assert!(decoded >= 25, "rate control skipped too much: {decoded} of 30 came out");
        }
    }

    #[test]
    fn a_scaled_frame_carries_a_readable_strip_through_the_codec() {
        let mut camera = Camera::new(1280, 720);
        for (width, height, bitrate_bps) in [(640, 360, 300_000), (320, 180, 150_000)] {
            let config = EncoderConfig { width, height, bitrate_bps, ..CONFIG };
            let mut encoder = VideoEncoder::new(config).unwrap();
            let mut decoder = VideoDecoder::new().unwrap();
            for _ in 0..30 {
                let frame = camera.frame(30);
                let Some(unit) = encoder.encode(&frame, false).unwrap() else { continue };
                let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
                assert_eq!(read_strip(&shown), read_strip(&frame), "{width}x{height}");
            }
        }
    }

    #[test]
    fn key_frames_come_first_and_on_demand_only_each_with_parameter_sets() {
        let mut encoder = VideoEncoder::new(CONFIG).unwrap();
        let mut camera = Camera::new(640, 360);
        let mut keyframes = Vec::new();
        for index in 0..120 {
            let Some(unit) = encoder.encode(&camera.frame(30), index == 40 || index == 90).unwrap() else { continue };
            assert_eq!(unit.is_keyframe, is_keyframe(&unit.data));
            if unit.is_keyframe {
                assert_eq!(kinds(&unit)[..3], [NalKind::Sps, NalKind::Pps, NalKind::IdrSlice]);
                keyframes.push(index);
            }
        }
        assert_eq!(keyframes.len(), 3, "{keyframes:?}");
        assert_eq!(keyframes[0], 0);
        assert!((40..43).contains(&keyframes[1]) && (90..93).contains(&keyframes[2]), "{keyframes:?}");
    }

    #[test]
    fn a_new_rate_is_followed_without_a_key_frame() {
        let mut encoder = VideoEncoder::new(CONFIG).unwrap();
        let mut camera = Camera::new(640, 360);
        rate(&mut encoder, &mut camera, 15, 30);
        for (bitrate_bps, fps) in [(800_000, 30), (250_000, 30), (1_200_000, 30), (2_500_000, 30), (400_000, 15)] {
            encoder.set_rate(bitrate_bps, fps).unwrap();
            steady_rate(&mut encoder, &mut camera, fps / 2, fps);
            let measured = steady_rate(&mut encoder, &mut camera, 3 * fps, fps);
            let ratio = measured / f64::from(bitrate_bps);
            assert!((0.7..1.2).contains(&ratio), "asked for {bitrate_bps}, got {measured:.0} bit/s");
        }
    }

    #[test]
    fn a_rate_that_was_low_at_first_rises_without_a_key_frame() {
        let config = EncoderConfig { width: 480, height: 270, fps: 15, bitrate_bps: 70_000, ..CONFIG };
        let mut encoder = VideoEncoder::new(config).unwrap();
        let mut camera = Camera::new(480, 270);
        rate(&mut encoder, &mut camera, 15, 15);
        for bitrate_bps in [77_000, 200_000, 290_000, 400_000, 530_000, 1_100_000] {
            encoder.set_rate(bitrate_bps, 15).unwrap();
            steady_rate(&mut encoder, &mut camera, 15, 15);
        }
    }

    #[test]
    fn a_frame_that_takes_all_the_bits_it_gets_is_not_skipped_now_and_then() {
        let mut encoder = VideoEncoder::new(EncoderConfig { bitrate_bps: 2_500_000, ..CONFIG }).unwrap();
        let mut camera = Camera::new(640, 360);
        rate(&mut encoder, &mut camera, 60, 30);
        let missing = (0..600).filter(|_| encoder.encode(&camera.frame(30), false).unwrap().is_none()).count();
        assert!(missing <= 1, "{missing} of 600");
    }

    #[test]
    fn a_screen_keeps_to_its_rate_and_has_key_frames_when_they_are_asked_for() {
        let config = EncoderConfig { content: Content::Screen, fps: 15, bitrate_bps: 600_000, ..CONFIG };
        let mut encoder = VideoEncoder::new(config).unwrap();
        let mut camera = Camera::new(640, 360);
        rate(&mut encoder, &mut camera, 15, 15);
        for bitrate_bps in [600_000, 250_000, 900_000] {
            encoder.set_rate(bitrate_bps, 15).unwrap();
            rate(&mut encoder, &mut camera, 15, 15);
            let measured = rate(&mut encoder, &mut camera, 60, 15);
            assert!(measured < f64::from(bitrate_bps) * 1.2, "asked for {bitrate_bps}, got {measured:.0} bit/s");
        }
        let frame = camera.frame(15);
        let units = (0..15).filter_map(|index| encoder.encode(&frame, index == 3).unwrap());
        assert_eq!(units.filter(|unit| unit.is_keyframe).count(), 1);
    }

    #[test]
    fn a_rate_set_before_the_first_frame_counts() {
        let mut encoder = VideoEncoder::new(EncoderConfig { bitrate_bps: 3_000_000, ..CONFIG }).unwrap();
        encoder.set_rate(300_000, 30).unwrap();
        let mut camera = Camera::new(640, 360);
        rate(&mut encoder, &mut camera, 15, 30);
        assert!(rate(&mut encoder, &mut camera, 60, 30) < 400_000.0);
    }

    #[test]
    fn a_new_size_starts_with_a_key_frame_and_the_decoder_follows() {
        let mut encoder = VideoEncoder::new(CONFIG).unwrap();
        let mut decoder = VideoDecoder::new().unwrap();
        let mut camera = Camera::new(1280, 720);
        for (width, height) in [(640, 360), (320, 180), (1280, 720), (180, 320)] {
            encoder.set_size(width, height).unwrap();
            for index in 0..5 {
                let Some(unit) = encoder.encode(&camera.frame(30), false).unwrap() else { continue };
                assert_eq!(unit.is_keyframe, index == 0);
                let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
                assert_eq!((shown.width(), shown.height()), (width, height));
            }
        }
    }

    #[test]
    fn full_hd_is_encoded_in_slices_by_two_threads() {
        let config = EncoderConfig { width: 1920, height: 1080, bitrate_bps: 3_000_000, ..CONFIG };
        let mut encoder = VideoEncoder::new(config).unwrap();
        let mut decoder = VideoDecoder::new().unwrap();
        let mut camera = Camera::new(1920, 1080);
        for _ in 0..5 {
            let frame = camera.frame(30);
            let Some(unit) = encoder.encode(&frame, false).unwrap() else { continue };
            assert!(!unit.is_keyframe || kinds(&unit).len() > 3, "several slices");
            let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
            assert_eq!((shown.width(), shown.height()), (1920, 1080));
            assert_eq!(read_strip(&shown), read_strip(&frame));
        }
    }

    #[test]
    fn odd_sizes_lose_a_column_and_impossible_ones_are_refused() {
        let mut encoder = VideoEncoder::new(EncoderConfig { width: 427, height: 241, ..CONFIG }).unwrap();
        let unit = encoder.encode(&Camera::new(641, 361).frame(30), false).unwrap().unwrap();
        assert_eq!((unit.width, unit.height), (426, 240));
        for (width, height) in [(0, 0), (8, 360), (3842, 100), (2200, 2200), (u32::MAX, u32::MAX)] {
            let error = VideoEncoder::new(EncoderConfig { width, height, ..CONFIG }).err().unwrap();
            assert_eq!(error, EncodeError::Size { width, height });
            assert!(encoder.set_size(width, height).is_err());
        }
        assert_eq!(encoder.config().width, 426);
    }

    #[test]
    fn whatever_is_said_to_be_encodable_is_encoded_and_decoded() {
        use Content::{Camera as Natural, Screen};
        let cases = [
            (16, 16, 1, 10_000, Natural),
            (16, 16, 60, 50_000_000, Screen),
            (3840, 16, 60, 300_000, Natural),
            (16, 3840, 1, 300_000, Screen),
            (18, 1000, 15, 300_000, Natural),
            (426, 240, 24, 300_000, Screen),
            (3840, 2160, 15, 8_000_000, Natural),
            (2160, 3840, 60, 50_000_000, Screen),
        ];
        for (width, height, fps, bitrate_bps, content) in cases {
            let config = EncoderConfig { width, height, fps, bitrate_bps, content };
            let mut encoder = VideoEncoder::new(config).unwrap();
            let mut decoder = VideoDecoder::new().unwrap();
            let unit = encoder.encode(&Camera::new(320, 180).frame(fps), false).unwrap().unwrap();
            let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
            assert_eq!((shown.width(), shown.height()), (width, height), "{config:?}");
        }
    }

    /// The codec's build leaves its assembler out in silence; this program's own symbols tell.
    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn the_codec_is_built_with_simd() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for symbol in ["WelsSampleSad16x16_sse2", "WelsIDctFourT4Rec_avx2"] {
            let found = program.windows(symbol.len()).any(|window| window == symbol.as_bytes());
            assert!(found, "{symbol} is missing: rebuild openh264-sys2 with nasm installed");
        }
    }
}
