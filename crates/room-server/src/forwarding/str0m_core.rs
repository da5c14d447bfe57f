//! [`PeerConnection`] on `str0m` in RTP mode.
//!
//! `str0m` wants exactly one change and then everything that follows from it to be polled before the next change.
//! Every method here ends with that, so the rule cannot be broken from outside.
//!
//! Repair of losses, and where its limits are (all of them `str0m` 0.25's, none can be moved through its API):
//! - From a publisher a lost packet is asked for again at once and then every round trip plus 5 ms (every 105 ms while
//!   the round trip is not known), five times at most, and only among the last 100 packets: at 4 Mbit/s for about
//!   0.22 s. Later repetitions would be dropped on arrival, and there is no way to send a NACK of our own. So the
//!   room logic asks for a key frame as soon as a packet falls out of that window (`gap_watch`).
//! - `str0m` asks for nothing on a stream without RTX unless told to; it is told to, for every video stream.
//! - To a subscriber every packet of the last [`HISTORY`] is repeated as often as it asks, without `str0m`'s cap of
//!   15 %, but only over RTX, which all known clients accept. A client that refuses RTX gets a key frame instead.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::conventions::{LOSSY_CHANNEL, RELIABLE_CHANNEL};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec as Str0mCodec, CodecSpec};
use str0m::ice::StunMessage;
use str0m::media::{Direction, KeyframeRequestKind, Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, Ssrc, VideoOrientation};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use super::core::{
    Codec, CoreError, CoreEvent, DataKind, Datagram, IncomingPacket, LayerId, LineId, LocalOffer, MediaKind,
    OfferChanges, OutgoingPacket, PacketExtensions, PeerConnection, PeerFactory, SmallId,
};

/// Sent packets are kept for repetition this long, and at most this many: at 4 Mbit/s about 2.5 s.
const HISTORY: Duration = Duration::from_secs(3);
const HISTORY_PACKETS: usize = 1024;
/// How often losses are reported.
const STATS_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes of data channel messages in the SCTP stack, sent but not acknowledged.
const DATA_IN_FLIGHT_MAX: usize = 1024 * 1024;
/// Bytes of reliable messages that wait for room in the SCTP stack; what comes beyond is dropped.
const DATA_QUEUE_MAX: usize = 4 * 1024 * 1024;
/// Payload types of H.264 and of its retransmissions, constrained baseline and baseline, packetization mode 1.
const H264_TYPES: [(u8, u8, u32); 2] = [(108, 109, 0x0042_e01f), (127, 121, 0x0042_001f)];

/// Makes [`Str0mConnection`]s that all use one UDP socket.
pub struct Str0mFactory {
    candidates: Vec<SocketAddr>,
    crypto: Arc<CryptoProvider>,
}

impl Str0mFactory {
    /// `candidates` are the addresses at which clients reach the socket, best first.
    pub fn new(candidates: Vec<SocketAddr>) -> Self {
        Self { candidates, crypto: Arc::new(str0m::crypto::from_feature_flags()) }
    }
}

impl PeerFactory for Str0mFactory {
    fn create(&self, now: Instant) -> Box<dyn PeerConnection> {
        let mut config = Rtc::builder()
            .set_crypto_provider(self.crypto.clone())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_sctp_max_buffered_amount(DATA_IN_FLIGHT_MAX)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true);
        for (payload_type, repair_type, profile) in H264_TYPES {
            config.codec_config().add_h264(payload_type.into(), Some(repair_type.into()), true, profile);
        }
        let mut rtc = config.build(now);
        for candidate in &self.candidates {
            if let Ok(candidate) = Candidate::host(*candidate, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        let mut connection = Str0mConnection {
            rtc,
            candidates: self.candidates.clone(),
            pending: None,
            channels: HashMap::new(),
            channels_opened: false,
            events: VecDeque::new(),
            datagrams: VecDeque::new(),
            deadline: now,
            payload_types: HashMap::new(),
            nack_enabled: HashSet::new(),
            nack_to_enable: Vec::new(),
            history_set: HashSet::new(),
            data_queue: VecDeque::new(),
            data_queued: 0,
            was_connected: false,
            closed: false,
        };
        connection.settle(now);
        Box::new(connection)
    }

    fn stun_ufrag(&self, datagram: &[u8]) -> Option<String> {
        let message = StunMessage::parse(datagram).ok()?;
        message.split_username().map(|(local, _)| local.to_owned())
    }
}

/// See the module's description.
struct Str0mConnection {
    rtc: Rtc,
    candidates: Vec<SocketAddr>,
    pending: Option<SdpPendingOffer>,
    channels: HashMap<DataKind, ChannelId>,
    channels_opened: bool,
    events: VecDeque<CoreEvent>,
    datagrams: VecDeque<Datagram>,
    deadline: Instant,
    /// What a codec is called on a line, as negotiated; forgotten with every negotiation.
    payload_types: HashMap<(Mid, Codec), Option<Pt>>,
    nack_enabled: HashSet<Ssrc>,
    nack_to_enable: Vec<Ssrc>,
    history_set: HashSet<Mid>,
    data_queue: VecDeque<Vec<u8>>,
    data_queued: usize,
    was_connected: bool,
    closed: bool,
}

impl Str0mConnection {
    /// Lets the clock go on to `now`, then polls everything that came of it and of the change before.
    fn settle(&mut self, now: Instant) {
        self.drain();
        self.advance(now);
        if !self.nack_to_enable.is_empty() {
            for ssrc in std::mem::take(&mut self.nack_to_enable) {
                if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
                    stream.suppress_nack(false);
                }
                self.drain();
            }
        }
        self.flush_data(now);
    }

