//! Video: frames, sources, codecs, colour.
//!
//! A source (camera, file, pattern) makes a [`VideoFrame`] and passes it to a [`FrameSink`] on its own thread. Pixels are
//! planar YUV 4:2:0, 8 bit, all along; only a view asks for RGBA. Their meaning travels with them: BT.601 with limited range
//! for all that is captured here, whatever its stream says for what is received.

pub mod camera;
mod camera_pixels;
pub mod codec;
pub mod colour;
pub mod convert;
pub mod decoder;
pub mod encoder;
mod encoder_options;
mod file_source;
pub mod frame;
pub mod frame_rate;
mod jpeg;
mod mjpeg;
mod native_camera;
mod nokhwa_camera;
pub mod pattern;
mod picture_order;
mod planes;
pub mod playout;
pub mod pool;
mod reorder;
pub mod rotate;
pub mod scale;
pub mod screen;
pub mod sink;
mod source;
pub mod sps;
mod static_refinement;
mod timestamp_overlay;
#[cfg(target_os = "linux")]
mod v4l_camera;
#[cfg(feature = "vp8")]
mod vp8_decoder;
#[cfg(feature = "vp8")]
mod vp8_library;
mod y4m;

pub use camera::{CameraFailure, Capture, CaptureError, CaptureFormat};
pub use codec::{Decode, VideoCodec};
pub use colour::Colour;
pub use decoder::{DecodeError, VideoDecoder};
pub use encoder::{AccessUnit, Content, EncodeError, EncoderConfig, VideoEncoder};
pub use frame::{I420, PlaneError, VideoFrame};
pub use frame_rate::FrameRateCap;
pub use pool::FramePool;
pub use sink::{FrameSink, ViewStats};
