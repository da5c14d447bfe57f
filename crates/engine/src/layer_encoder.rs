//! One layer of a published video: its encoder, its bitrate and its key frames.

use std::time::{Duration, Instant};

use media::video::encoder::{AccessUnit, Content, EncodeError, EncoderConfig, VideoEncoder};
use media::video::frame::VideoFrame;
use rtp::keyframe::MIN_KEYFRAME_INTERVAL;
use transport::SendBudget;

use crate::config::VideoConfig;
use crate::rate_control::{Encoding, RateControl};
use crate::traffic_control::{BelowFloor, TrafficControl, ULTRA_LOW_FPS};

/// The encoder of one layer.
#[derive(Default)]
pub(crate) struct LayerEncoder {
    encoder: Option<(Encoding, VideoEncoder)>,
    rate: RateControl,
    last_keyframe: Option<Instant>,
    /// When the next frame is due at the configured frame rate.
    next_due: Option<Instant>,
    keyframe_owed: bool,
    sending: bool,
}

impl LayerEncoder {
    /// The layer rests: when it is sent again, it begins with a key frame.
    pub(crate) fn rest(&mut self) {
        self.sending = false;
    }

    /// Makes the next frame a key frame.
    pub(crate) fn force_keyframe(&mut self) {
        self.keyframe_owed = true;
    }

    /// How the frame of this moment is to be encoded; `None` if it is not due. `below`: the bitrate is below the video floor.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        config: &VideoConfig,
        control: &TrafficControl,
        below: Option<BelowFloor>,
        budget: SendBudget,
    ) -> Option<Encoding> {
        if !std::mem::replace(&mut self.sending, true) {
            // Subscribers start with this frame.
            self.keyframe_owed = true;
            self.last_keyframe = None;
        }
        let mut encoding = self.rate.encoding(now, config, control, budget);
        if below == Some(BelowFloor::UltraLowFps) {
            encoding.fps = encoding.fps.min(ULTRA_LOW_FPS);
        }
        self.is_due(now, encoding.fps).then_some(encoding)
    }

    /// Encodes a frame of any size. `None`: rate control dropped it.
    ///
    /// # Errors
    /// The encoder refuses the configuration or failed; it starts again with the next frame.
    pub(crate) fn encode(
        &mut self,
        frame: &VideoFrame,
        encoding: Encoding,
        content: Content,
    ) -> Result<Option<AccessUnit>, EncodeError> {
        let now = frame.capture_time();
        let allowed = self.last_keyframe.is_none_or(|last| now.duration_since(last) >= MIN_KEYFRAME_INTERVAL);
        let force = allowed && self.keyframe_owed;
        match self.encoder(encoding, content)?.encode(frame, force) {
            Ok(unit) => {
                if unit.as_ref().is_some_and(|unit| unit.is_keyframe) {
                    self.last_keyframe = Some(now);
                    self.keyframe_owed = false;
                }
                Ok(unit)
            }
            Err(error) => {
                self.encoder = None;
                Err(error)
            }
        }
    }

    /// Drops frames of a source that is faster than the configured frame rate.
    fn is_due(&mut self, now: Instant, fps: u32) -> bool {
        let interval = Duration::from_secs_f64(1.0 / f64::from(fps.max(1)));
        let due = self.next_due.unwrap_or(now);
        // A fifth of a frame early is on time: cameras jitter.
        if now + interval / 5 < due {
            return false;
        }
        let next = due + interval;
        self.next_due = Some(if next + interval < now { now + interval } else { next });
        true
    }

    fn encoder(&mut self, wanted: Encoding, content: Content) -> Result<&mut VideoEncoder, EncodeError> {
        // Another kind of content is another encoder, which begins with a key frame.
        self.encoder.take_if(|(_, encoder)| encoder.config().content != content);
        let (current, encoder) = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let settings = EncoderConfig {
                    width: wanted.width,
                    height: wanted.height,
                    fps: wanted.fps,
                    bitrate_bps: wanted.bitrate_bps,
                    content,
                };
                none.insert((wanted, VideoEncoder::new(settings)?))
            }
        };
        if (current.width, current.height) != (wanted.width, wanted.height)
            && let Err(error) = encoder.set_size(wanted.width, wanted.height)
        {
            tracing::warn!(%error, "the encoder kept its old size");
        }
        if (current.bitrate_bps, current.fps) != (wanted.bitrate_bps, wanted.fps)
            && let Err(error) = encoder.set_rate(wanted.bitrate_bps, wanted.fps)
        {
            tracing::warn!(%error, "the encoder kept its old rate");
        }
        *current = wanted;
        Ok(encoder)
    }
}