    fn advance(&mut self, now: Instant) {
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.fail(&error);
        }
        self.drain();
    }

    fn fail(&mut self, error: &str0m::RtcError) {
        tracing::debug!(%error, "peer connection failed");
        self.rtc.disconnect();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(deadline)) => {
                    self.deadline = deadline;
                    break;
                }
                Ok(Output::Transmit(transmit)) => self
                    .datagrams
                    .push_back(Datagram { destination: transmit.destination, contents: transmit.contents.into() }),
                Ok(Output::Event(event)) => self.take_event(event),
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        if !self.rtc.is_alive() && !self.closed {
            self.closed = true;
            self.events.push_back(CoreEvent::Closed);
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.was_connected = true;
                self.events.push_back(CoreEvent::Connected);
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.events.push_back(CoreEvent::Disconnected);
            }
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed)
                if self.was_connected =>
            {
                self.events.push_back(CoreEvent::Reconnected);
            }
            Event::ChannelOpen(id, label) => {
                if let Some(kind) = kind_of_label(&label) {
                    self.channels.insert(kind, id);
                }
            }
            Event::ChannelData(data) => {
                if let Some(kind) = self.channels.iter().find(|(_, id)| **id == data.id).map(|(kind, _)| *kind) {
                    self.events.push_back(CoreEvent::Data(kind, data.data));
                }
            }
            Event::KeyframeRequest(request) => {
                if let Some(line) = SmallId::new(&request.mid) {
                    self.events.push_back(CoreEvent::KeyframeNeeded(line));
                }
            }
            Event::RtpPacket(packet) => self.take_packet(packet),
            Event::PeerStats(stats) => self
                .events
                .push_back(CoreEvent::Loss { sent: stats.egress_loss_fraction, received: stats.ingress_loss_fraction }),
            Event::MediaEgressStats(stats) if stats.loss.is_some() => {
                self.events.push_back(CoreEvent::Loss { sent: stats.loss, received: None });
            }
            _ => {}
        }
    }

    fn take_packet(&mut self, packet: RtpPacket) {
        let ssrc = packet.header.ssrc;
        let payload_type = packet.header.payload_type;
        let Some(codec) =
            self.rtc.codec_config().find(|params| params.pt() == payload_type).and_then(|p| codec_of(&p.spec()))
        else {
            return;
        };
        let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid())) else {
            return;
        };
        let Some(line) = SmallId::new(&stream.0) else { return };
        // Without this a video stream that has no RTX would never be asked to repeat a packet.
        if codec != Codec::Opus && self.nack_enabled.insert(ssrc) {
            self.nack_to_enable.push(ssrc);
        }
        let extensions = &packet.header.ext_vals;
        self.events.push_back(CoreEvent::Packet(IncomingPacket {
            line,
            layer: stream.1.and_then(|rid| SmallId::new(&rid)),
            ssrc: *ssrc,
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            codec,
            extensions: PacketExtensions {
                audio_level: extensions.audio_level,
                voice_activity: extensions.voice_activity,
                orientation: extensions.video_orientation.map(|orientation| orientation as u8),
            },
            payload: packet.payload,
            received_at: packet.timestamp,
        }));
    }

    /// The payload type under which the client wants this codec on this line.
    fn payload_type(&mut self, mid: Mid, codec: Codec) -> Option<Pt> {
        if let Some(known) = self.payload_types.get(&(mid, codec)) {
            return *known;
        }
        let media = self.rtc.media(mid)?;
        let mut best = None;
        for pt in media.remote_pts() {
            let offered = self.rtc.codec_config().find(|p| p.pt() == *pt).and_then(|params| codec_of(&params.spec()));
            match offered {
                Some(offered) if offered == codec => {
                    best = Some(*pt);
                    break;
                }
                Some(offered) if is_close(offered, codec) => best = best.or(Some(*pt)),
                _ => {}
            }
        }
        self.payload_types.insert((mid, codec), best);
        best
    }

    fn forget_negotiated(&mut self) {
        self.payload_types.clear();
        self.nack_enabled.clear();
    }

    fn write_data(&mut self, kind: DataKind, payload: &[u8]) -> bool {
        let Some(id) = self.channels.get(&kind) else { return false };
        let Some(mut channel) = self.rtc.channel(*id) else { return false };
        channel.write(true, payload).unwrap_or(false)
    }

    fn flush_data(&mut self, now: Instant) {
        while let Some(next) = self.data_queue.pop_front() {
            if !self.write_data(DataKind::Reliable, &next) {
                self.data_queue.push_front(next);
                break;
            }
            self.data_queued -= next.len();
            self.drain();
            self.advance(now);
        }
    }

    /// The candidate that a datagram was sent to: the socket hears on all of them but does not tell.
    fn destination_for(&self, source: SocketAddr) -> Option<SocketAddr> {
        let same_scope = |candidate: &&SocketAddr| {
            candidate.ip().is_loopback() == source.ip().is_loopback() && candidate.is_ipv4() == source.is_ipv4()
        };
        self.candidates.iter().find(same_scope).or(self.candidates.first()).copied()
    }

    fn input<'a>(&self, now: Instant, source: SocketAddr, datagram: &'a [u8]) -> Option<Input<'a>> {
        let destination = self.destination_for(source)?;
        let receive = Receive::new(Protocol::Udp, source, destination, datagram).ok()?;
        Some(Input::Receive(now, receive))
    }
}

