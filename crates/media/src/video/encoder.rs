//! H.264 encoder for live video: constrained baseline, IDR pictures on demand only, rate changed on the fly.

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

/// What the pictures show, which decides how the encoder searches and spends its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// A camera: natural motion.
    #[default]
    Camera,
    /// A screen: text, hard edges, large unchanged areas.
    Screen,
}

/// What to encode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// In pixels, 16..=3840; odd widths lose a column. The longer side is at most 3840, the shorter one 2160.
    pub width: u32,
    /// In pixels, as `width`.
    pub height: u32,
    /// Frames per second that will come; kept within 1..=60.
    pub fps: u32,
    /// Target in bits per second; kept within 10 kbit/s..=50 Mbit/s.
    pub bitrate_bps: u32,
    /// What the pictures show.
    pub content: Content,
}

impl EncoderConfig {
    fn checked(self) -> Result<Self, EncodeError> {
        let (width, height) = (self.width & !1, self.height & !1);
        let (longer, shorter) = (width.max(height), width.min(height));
        if shorter < 16 || shorter > 2160 || longer > 3840 {
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

/// Slices of about one packet; the library splits a picture among threads by slices only.
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

/// An encoded picture.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// NAL units with start codes (Annex B); a keyframe begins with its parameter sets.
    pub data: Bytes,
    /// An IDR picture: a decoder can start here.
    pub is_keyframe: bool,
    /// Of the frame it was made of.
    pub capture_time: Instant,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Encodes frames of any size to one size. The first picture is an IDR; others only when asked for.
pub struct VideoEncoder {
    config: EncoderConfig,
    encoder: Encoder,
    /// Capture time of the first frame since the encoder was made; its time stamps count from here.
    epoch: Option<Instant>,
    /// Asked for, but not produced yet, since rate control may skip the very frame that was to be it.
    idr_wanted: bool,
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
        Ok(Self { config, encoder: build(&config)?, epoch: None, idr_wanted: true, last_len: 0 })
    }

    /// What it encodes to now.
    pub fn config(&self) -> EncoderConfig {
        self.config
    }

    /// Encodes a frame. One of another size is scaled, and cut to the aspect ratio if that differs.
    ///
    /// `None` means that rate control left this frame out; a wanted IDR then comes with the next one.
    ///
    /// # Errors
    /// [`EncodeError::Codec`] if the library fails; the encoder then starts anew with an IDR.
    pub fn encode(&mut self, frame: &VideoFrame, force_idr: bool) -> Result<Option<AccessUnit>, EncodeError> {
        self.idr_wanted |= force_idr;
        let scaled = scale::fill(frame, self.config.width, self.config.height);
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
        Ok(Some(AccessUnit { data: data.into(), is_keyframe, capture_time: frame.capture_time(), width, height }))
    }

    /// Changes target and frame rate from the next frame on; no IDR follows from it.
    ///
    /// # Errors
    /// [`EncodeError::Codec`] if the library refuses; the encoder then starts anew with these values and an IDR.
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

    /// Changes the size; the next picture is an IDR. Nothing happens if it is the size already.
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
        .scene_change_detect(false)
        .adaptive_quantization(false)
        .background_detection(false)
        .num_threads(1);
    if config.width * config.height > SINGLE_THREAD_PIXELS {
        options = options.num_threads(2).max_slice_len(SLICE_BYTES);
    }
    Ok(Encoder::with_api_config(OpenH264API::from_source(), options)?)
}
