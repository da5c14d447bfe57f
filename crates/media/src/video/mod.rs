//! Video: frames, sources, codecs, colour.
//!
//! A source (camera, file, pattern) makes a [`VideoFrame`] and gives it to a [`FrameSink`] on its own thread. Pixels
//! are planar YUV 4:2:0, 8 bit, BT.601 limited range all along; only a view asks for RGBA.

mod at_rest;
pub mod camera;
mod camera_pixels;
pub mod convert;
pub mod decoder;
pub mod encoder;
mod encoder_options;
mod file_source;
pub mod frame;
pub mod frame_rate;
mod jpeg;
mod mjpeg;
pub mod nal;
mod native_camera;
mod nokhwa_camera;
pub mod pattern;
mod planes;
pub mod pool;
pub mod scale;
pub mod screen;
pub mod sink;
mod source;
pub mod sps;
mod strip;
#[cfg(target_os = "linux")]
mod v4l_camera;
mod y4m;

pub use camera::{CameraTrouble, Capture, CaptureError, CaptureFormat};
pub use decoder::{DecodeError, VideoDecoder};
pub use encoder::{AccessUnit, Content, EncodeError, EncoderConfig, VideoEncoder};
pub use frame::{I420, PlaneError, VideoFrame};
pub use frame_rate::FrameRateCap;
pub use pool::FramePool;
pub use sink::{FrameSink, ViewStats};
