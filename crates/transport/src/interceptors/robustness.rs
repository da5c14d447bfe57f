//! Damaged reports and media through the whole interceptor chain: nothing panics, queues stay bounded, and valid media is
//! delivered again afterwards. The seeds are in `fuzz-seeds/`; one seed is one run.

use super::inbound_stream::VIDEO_CLOCK_HZ;
use super::*;
use crate::event::EventSender;
use crate::media_queue::MediaQueue;
use crate::payload::VideoCodec;
use crate::remote_media::Format;
use crate::rtt::SharedRtt;
use crate::stats::{ReceiverCounters, SenderCounters};
use ::rtp::clock::CaptureClock;
use bytes::Bytes;
use netsim::Random;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, RTPHeaderExtension, StreamInfo, TaggedPacket};
use rtc::shared::TransportContext;
use rtc::shared::marshal::Unmarshal;
use rtc::{rtcp, rtp};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// SSRCs in the seeds: sent and received streams with their RTX streams.
const SENT_VIDEO: u32 = 0x1111;
const SENT_RTX: u32 = 0x6666;
const VIDEO: u32 = 0x3333;
const AUDIO: u32 = 0x4444;
const RTX: u32 = 0x5555;
const NUMBER_EXTENSION: u16 = 3;
const STEPS: usize = 3000;
/// More than is ever in flight at once.
const QUEUE: usize = 64;

