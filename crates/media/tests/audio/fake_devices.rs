//! Tone in, Opus, player, WAV out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use media::FakeDevices;
use media::audio::codec::{OpusDecoder, PACKET_SAMPLES};
use media::audio::level::{rms_dbfs, tone_amplitude};
use media::audio::{
    AudioDeviceError, AudioEvents, AudioPacket, AudioPipeline, AudioPlayer, DeviceKind, EncoderSettings, OpusPacket,
    OpusSink, ProcessingConfig,
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

    fn device_error(&self, _: DeviceKind, _: &str, _: &AudioDeviceError) {
        self.errors.fetch_add(1, Ordering::SeqCst);
    }

    fn device_recovered(&self, _: DeviceKind) {}
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
        self.player.push(AudioPacket { sequence, timestamp, payload, is_redundant: false, arrival: Instant::now() });
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
        Self::start_with(name, "tone")
    }

    fn start_with(name: &str, microphone: &str) -> Self {
        Self::start_between(name, microphone, "")
    }

    /// `form` comes before the name of the speaker's file.
    fn start_between(name: &str, microphone: &str, form: &str) -> Self {
        let file = std::env::temp_dir().join(format!("media-audio-{}-{name}.wav", std::process::id()));
        let fakes = FakeDevices {
            camera: None,
            microphone: Some(microphone.to_owned()),
            speaker: Some(format!("{form}{}", file.to_string_lossy())),
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
        println!("closed in {:?}", begin.elapsed());
        // 200 ms on a machine that is not overloaded.
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
    assert!(pips >= 1 && pips * 4 < hum, "{pips} pieces with a pip, {hum} with the hum");
}

/// Shares of the 50 ms pieces of a stereo call in which the left and the right tone are heard on their own side alone.
fn apart(name: &str, capture: bool, encode: bool) -> (f64, f64) {
    let loopback = Loopback::start_between(name, "stereo-tone", "stereo:");
    loopback.pipeline.set_capture_stereo(capture);
    let settings = EncoderSettings { bitrate_bps: 96_000, is_stereo: encode, ..EncoderSettings::default() };
    loopback.pipeline.configure_encoder(1, settings);
    loopback.run_for(Duration::from_millis(2500));
    let heard = loopback.finish();
    let side = |side: usize| heard.iter().skip(side).step_by(2).copied().collect::<Vec<f32>>();
    // Without the beginning, in which the call has not settled.
    let share = |side: Vec<f32>, own: f64, other: f64| {
        let pieces: Vec<_> = side[48_000..].chunks_exact(2400).collect();
        let is_apart =
            |piece: &&&[f32]| (0.08..0.12).contains(&tone_amplitude(piece, own)) && tone_amplitude(piece, other) < 0.02;
        pieces.iter().filter(is_apart).count() as f64 / pieces.len() as f64
    };
    (share(side(0), 440.0, 660.0), share(side(1), 660.0, 440.0))
}

#[test]
fn what_is_left_and_what_is_right_stay_apart_to_the_other_end() {
    let (left, right) = apart("stereo", true, true);
    // The left side has a pip in a tenth of the time.
    assert!(left > 0.7 && right > 0.9, "{left} {right}");
}

#[test]
fn stereo_has_to_be_wanted_of_the_microphone_and_of_the_stream() {
    for (name, capture, encode) in [("mono-microphone", false, true), ("mono-stream", true, false)] {
        assert_eq!(apart(name, capture, encode), (0.0, 0.0), "{name}");
    }
}

#[test]
fn a_stereo_file_of_44_1_khz_is_heard_as_it_sounds() {
    let file = std::env::temp_dir().join(format!("media-audio-{}-microphone.wav", std::process::id()));
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&file, spec).unwrap();
    for index in 0..44_100 {
        let sample = 0.3 * (std::f64::consts::TAU * 1000.0 * f64::from(index) / 44_100.0).sin();
        (0..2).for_each(|_| writer.write_sample((sample * 32767.0) as i16).unwrap());
    }
    writer.finalize().unwrap();
    let loopback = Loopback::start_with("file", &file.to_string_lossy());
    loopback.pipeline.set_processing(ProcessingConfig::OFF);
    loopback.run_for(Duration::from_millis(1500));
    let heard = loopback.finish();
    let _ = std::fs::remove_file(&file);
    let right = amplitudes(&heard).iter().filter(|(_, pip)| (0.26..0.34).contains(pip)).count();
    assert!(right >= 15, "{right}");
}