impl PeerConnection for Str0mConnection {
    fn accept_offer(&mut self, now: Instant, sdp: &str) -> Result<String, CoreError> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(bad_description)?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(bad_description);
        self.forget_negotiated();
        self.settle(now);
        answer.map(|answer| answer.to_sdp_string())
    }

    fn create_offer(&mut self, now: Instant, changes: &OfferChanges) -> Option<LocalOffer> {
        self.pending = None;
        let mut api = self.rtc.sdp_api();
        if changes.open_data_channels && !self.channels_opened {
            self.channels_opened = true;
            let reliable = ChannelConfig { label: RELIABLE_CHANNEL.to_owned(), ..ChannelConfig::default() };
            let lossy = ChannelConfig {
                label: LOSSY_CHANNEL.to_owned(),
                ordered: false,
                reliability: Reliability::MaxRetransmits { retransmits: 0 },
                ..ChannelConfig::default()
            };
            self.channels.insert(DataKind::Reliable, api.add_channel_with_config(reliable));
            self.channels.insert(DataKind::Lossy, api.add_channel_with_config(lossy));
        }
        for line in &changes.stop {
            api.set_direction(Mid::from(line.as_str()), Direction::Inactive);
        }
        let mut added = Vec::with_capacity(changes.add.len());
        for line in &changes.add {
            let kind = match line.kind {
                MediaKind::Audio => str0m::media::MediaKind::Audio,
                MediaKind::Video => str0m::media::MediaKind::Video,
            };
            let (stream, track) = (Some(line.stream_id.clone()), Some(line.track_id.clone()));
            added.push(api.add_media(kind, Direction::SendOnly, stream, track, None));
        }
        if changes.ice_restart {
            api.ice_restart(true);
        }
        let offer = api.apply();
        self.settle(now);
        let (offer, pending) = offer?;
        self.pending = Some(pending);
        Some(LocalOffer {
            sdp: offer.to_sdp_string(),
            added: added.iter().filter_map(|mid| SmallId::new(mid)).collect(),
        })
    }

    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), CoreError> {
        let pending = self.pending.take().ok_or(CoreError::NoOfferPending)?;
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(bad_description)?;
        let result = self.rtc.sdp_api().accept_answer(pending, answer).map_err(bad_description);
        self.forget_negotiated();
        self.settle(now);
        result
    }

    fn local_ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    fn accepts(&self, now: Instant, source: SocketAddr, datagram: &[u8]) -> bool {
        self.input(now, source, datagram).is_some_and(|input| self.rtc.accepts(&input))
    }

    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        let Some(input) = self.input(now, source, datagram) else { return };
        if let Err(error) = self.rtc.handle_input(input) {
            self.fail(&error);
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn write_rtp(&mut self, now: Instant, packet: &OutgoingPacket) -> bool {
        if !self.was_connected || self.closed {
            return false;
        }
        let mid = Mid::from(packet.line.as_str());
        let Some(payload_type) = self.payload_type(mid, packet.codec) else { return false };
        let is_video = packet.codec != Codec::Opus;
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else { return false };
        if is_video && self.history_set.insert(mid) {
            stream.set_rtx_cache(HISTORY_PACKETS, HISTORY, None);
        }
        let extensions = ExtensionValues {
            audio_level: packet.extensions.audio_level,
            voice_activity: packet.extensions.voice_activity,
            video_orientation: packet.extensions.orientation.map(orientation_of),
            ..ExtensionValues::default()
        };
        stream.write_rtp(
            RtpWrite::new(
                payload_type,
                packet.sequence.into(),
                packet.timestamp,
                packet.wallclock,
                packet.payload.clone(),
            )
            .marker(packet.marker)
            .nackable(is_video)
            .ext_vals(extensions),
        );
        self.settle(now);
        true
    }

    fn renew_line(&mut self, now: Instant, line: LineId) {
        let mid = Mid::from(line.as_str());
        // Declaring a stream on a line that does not exist would panic. `reset_stream_tx` looks like the way to do this, but
        // after it reports and requests about the new source find no stream (0.25.0).
        if self.rtc.media(mid).is_none() {
            return;
        }
        let mut api = self.rtc.direct_api();
        let Some((old, repair)) = api.stream_tx_by_mid(mid, None).map(|stream| (stream.ssrc(), stream.rtx())) else {
            return;
        };
        let (source, repair) = (api.new_ssrc(), repair.map(|_| api.new_ssrc()));
        api.remove_stream_tx(old);
        api.declare_stream_tx(source, repair, mid, None);
        self.history_set.remove(&mid);
        self.settle(now);
    }

    fn request_keyframe(&mut self, now: Instant, line: LineId, layer: Option<LayerId>) {
        let rid = layer.map(|layer| Rid::from(layer.as_str()));
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(Mid::from(line.as_str()), rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.settle(now);
    }

    fn send_data(&mut self, now: Instant, kind: DataKind, payload: &[u8]) -> bool {
        if self.closed {
            return false;
        }
        let sent = (kind == DataKind::Lossy || self.data_queue.is_empty()) && self.write_data(kind, payload);
        let queued = !sent && kind == DataKind::Reliable && self.data_queued + payload.len() <= DATA_QUEUE_MAX;
        if queued {
            self.data_queue.push_back(payload.to_vec());
            self.data_queued += payload.len();
        }
        self.settle(now);
        sent || queued
    }

    fn poll_event(&mut self) -> Option<CoreEvent> {
        self.events.pop_front()
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    fn close(&mut self, now: Instant) {
        if let Err(error) = self.rtc.close() {
            self.fail(&error);
        }
        self.settle(now);
    }
}

fn bad_description(error: impl std::fmt::Display) -> CoreError {
    CoreError::BadDescription(error.to_string())
}

fn kind_of_label(label: &str) -> Option<DataKind> {
    match label {
        RELIABLE_CHANNEL => Some(DataKind::Reliable),
        LOSSY_CHANNEL => Some(DataKind::Lossy),
        _ => None,
    }
}

fn codec_of(spec: &CodecSpec) -> Option<Codec> {
    match spec.codec {
        Str0mCodec::Opus => Some(Codec::Opus),
        Str0mCodec::Vp8 => Some(Codec::Vp8),
        Str0mCodec::H264 => Some(Codec::H264 {
            // What RFC 6184, section 8.1, says about absent parameters.
            profile_level_id: spec.format.profile_level_id.unwrap_or(0x0042_000a),
            packetization_mode: spec.format.packetization_mode.unwrap_or(0),
        }),
        _ => None,
    }
}

/// Whether a receiver of `offered` is likely to decode `wanted`: the profiles of H.264 that we allow differ only in
/// tools that no encoder uses in a call.
fn is_close(offered: Codec, wanted: Codec) -> bool {
    match (offered, wanted) {
        (Codec::H264 { packetization_mode: a, .. }, Codec::H264 { packetization_mode: b, .. }) => a == b,
        _ => false,
    }
}

/// The two rotation bits of the header extension, counted against the clock.
fn orientation_of(turns: u8) -> VideoOrientation {
    match turns {
        1 => VideoOrientation::Deg270,
        2 => VideoOrientation::Deg180,
        3 => VideoOrientation::Deg90,
        _ => VideoOrientation::Deg0,
    }
}
