//! Real microphones and speakers, through cpal.
//!
//! Devices come in any rate, channel count and sample format; the callbacks turn them into mono `f32` in a ring and do
//! nothing else: no locks, no allocation, no logging. Rates are converted on the other side of the ring.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};

use super::callback::{FromRing, IntoRing};
use super::device_slot::Attempt;
use super::stream::{InputStream, OutputStream, StreamStatus, stereo_ring_capacity};
use super::{AudioDeviceError, DeviceKind, SAMPLE_RATE, fake_device};
use crate::{DeviceInfo, FakeDevices};

/// Preferred length of a callback, milliseconds.
const CALLBACK_MS: u32 = 10;
/// How long the caller waits for a device to close; after that it closes in the background.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// Lists microphones or speakers: the fake one first, then the machine's. Devices that are no use to people (ALSA's format
/// converters and the like) are skipped. Takes some milliseconds; call it off the async threads.
pub fn list(kind: DeviceKind, fakes: &FakeDevices) -> Vec<DeviceInfo> {
    let fake = match kind {
        DeviceKind::Microphone => &fakes.microphone,
        DeviceKind::Speaker => &fakes.speaker,
    };
    let there = fake.iter().filter(|name| fake_device::is_there(kind, name));
    let mut devices: Vec<DeviceInfo> = there.map(|name| DeviceInfo { id: name.clone(), name: name.clone() }).collect();
    devices.extend(quietly(|| list_real(kind)));
    devices
}

/// Changes when cards or fake devices are plugged in or out; far cheaper than [`list`]. Devices of a sound server, and systems
/// other than Linux, have no such sign.
pub fn fingerprint(kind: DeviceKind, fakes: &FakeDevices) -> u64 {
    let fake = match kind {
        DeviceKind::Microphone => &fakes.microphone,
        DeviceKind::Speaker => &fakes.speaker,
    };
    let mut hasher = DefaultHasher::new();
    fake.as_deref().map(|name| fake_device::is_there(kind, name)).hash(&mut hasher);
    let mut nodes: Vec<_> =
        std::fs::read_dir("/dev/snd").into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    nodes.sort();
    nodes.hash(&mut hasher);
    hasher.finish()
}

/// The id in [`list`] of the default device; empty if there is none. A default that is not in the list, as ALSA has one on
/// machines without any device, is replaced by the first one of the list.
pub fn default_id(kind: DeviceKind, fakes: &FakeDevices) -> String {
    let fake = match kind {
        DeviceKind::Microphone => &fakes.microphone,
        DeviceKind::Speaker => &fakes.speaker,
    };
    if let Some(fake) = fake {
        return fake.clone();
    }
    quietly(|| {
        let default = find("", kind).ok().and_then(|device| device.id().ok()).map(|id| id.to_string());
        let listed: Vec<String> = list_real(kind).into_iter().map(|device| device.id).collect();
        let default = default.filter(|id| listed.contains(id));
        default.or_else(|| listed.into_iter().next()).unwrap_or_default()
    })
}

fn list_real(kind: DeviceKind) -> Vec<DeviceInfo> {
    let Ok(all) = cpal::default_host().devices() else { return Vec::new() };
    let suits = |device: &cpal::Device| match kind {
        DeviceKind::Microphone => device.supports_input(),
        DeviceKind::Speaker => device.supports_output(),
    };
    let found: Vec<(cpal::Device, DeviceInfo)> = all
        .filter(suits)
        .filter_map(|device| {
            let id = device.id().ok()?.to_string();
            let name = device.description().map_or_else(|_| id.clone(), |description| description.to_string());
            Some((device, DeviceInfo { id, name }))
        })
        .filter(|(_, info)| is_for_people(&info.id))
        .collect();
    // ALSA lists these whether or not there is anything behind them: without a card, ask.
    let doubtful = found.iter().all(|(_, info)| ALSA_PLUGINS.contains(&info.id.as_str()));
    found
        .into_iter()
        .filter(|(device, _)| !doubtful || choose_format(device, kind).is_ok())
        .map(|(_, info)| info)
        .collect()
}

/// ALSA's default, and the sound servers that it reaches by plugins.
const ALSA_PLUGINS: [&str; 3] = ["alsa:default", "alsa:pulse", "alsa:pipewire"];

/// Whether a device belongs in a list that people choose from.
fn is_for_people(id: &str) -> bool {
    match id.strip_prefix("alsa:") {
        // One entry per card is enough: the one with all conversions.
        Some(pcm) => matches!(pcm, "default" | "pulse" | "pipewire") || pcm.starts_with("plughw:"),
        None => true,
    }
}

