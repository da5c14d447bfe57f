//! One received stream: loss recovery, frame assembly, and the feedback that it sends.

use crate::assembler::{Assembler, Packet as VideoPacket};
use crate::media_queue::{MediaQueue, Push};
use crate::nack::NackTracker;
use crate::orientation::Rotation;
use crate::payload::VideoCodec;
use crate::receive::{ReceivedAccessUnit, ReceivedAudio};
use crate::reception::ReceptionStats;
use crate::remote_media::Format;
use crate::rtt::SharedRtt;
use crate::stats::ReceiverCounters;
use bytes::Bytes;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Age at which missing packets are forgotten; the assembler gives them up earlier.
const MAX_NACK_AGE: Duration = Duration::from_millis(1500);

/// RTP clock rate of video.
pub(super) const VIDEO_CLOCK_HZ: u32 = 90_000;
/// RTP clock rate of Opus.
pub(super) const AUDIO_CLOCK_HZ: u32 = 48_000;

/// Loss recovery and frame assembly of a received video track.
#[derive(Debug)]
pub(crate) struct VideoPipeline {
    nack: NackTracker,
    assembler: Assembler,
    restarts: u64,
    queue: Arc<MediaQueue<ReceivedAccessUnit>>,
}

impl VideoPipeline {
    /// Creates a pipeline that delivers frames to `queue`.
    pub(crate) fn new(queue: Arc<MediaQueue<ReceivedAccessUnit>>) -> Self {
        Self { nack: NackTracker::new(MAX_NACK_AGE), assembler: Assembler::default(), restarts: 0, queue }
    }

    fn deliver(&mut self) {
        while let Some(frame) = self.assembler.poll_frame() {
            let is_keyframe = frame.is_keyframe;
            let unit = ReceivedAccessUnit {
                codec: frame.codec,
                rotation: frame.rotation,
                data: frame.data,
                timestamp: frame.timestamp,
                is_keyframe,
                arrival: frame.completed,
                contiguous: frame.contiguous,
            };
            match self.queue.push(unit) {
                Push::Done | Push::Closed => {}
                // The remaining frames would refer to a dropped one.
                Push::DroppedOldest if is_keyframe => self.queue.keep_newest(),
                Push::DroppedOldest => {
                    self.queue.clear();
                    self.assembler.require_keyframe();
                }
            }
        }
    }
}

/// Queue of a received audio track: packets keep the order of arrival, and the jitter buffer sorts them.
#[derive(Debug)]
pub(crate) struct AudioPipeline {
    queue: Arc<MediaQueue<ReceivedAudio>>,
}

impl AudioPipeline {
    /// Creates a pipeline that delivers packets to `queue`.
    pub(crate) fn new(queue: Arc<MediaQueue<ReceivedAudio>>) -> Self {
        Self { queue }
    }
}

#[derive(Debug)]
enum Pipeline {
    Video(Box<VideoPipeline>),
    Audio(AudioPipeline),
}

/// A received RTP stream.
#[derive(Debug)]
pub(crate) struct InboundStream {
    pub(super) formats: Vec<(u8, Format)>,
    /// ID of the header extension with the video orientation.
    pub(super) orientation: Option<u8>,
    pipeline: Pipeline,
    reception: ReceptionStats,
    pub(super) counters: Arc<ReceiverCounters>,
}

/// Content of a packet.
#[derive(Clone, Copy)]
enum Content {
    Audio { is_redundant: bool },
    Video(VideoCodec),
}

impl InboundStream {
    /// Creates a video stream.
    pub(crate) fn video(
        formats: Vec<(u8, Format)>,
        orientation: Option<u8>,
        pipeline: VideoPipeline,
        counters: Arc<ReceiverCounters>,
    ) -> Self {
        let reception = ReceptionStats::new(VIDEO_CLOCK_HZ);
        Self { formats, orientation, pipeline: Pipeline::Video(Box::new(pipeline)), reception, counters }
    }

    /// Creates an audio stream.
    pub(crate) fn audio(formats: Vec<(u8, Format)>, pipeline: AudioPipeline, counters: Arc<ReceiverCounters>) -> Self {
        let reception = ReceptionStats::new(AUDIO_CLOCK_HZ);
        Self { formats, orientation: None, pipeline: Pipeline::Audio(pipeline), reception, counters }
    }

    fn format(&self, payload_type: u8) -> Option<&Format> {
        self.formats.iter().find(|(number, _)| *number == payload_type).map(|(_, format)| format)
    }

    fn content(&self, payload_type: u8) -> Option<Content> {
        match self.format(payload_type)? {
            Format::Opus => Some(Content::Audio { is_redundant: false }),
            Format::Red => Some(Content::Audio { is_redundant: true }),
            Format::Video(codec) => Some(Content::Video(*codec)),
            Format::Repair(_) | Format::Foreign(_) => None,
        }
    }

    /// Handles a media packet.
    pub(super) fn on_packet(&mut self, packet: rtc::rtp::Packet, now: Instant, rtt: &SharedRtt) {
        let header = packet.header;
        let Some(content) = self.content(header.payload_type) else {
            return self.on_foreign(header.payload_type);
        };
        self.reception.on_packet(header.sequence_number, header.timestamp, now);
        self.counters.jitter_micros.store(self.reception.jitter().as_micros() as u64, Ordering::Relaxed);
        self.deliver_payload(header.sequence_number, &header, content, packet.payload, false, now, rtt);
    }

