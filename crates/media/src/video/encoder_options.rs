//! The one place that speaks to the encoder library directly: options that its safe wrapper cannot change while it
//! runs.
#![allow(unsafe_code)]

use std::os::raw::c_void;

use openh264::encoder::Encoder;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_TRACE_LEVEL, SBitrateInfo, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, WELS_LOG_QUIET,
};

/// The maximum as a multiple of the target.
const MAX_OVER_TARGET: i32 = 2;

/// A value that the library reads for an option.
trait OptionValue {}
impl OptionValue for SBitrateInfo {}
impl OptionValue for f32 {}
impl OptionValue for i32 {}

/// Keeps the library from writing to the standard error output while it is set up; the wrapper does so only later.
///
/// # Errors
/// The library's return code if it refuses.
pub(super) fn silence(encoder: &mut Encoder) -> Result<(), i32> {
    set(encoder, ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_QUIET)
}

/// Changes the target of an encoder that has encoded at least one frame; no IDR follows from it.
///
/// The library also keeps a maximum for its only layer, which the safe wrapper sets to the first target: no target above it
/// is accepted, and one near it makes rate control leave frames out that the target alone would let through. So it
/// goes along, well above the target.
///
/// # Errors
/// The library's return code if it refuses a value.
pub(super) fn set_rate(encoder: &mut Encoder, bitrate_bps: i32, fps: f32, raise: bool) -> Result<(), i32> {
    set(encoder, ENCODER_OPTION_FRAME_RATE, fps)?;
    let target = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bitrate_bps };
    let most = SBitrateInfo { iLayer: SPATIAL_LAYER_0, iBitrate: bitrate_bps.saturating_mul(MAX_OVER_TARGET) };
    // The target may never lie above the maximum, so whichever gives room comes first.
    if raise {
        set(encoder, ENCODER_OPTION_MAX_BITRATE, most)?;
        set(encoder, ENCODER_OPTION_BITRATE, target)
    } else {
        set(encoder, ENCODER_OPTION_BITRATE, target)?;
        set(encoder, ENCODER_OPTION_MAX_BITRATE, most)
    }
}

fn set<V: OptionValue>(encoder: &mut Encoder, option: ENCODER_OPTION, mut value: V) -> Result<(), i32> {
    // SAFETY: the wrapper asks only that nothing it relies on is changed. It keeps no copy of rate and frame rate that
    // it reads again before the frame's size changes (an encoder of ours never changes its size), and it sets the
    // same trace level itself.
    let raw = unsafe { encoder.raw_api() };
    // SAFETY: `value` has the type that the library expects for `option` (only the pairs above exist), is
    // alive and writable during the call, and the library keeps no pointer to it.
    let code = unsafe { raw.set_option(option, std::ptr::from_mut(&mut value).cast::<c_void>()) };
    if code == 0 { Ok(()) } else { Err(code) }
}