/// Opens a real microphone; `id` as listed, or empty for the default. With two channels if it has them, even where one is
/// wanted: a system that mixes them itself halves a voice on one input. Blocks for as long as the audio system does.
pub(crate) fn open_microphone(id: &str) -> Attempt<InputStream> {
    open_found(id, DeviceKind::Microphone, |device| {
        let (format, config) = choose_format(device, DeviceKind::Microphone)?;
        let status = Arc::new(StreamStatus::default());
        with_buffer_sizes(config, |config| {
            let (producer, samples) = rtrb::RingBuffer::new(stereo_ring_capacity(config.sample_rate));
            let stream = build_input(device, format, config, producer, status.clone())?;
            stream.play()?;
            Ok(InputStream {
                samples,
                sample_rate: config.sample_rate,
                is_measuring_signal: false,
                status: status.clone(),
                _device: Box::new(OpenDevice(Some(stream))),
            })
        })
    })
}

/// Opens a real speaker; `id` as listed, or empty for the default. Blocks for as long as the audio system likes.
pub(crate) fn open_speaker(id: &str) -> Attempt<OutputStream> {
    open_found(id, DeviceKind::Speaker, |device| {
        let (format, config) = choose_format(device, DeviceKind::Speaker)?;
        let status = Arc::new(StreamStatus::default());
        with_buffer_sizes(config, |config| {
            let (samples, consumer) = rtrb::RingBuffer::new(stereo_ring_capacity(config.sample_rate));
            let stream = build_output(device, format, config, consumer, status.clone())?;
            stream.play()?;
            Ok(OutputStream {
                samples,
                sample_rate: config.sample_rate,
                holds_callback: true,
                status: status.clone(),
                _device: Box::new(OpenDevice(Some(stream))),
            })
        })
    })
}

/// Finds a device and opens it; the attempt names the one that the default stands for.
fn open_found<S>(
    id: &str,
    kind: DeviceKind,
    open: impl FnOnce(&cpal::Device) -> Result<S, AudioDeviceError>,
) -> Attempt<S> {
    quietly(|| match find(id, kind) {
        Ok(device) => {
            let id = device.id().map_or_else(|_| id.to_owned(), |id| id.to_string());
            Attempt { id, stream: open(&device) }
        }
        Err(error) => Attempt { id: id.to_owned(), stream: Err(error) },
    })
}

/// Closes its device when dropped, within a bounded time.
struct OpenDevice(Option<cpal::Stream>);

impl Drop for OpenDevice {
    fn drop(&mut self) {
        let Some(stream) = self.0.take() else { return };
        let (closed, wait) = crossbeam_channel::bounded::<()>(0);
        // If no thread can be had, the closure is dropped here and the device with it.
        let closer = std::thread::Builder::new().name("audio-close".to_owned()).spawn(move || {
            drop(stream);
            drop(closed);
        });
        if closer.is_ok() {
            let _ = wait.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}

fn find(id: &str, kind: DeviceKind) -> Result<cpal::Device, AudioDeviceError> {
    let host = cpal::default_host();
    if id.is_empty() {
        let device = match kind {
            DeviceKind::Microphone => host.default_input_device(),
            DeviceKind::Speaker => host.default_output_device(),
        };
        return device.ok_or(AudioDeviceError::NoDevice);
    }
    cpal::DeviceId::from_str(id)
        .ok()
        .and_then(|id| host.device_by_id(&id))
        .ok_or_else(|| AudioDeviceError::NotFound { id: id.to_owned() })
}

/// Chooses the format with the least conversion: 48 kHz, then the usual formats, then two channels or one, then few.
fn choose_format(device: &cpal::Device, kind: DeviceKind) -> Result<(SampleFormat, StreamConfig), AudioDeviceError> {
    let ranges: Result<Vec<_>, cpal::Error> = match kind {
        DeviceKind::Microphone => device.supported_input_configs().map(Iterator::collect),
        DeviceKind::Speaker => device.supported_output_configs().map(Iterator::collect),
    };
    let format_rank = |format: SampleFormat| match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::I16 => Some(1),
        SampleFormat::I32 => Some(2),
        SampleFormat::I24 => Some(3),
        SampleFormat::U16 => Some(4),
        SampleFormat::U8 => Some(5),
        SampleFormat::F64 | SampleFormat::I8 | SampleFormat::U32 => Some(6),
        _ => None,
    };
    let channel_rank = |channels: u16| match channels {
        2 => 0,
        channels => channels,
    };
    let rate_of = |range: &cpal::SupportedStreamConfigRange| {
        SAMPLE_RATE.clamp(range.min_sample_rate(), range.max_sample_rate().max(range.min_sample_rate()))
    };
    let best = ranges?
        .into_iter()
        .filter_map(|range| {
            let rank = (
                rate_of(&range).abs_diff(SAMPLE_RATE),
                format_rank(range.sample_format())?,
                channel_rank(range.channels()),
            );
            Some((rank, range))
        })
        .min_by_key(|(rank, _)| *rank);
    let (_, range) = best.ok_or(AudioDeviceError::Unsupported)?;
    let config = StreamConfig {
        channels: range.channels(),
        sample_rate: rate_of(&range),
        buffer_size: cpal::BufferSize::Fixed(rate_of(&range) * CALLBACK_MS / 1000),
    };
    Ok((range.sample_format(), config))
}

/// Tries short callbacks first, then whatever the device prefers.
fn with_buffer_sizes<T>(
    config: StreamConfig,
    open: impl Fn(StreamConfig) -> Result<T, cpal::Error>,
) -> Result<T, AudioDeviceError> {
    open(config)
        .or_else(|_| open(StreamConfig { buffer_size: cpal::BufferSize::Default, ..config }))
        .map_err(AudioDeviceError::from)
}

fn build_input(
    device: &cpal::Device,
    format: SampleFormat,
    config: StreamConfig,
    producer: rtrb::Producer<f32>,
    status: Arc<StreamStatus>,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => input_of::<f32>(device, config, producer, status),
        SampleFormat::F64 => input_of::<f64>(device, config, producer, status),
        SampleFormat::I8 => input_of::<i8>(device, config, producer, status),
        SampleFormat::I16 => input_of::<i16>(device, config, producer, status),
        SampleFormat::I24 => input_of::<cpal::I24>(device, config, producer, status),
        SampleFormat::I32 => input_of::<i32>(device, config, producer, status),
        SampleFormat::U8 => input_of::<u8>(device, config, producer, status),
        SampleFormat::U16 => input_of::<u16>(device, config, producer, status),
        SampleFormat::U32 => input_of::<u32>(device, config, producer, status),
        _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
    }
}