#[test]
fn the_time_of_capture_is_that_of_the_tone() {
    #[derive(Default)]
    struct Packets(parking_lot::Mutex<Vec<OpusPacket>>);
    impl OpusSink for Packets {
        fn on_packet(&self, packet: &OpusPacket) {
            self.0.lock().push(packet.clone());
        }
    }
    let fakes = FakeDevices { microphone: Some("tone".to_owned()), ..FakeDevices::default() };
    let pipeline = AudioPipeline::new(fakes, Arc::new(Events::default()));
    let packets = Arc::new(Packets::default());
    pipeline.add_encoder(1, packets.clone());
    pipeline.start_capture();
    let give_up = Instant::now() + Duration::from_secs(20);
    while packets.0.lock().len() < 125 {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(pipeline);

    // Where the pip begins, on the wall clock, by the packets' own times.
    let mut decoder = OpusDecoder::new().unwrap();
    let (now, wall) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    let mut was_pip = true;
    let mut errors_ms = Vec::new();
    for packet in packets.0.lock().iter() {
        let mut samples = [0.0; PACKET_SAMPLES];
        decoder.decode(&packet.data, &mut samples).unwrap();
        for (index, piece) in samples.chunks_exact(240).enumerate() {
            let is_pip = rms_dbfs(piece) > -14.0;
            if is_pip && !was_pip {
                let at = wall - (now - packet.capture_time) + Duration::from_millis(5 * index as u64);
                let second = f64::from(at.subsec_nanos()) * 1e-6;
                errors_ms.push(if second > 500.0 { second - 1000.0 } else { second });
            }
            was_pip = is_pip;
        }
    }
    println!("pips are off by {errors_ms:?} ms");
    // Opus itself delays by 6.5 ms; the rest is room for a busy machine.
    assert!(errors_ms.iter().any(|error| error.abs() < 40.0), "{errors_ms:?}");
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
    loopback.run_for(Duration::from_millis(500));
    player.set_volume(200);
    // Long enough that the pip, which the limiter turns down, leaves most of it.
    loopback.run_for(Duration::from_millis(1000));
    player.set_muted(true);
    loopback.run_for(Duration::from_millis(500));
    player.set_muted(false);
    loopback.pipeline.set_speaker_muted(true);
    loopback.run_for(Duration::from_millis(500));
    let heard = loopback.finish();
    let levels: Vec<f32> = heard.chunks_exact(4800).map(rms_dbfs).collect();
    // In order: silence, normal, silence, double, silence.
    let loud = levels.iter().filter(|level| (-18.5..-14.0).contains(*level)).count();
    assert!(loud >= 2, "{levels:?}");
    assert!(levels.iter().filter(|level| **level < -70.0).count() >= 6, "{levels:?}");
    assert!(*levels.last().unwrap() < -70.0);
}

#[test]
fn a_microphone_that_is_not_there_is_replaced_by_the_default() {
    let loopback = Loopback::start("switch");
    loopback.run_for(Duration::from_millis(500));
    // Not the fake microphone of this pipeline, and no real one: reported, and the default (the tone) continues.
    loopback.pipeline.select_device(DeviceKind::Microphone, "alsa:plughw:CARD=Nowhere,DEV=0");
    loopback.run_for(Duration::from_millis(500));
    assert_eq!(loopback.events.errors.swap(0, Ordering::SeqCst), 1);
    let heard = loopback.finish();
    let loud = amplitudes(&heard).iter().filter(|(hum, pip)| hum.max(*pip) > 0.08).count();
    assert!(loud >= 14, "{loud}");
}

#[test]
fn capture_can_be_stopped_and_started_again() {
    let loopback = Loopback::start("restart");
    loopback.run_for(Duration::from_millis(300));
    loopback.pipeline.stop_capture();
    loopback.pipeline.stop_capture();
    let sent = || loopback.wire.packets.load(Ordering::SeqCst);
    let mut before = sent();
    // Until no packet comes for 200 ms.
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if sent() == before {
            break;
        }
        before = sent();
    }
    loopback.pipeline.start_capture();
    loopback.pipeline.start_capture();
    loopback.run_for(Duration::from_millis(300));
    assert_eq!(loopback.events.first_frames.load(Ordering::SeqCst), 2);
    assert_eq!(loopback.wire.player.stats().packets_lost, 0);
    loopback.finish();
}

#[test]
fn a_removed_encoder_gets_nothing_more() {
    let loopback = Loopback::start("encoder");
    loopback.run_for(Duration::from_millis(200));
    let other = Arc::new(Wire { player: loopback.pipeline.add_player(), packets: AtomicU64::new(0) });
    loopback.pipeline.add_encoder(2, other.clone());
    loopback.pipeline.remove_encoder(1);
    let give_up = Instant::now() + Duration::from_secs(20);
    while other.packets.load(Ordering::SeqCst) < 10 {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(10));
    }
    let before = loopback.wire.packets.load(Ordering::SeqCst);
    let goal = other.packets.load(Ordering::SeqCst) + 10;
    while other.packets.load(Ordering::SeqCst) < goal {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(loopback.wire.packets.load(Ordering::SeqCst), before);
    drop(other);
    loopback.finish();
}

#[test]
fn the_speakers_file_continues_when_playing_begins_again() {
    let file = std::env::temp_dir().join(format!("media-audio-{}-again.wav", std::process::id()));
    let fakes = FakeDevices { speaker: Some(file.to_string_lossy().into_owned()), ..FakeDevices::default() };
    let pipeline = AudioPipeline::new(fakes, Arc::new(Events::default()));
    let length = || hound::WavReader::open(&file).map_or(0, |reader| reader.duration());
    let give_up = Instant::now() + Duration::from_secs(20);
    let grow_beyond = |samples: u32| {
        while length() <= samples {
            assert!(Instant::now() < give_up);
            std::thread::sleep(Duration::from_millis(20));
        }
        length()
    };
    let player = pipeline.add_player();
    let first = grow_beyond(12_000);
    drop(player);
    let player = pipeline.add_player();
    assert!(grow_beyond(first + 24_000) > first);
    drop((player, pipeline));
    let _ = std::fs::remove_file(&file);
}

#[test]
fn a_pipeline_may_be_dropped_by_its_own_sink() {
    struct Last(parking_lot::Mutex<Option<Arc<AudioPipeline>>>, Arc<AtomicU64>);
    impl OpusSink for Last {
        fn on_packet(&self, _: &OpusPacket) {
            drop(self.0.lock().take());
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let fakes = FakeDevices { microphone: Some("tone".to_owned()), ..FakeDevices::default() };
    let pipeline = AudioPipeline::new(fakes, Arc::new(Events::default()));
    let packets = Arc::new(AtomicU64::new(0));
    pipeline.add_encoder(1, Arc::new(Last(parking_lot::Mutex::new(Some(pipeline.clone())), packets.clone())));
    pipeline.start_capture();
    drop(pipeline);
    let give_up = Instant::now() + Duration::from_secs(20);
    while packets.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(10));
    }
}
