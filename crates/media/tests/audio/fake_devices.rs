//! Tone in, Opus, player, WAV out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use media::FakeDevices;
use media::audio::level::{rms_dbfs, tone_amplitude};
use media::audio::{
    AudioDeviceError, AudioEvents, AudioPacket, AudioPipeline, AudioPlayer, DeviceKind, OpusPacket, OpusSink,
};

#[derive(Default)]
struct Events {
    first_frames: AtomicU64,
    errors: AtomicU64,
}

impl AudioEvents for Events {
    fn captured_first_frame(&self) {
        self.first_frames.fetch_add(1, Ordering::SeqCst);
    }

    fn device_error(&self, _: DeviceKind, _: &AudioDeviceError) {
        self.errors.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the network does: hands every packet to the player.
struct Wire {
    player: AudioPlayer,
    packets: AtomicU64,
}

impl OpusSink for Wire {
    fn on_packet(&self, packet: &OpusPacket) {
        let sequence = self.packets.fetch_add(1, Ordering::SeqCst) as u16;
        let (timestamp, payload) = (packet.timestamp, packet.data.clone());
        self.player.push(AudioPacket { sequence, timestamp, payload, arrival: Instant::now() });
    }
}

struct Loopback {
    pipeline: Arc<AudioPipeline>,
    wire: Arc<Wire>,
    events: Arc<Events>,
    file: PathBuf,
}

impl Loopback {
    fn start(name: &str) -> Self {
        let file = std::env::temp_dir().join(format!("media-audio-{}-{name}.wav", std::process::id()));
        let fakes = FakeDevices {
            camera: None,
            microphone: Some("tone".to_owned()),
            speaker: Some(file.to_string_lossy().into_owned()),
        };
        let events = Arc::new(Events::default());
        let pipeline = AudioPipeline::new(fakes, events.clone());
        let wire = Arc::new(Wire { player: pipeline.add_player(), packets: AtomicU64::new(0) });
        pipeline.add_encoder(1, wire.clone());
        pipeline.start_capture();
        Self { pipeline, wire, events, file }
    }

    /// Waits until the player has decoded this much more.
    fn run_for(&self, audio: Duration) {
        let goal = self.wire.player.stats().decoded_ms + audio.as_millis() as u64;
        let give_up = Instant::now() + audio + Duration::from_secs(20);
        while self.wire.player.stats().decoded_ms < goal {
            assert!(Instant::now() < give_up, "{:?}", self.wire.player.stats());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends everything and gives what was played.
    fn finish(self) -> Vec<f32> {
        let Self { pipeline, wire, events, file } = self;
        assert_eq!(events.errors.load(Ordering::SeqCst), 0);
        let begin = Instant::now();
        drop((wire, pipeline));
        assert!(begin.elapsed() < Duration::from_secs(2), "shutdown took {:?}", begin.elapsed());
        let heard = read(&file);
        let _ = std::fs::remove_file(&file);
        heard
    }
}

fn read(file: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(file).unwrap();
    reader.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32768.0).collect()
}

/// Amplitudes of every whole 50 ms: (440 Hz, 1 kHz).
fn amplitudes(heard: &[f32]) -> Vec<(f32, f32)> {
    heard.chunks_exact(2400).map(|piece| (tone_amplitude(piece, 440.0), tone_amplitude(piece, 1000.0))).collect()
}

#[test]
fn the_tone_is_heard_at_the_other_end() {
    let loopback = Loopback::start("tone");
    loopback.run_for(Duration::from_millis(2500));
    assert_eq!(loopback.events.first_frames.load(Ordering::SeqCst), 1);
    let stats = loopback.wire.player.stats();
    println!("{stats:?}");
    let pieces = amplitudes(&loopback.finish());
    let hum = pieces.iter().filter(|(hum, pip)| (0.08..0.12).contains(hum) && *pip < 0.01).count();
    let pips = pieces.iter().filter(|(hum, pip)| (0.42..0.56).contains(pip) && *hum < 0.05).count();
    assert!(hum > 20, "{hum} of {} pieces hum: {pieces:?}", pieces.len());
    assert!((1..=6).contains(&pips), "{pips} pips");
}

#[test]
fn a_muted_microphone_sends_silence_and_keeps_sending() {
    let loopback = Loopback::start("mic-mute");
    loopback.run_for(Duration::from_millis(300));
    loopback.pipeline.set_microphone_muted(true);
    loopback.run_for(Duration::from_millis(1500));
    let heard = loopback.finish();
    assert!(rms_dbfs(&heard[heard.len() - 24_000..]) < -70.0);
    assert!(amplitudes(&heard).iter().any(|(hum, pip)| hum.max(*pip) > 0.08));
}

#[test]
fn mutes_and_volume_act_on_what_is_heard() {
    let loopback = Loopback::start("mutes");
    let player = &loopback.wire.player;
    loopback.run_for(Duration::from_millis(500));
    player.set_volume(0);
    loopback.run_for(Duration::from_millis(400));
    player.set_volume(200);
    loopback.run_for(Duration::from_millis(400));
    player.set_muted(true);
    loopback.run_for(Duration::from_millis(400));
    player.set_muted(false);
    loopback.pipeline.set_speaker_muted(true);
    loopback.run_for(Duration::from_millis(400));
    let heard = loopback.finish();
    let levels: Vec<f32> = heard.chunks_exact(4800).map(rms_dbfs).collect();
    // In order: silence, normal, silence, double, silence.
    let loud = levels.iter().filter(|level| (-18.5..-14.0).contains(*level)).count();
    assert!(loud >= 2, "{levels:?}");
    assert!(levels.iter().filter(|level| **level < -70.0).count() >= 6, "{levels:?}");
    assert!(*levels.last().unwrap() < -70.0);
}