fn input_of<T>(
    device: &cpal::Device,
    config: StreamConfig,
    producer: rtrb::Producer<f32>,
    status: Arc<StreamStatus>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample + Send + 'static,
    f32: FromSample<T>,
{
    let errors = status.clone();
    let mut callback = IntoRing { samples: producer, channels: usize::from(config.channels), status };
    let on_data = move |data: &[T], _: &cpal::InputCallbackInfo| callback.take(data);
    device.build_input_stream(config, on_data, move |error| errors.on_error(&error), None)
}

fn build_output(
    device: &cpal::Device,
    format: SampleFormat,
    config: StreamConfig,
    consumer: rtrb::Consumer<f32>,
    status: Arc<StreamStatus>,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => output_of::<f32>(device, config, consumer, status),
        SampleFormat::F64 => output_of::<f64>(device, config, consumer, status),
        SampleFormat::I8 => output_of::<i8>(device, config, consumer, status),
        SampleFormat::I16 => output_of::<i16>(device, config, consumer, status),
        SampleFormat::I24 => output_of::<cpal::I24>(device, config, consumer, status),
        SampleFormat::I32 => output_of::<i32>(device, config, consumer, status),
        SampleFormat::U8 => output_of::<u8>(device, config, consumer, status),
        SampleFormat::U16 => output_of::<u16>(device, config, consumer, status),
        SampleFormat::U32 => output_of::<u32>(device, config, consumer, status),
        _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
    }
}

fn output_of<T>(
    device: &cpal::Device,
    config: StreamConfig,
    consumer: rtrb::Consumer<f32>,
    status: Arc<StreamStatus>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32> + Send + 'static,
{
    let errors = status.clone();
    let mut callback = FromRing { samples: consumer, channels: usize::from(config.channels), status };
    let on_data = move |data: &mut [T], _: &cpal::OutputCallbackInfo| callback.give(data);
    device.build_output_stream(config, on_data, move |error| errors.on_error(&error), None)
}

/// Runs `f` while alsa-lib keeps its complaints to itself; it would print them to the application's terminal.
#[cfg(target_os = "linux")]
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    // Installs a handler for this thread alone that keeps the text in memory; the next call empties it.
    let _complaints = alsa::Output::local_error_handler();
    f()
}

#[cfg(not(target_os = "linux"))]
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_device_is_first_in_the_list() {
        let fakes = FakeDevices { microphone: Some("tone".to_owned()), ..FakeDevices::default() };
        let listed = list(DeviceKind::Microphone, &fakes);
        assert_eq!(listed[0], DeviceInfo { id: "tone".to_owned(), name: "tone".to_owned() });
    }

    #[test]
    fn the_fake_device_is_the_default() {
        let fakes = FakeDevices { speaker: Some("null".to_owned()), ..FakeDevices::default() };
        assert_eq!(default_id(DeviceKind::Speaker, &fakes), "null");
    }

    #[test]
    fn alsa_format_converters_are_not_for_people() {
        assert!(!is_for_people("alsa:lavrate"));
        assert!(!is_for_people("alsa:null"));
        assert!(is_for_people("alsa:default"));
        assert!(is_for_people("alsa:plughw:CARD=PCH,DEV=0"));
        assert!(is_for_people("wasapi:{0.0.1.00000000}"));
    }

    #[test]
    fn an_unknown_device_is_not_found() {
        let missing = open_speaker("alsa:plughw:CARD=Nowhere,DEV=9");
        assert_eq!(missing.id, "alsa:plughw:CARD=Nowhere,DEV=9");
        let error = missing.stream.err();
        assert!(matches!(error, Some(AudioDeviceError::NotFound { .. })), "{error:?}");
        let error = open_microphone("nonsense").stream.err();
        assert!(matches!(error, Some(AudioDeviceError::NotFound { .. })), "{error:?}");
    }
}