/// One of the seeds, up to seven of its bytes changed, inserted, or cut off with all that follow.
fn damaged(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.index(seeds.len())].clone();
    for _ in 0..random.below(8) {
        let at = random.index(bytes.len());
        let byte = random.below(256) as u8;
        match random.below(5) {
            0 | 1 if at < bytes.len() => bytes[at] = byte,
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz-seeds/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn reports(bytes: &[u8]) -> Option<Packet> {
    rtcp::packet::unmarshal(&mut &bytes[..]).ok().map(Packet::Rtcp)
}

fn media(bytes: &[u8]) -> Option<Packet> {
    rtp::Packet::unmarshal(&mut &bytes[..]).ok().map(Packet::Rtp)
}

/// A peer that sends video and receives video and audio.
struct Scene<C> {
    chain: C,
    sending: Arc<SendState>,
    now: Instant,
    sequence: u16,
    video: Arc<MediaQueue<crate::receive::ReceivedAccessUnit>>,
    audio: Arc<MediaQueue<crate::receive::ReceivedAudio>>,
    counters: Arc<ReceiverCounters>,
    _events: tokio::sync::mpsc::UnboundedReceiver<crate::event::PeerEvent>,
}

fn scene() -> Scene<impl Interceptor> {
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    let rtt = Arc::<SharedRtt>::default();
    let sending = Arc::new(SendState::new(Arc::clone(&rtt), Arc::new(EventSender::new(sender))));
    let receiving = Arc::new(ReceiveState::new(rtt));
    let mut chain = registry(&sending, &receiving, &mut MediaEngine::default()).unwrap().build();
    let extension = RTPHeaderExtension {
        uri: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01".to_owned(),
        id: NUMBER_EXTENSION,
    };
    let info = |ssrc, ssrc_rtx, payload_type, clock_rate| StreamInfo {
        ssrc,
        ssrc_rtx,
        payload_type,
        payload_type_rtx: ssrc_rtx.map(|_| payload_type + 1),
        clock_rate,
        rtp_header_extensions: vec![extension.clone()],
        ..StreamInfo::default()
    };
    chain.bind_local_stream(&info(SENT_VIDEO, Some(SENT_RTX), 96, VIDEO_CLOCK_HZ));
    chain.bind_remote_stream(&info(VIDEO, Some(RTX), 96, VIDEO_CLOCK_HZ));
    chain.bind_remote_stream(&info(AUDIO, None, 111, 48_000));
    let stream = OutboundStream {
        track_id: "camera".to_owned(),
        is_video: true,
        layer: 0,
        rid: None,
        mid: None,
        counters: Arc::<SenderCounters>::default(),
        clock: CaptureClock::new(VIDEO_CLOCK_HZ),
    };
    sending.streams.insert(SENT_VIDEO, SENT_RTX, stream);
    let (video, audio) = (Arc::new(MediaQueue::new(QUEUE)), Arc::new(MediaQueue::new(QUEUE)));
    let counters = Arc::<ReceiverCounters>::default();
    let pipeline = VideoPipeline::new(Arc::clone(&video));
    let formats = vec![
        (96, Format::Video(VideoCodec::H264)),
        (97, Format::Repair(96)),
        (98, Format::Video(VideoCodec::Vp8)),
        (99, Format::Repair(98)),
    ];
    receiving.streams.insert(VIDEO, Some(RTX), InboundStream::video(formats, Some(4), pipeline, Arc::clone(&counters)));
    let pipeline = AudioPipeline::new(Arc::clone(&audio));
    let formats = vec![(111, Format::Opus), (63, Format::Red)];
    receiving.streams.insert(AUDIO, None, InboundStream::audio(formats, pipeline, Arc::default()));
    Scene { chain, sending, now: Instant::now(), sequence: 0, video, audio, counters, _events: events }
}

impl<C: Interceptor> Scene<C> {
    fn tagged(&self, packet: Packet) -> TaggedPacket {
        TaggedPacket { now: self.now, transport: TransportContext::default(), message: AttributedPacket::new(packet) }
    }

    fn receive(&mut self, packet: Option<Packet>) {
        let Some(packet) = packet else { return };
        // The stack rejects some packets, which is fine.
        let _ = self.chain.handle_read(self.tagged(packet));
        while self.chain.poll_read().is_some() {}
    }

    /// Sends one video packet and lets time pass.
    fn step(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let header = rtp::Header {
            version: 2,
            payload_type: 96,
            ssrc: SENT_VIDEO,
            sequence_number: self.sequence,
            timestamp: u32::from(self.sequence) * 3000,
            ..rtp::Header::default()
        };
        let packet = rtp::Packet { header, payload: Bytes::from_static(&[0x61; 400]) };
        self.chain.handle_write(self.tagged(Packet::Rtp(packet))).unwrap();
        self.now += Duration::from_millis(10);
        self.chain.handle_timeout(self.now).unwrap();
        while self.chain.poll_write().is_some() {}
        assert!(self.chain.poll_timeout().is_none_or(|due| due < self.now + Duration::from_secs(60)));
    }
}

#[test]
fn the_seeds_are_valid() {
    for seed in seeds("reports") {
        assert!(reports(&seed).is_some(), "{seed:02x?}");
    }
    let mut scene = scene();
    for name in ["parameter_sets", "idr_begins", "idr_ends", "slice", "sound", "sound_with_copies"] {
        let path = format!("{}/fuzz-seeds/media/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        scene.receive(media(&std::fs::read(path).unwrap()));
        scene.step();
    }
    assert_eq!((scene.video.len(), scene.audio.len()), (2, 2), "a key frame, another frame, and two audio packets");
}

#[test]
fn valid_media_is_delivered_after_damaged_packets() {
    let (report_seeds, media_seeds) = (seeds("reports"), seeds("media"));
    for seed in [1, 0x5eed, 0xdead_beef, u64::MAX] {
        let mut random = Random::new(seed);
        let mut scene = scene();
        for _ in 0..STEPS {
            let report = damaged(&mut random, &report_seeds);
            scene.receive(reports(&report));
            let packet = damaged(&mut random, &media_seeds);
            scene.receive(media(&packet));
            scene.step();
            assert!(scene.video.len() <= QUEUE && scene.audio.len() <= QUEUE);
        }
        let estimate = scene.sending.budgets.estimate_bps();
        assert!((50_000..=100_000_000).contains(&estimate), "seed {seed}: {estimate} bit/s");
        // The stream restarts, as after a restart of its sender.
        scene.video.clear();
        let before = scene.counters.frames.load(Ordering::Relaxed);
        for (number, name) in (40_000u16..).zip((0..60).flat_map(|_| ["parameter_sets", "idr_begins", "idr_ends"])) {
            let path = format!("{}/fuzz-seeds/media/{name}.bin", env!("CARGO_MANIFEST_DIR"));
            let Some(Packet::Rtp(mut packet)) = media(&std::fs::read(path).unwrap()) else { unreachable!() };
            packet.header.sequence_number = number;
            packet.header.timestamp = 700_000 + u32::from(number - 40_000) / 3 * 3000;
            scene.receive(Some(Packet::Rtp(packet)));
            scene.step();
        }
        let shown = scene.counters.frames.load(Ordering::Relaxed) - before;
        assert!(shown >= 30, "seed {seed}: {shown} of 60 frames");
    }
}