    /// Counts a packet that was not negotiated.
    fn on_foreign(&mut self, payload_type: u8) {
        let name = match self.format(payload_type) {
            Some(Format::Foreign(name)) => name.clone(),
            _ => format!("payload type {payload_type}"),
        };
        let mut unreadable = self.counters.unreadable.lock();
        unreadable.foreign_packets += 1;
        unreadable.foreign_codec = Some(name);
    }

    /// Handles a retransmission, whose payload begins with the original sequence number (RFC 4588 section 4).
    pub(super) fn on_retransmission(&mut self, packet: rtc::rtp::Packet, now: Instant, rtt: &SharedRtt) {
        let header = packet.header;
        let Some(repaired) = packet.payload.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes)) else { return };
        let Some(Format::Repair(original)) = self.format(header.payload_type) else { return };
        let Some(content) = self.content(*original) else { return };
        self.reception.on_repair(repaired);
        self.deliver_payload(repaired, &header, content, packet.payload.slice(2..), true, now, rtt);
    }

    #[allow(clippy::too_many_arguments, reason = "one packet, taken apart")]
    fn deliver_payload(
        &mut self,
        sequence: u16,
        header: &rtc::rtp::Header,
        content: Content,
        payload: Bytes,
        is_repair: bool,
        now: Instant,
        rtt: &SharedRtt,
    ) {
        let (timestamp, marker) = (header.timestamp, header.marker);
        self.counters.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
        self.counters.lost.store(self.reception.lost(), Ordering::Relaxed);
        match (&mut self.pipeline, content) {
            (Pipeline::Video(video), Content::Video(codec)) => {
                let take = if is_repair { NackTracker::on_repair } else { NackTracker::on_packet };
                if let Some(sample) = take(&mut video.nack, sequence, now) {
                    rtt.update(sample);
                }
                let recovered = video.nack.take_recovered();
                self.counters.recovered.fetch_add(recovered, Ordering::Relaxed);
                // A copy of a packet that arrived anyway does not count: losses are a share of the original packets.
                if !is_repair || recovered > 0 {
                    self.counters.packets.fetch_add(1, Ordering::Relaxed);
                }
                let turned = self.orientation.and_then(|number| header.get_extension(number));
                let rotation = turned.and_then(|content| Rotation::from_extension(&content));
                video.assembler.push(VideoPacket { sequence, timestamp, marker, codec, rotation, payload }, now);
                let restarts = video.assembler.stats().restarts;
                if restarts != video.restarts {
                    video.restarts = restarts;
                    video.nack = NackTracker::new(MAX_NACK_AGE);
                }
                video.deliver();
            }
            (Pipeline::Audio(audio), Content::Audio { is_redundant }) if !payload.is_empty() => {
                self.counters.packets.fetch_add(1, Ordering::Relaxed);
                self.counters.frames.fetch_add(1, Ordering::Relaxed);
                audio.queue.push(ReceivedAudio { sequence, timestamp, payload, is_redundant, arrival: now });
            }
            _ => {}
        }
    }

    /// Collects the feedback that is due.
    pub(super) fn poll_feedback(
        &mut self,
        ssrc: u32,
        now: Instant,
        rtt: Duration,
        out: &mut Vec<Box<dyn rtc::rtcp::Packet>>,
    ) {
        let Pipeline::Video(video) = &mut self.pipeline else { return };
        video.assembler.handle_timeout(now, rtt);
        video.deliver();
        if self.counters.keyframe_requested.swap(false, Ordering::Relaxed) {
            video.assembler.request_keyframe();
        }
        if let Some(oldest) = video.assembler.oldest_needed() {
            video.nack.forget_before(oldest);
        }
        let missing = video.nack.poll(now, rtt);
        if !missing.is_empty() {
            self.counters.nacks.fetch_add(missing.len() as u64, Ordering::Relaxed);
            let nacks = nack_pairs_from_sequence_numbers(&missing);
            out.push(Box::new(TransportLayerNack { sender_ssrc: 0, media_ssrc: ssrc, nacks }));
        }
        if video.assembler.poll_keyframe_request(now, rtt) {
            self.counters.plis.fetch_add(1, Ordering::Relaxed);
            out.push(Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: ssrc }));
        }
        let stats = video.assembler.stats();
        self.counters.frames.store(stats.frames, Ordering::Relaxed);
        self.counters.unreadable.lock().useless_frames = stats.malformed + stats.skipped;
    }

    /// When feedback is due next.
    pub(super) fn next_timeout(&self, rtt: Duration) -> Option<Instant> {
        match &self.pipeline {
            Pipeline::Video(video) => {
                [video.nack.next_timeout(), video.assembler.next_timeout(rtt)].into_iter().flatten().min()
            }
            Pipeline::Audio(_) => None,
        }
    }

    /// Whether this is a video stream.
    pub(super) fn is_video(&self) -> bool {
        matches!(self.pipeline, Pipeline::Video(_))
    }

    /// Closes the consumer's queue.
    pub(crate) fn close(&self) {
        match &self.pipeline {
            Pipeline::Video(video) => video.queue.close(),
            Pipeline::Audio(audio) => audio.queue.close(),
        }
    }
}
