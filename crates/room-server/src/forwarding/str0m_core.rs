//! [`PeerConnection`] on `str0m` in RTP mode.
//!
//! `str0m` expects one change, and then that all its outputs are polled before the next change. Every method here ends with
//! that, so the rule cannot be broken from outside.
//!
//! `str0m` sets connections up and handles what clients send. Media to a client are sent by `downlink`: `str0m` does not know
//! them, so it has no SSRCs to send from either. Only while session descriptions are written or read it gets the SSRCs back,
//! since it writes them there.
//!
//! Repair of losses on a publisher's uplink has limits that `str0m` 0.25's API cannot move:
//! - A lost packet is requested at once and then every round trip plus 5 ms (every 105 ms while the round trip is unknown),
//!   five times at most, and only among the last 100 packets: at 4 Mbit/s for about 0.22 s. Later retransmissions would be
//!   dropped on arrival, and there is no way to send a NACK of our own. So the room requests a key frame as soon as a packet
//!   falls out of that window (`unrecoverable_loss`).
//! - `str0m` requests nothing on a stream without RTX unless that is enabled; it is, for every video stream.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::conventions::{LOSSY_CHANNEL, RELIABLE_CHANNEL};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec as Str0mCodec, CodecConfig};
use str0m::ice::StunMessage;
use str0m::media::{self, KeyframeRequestKind, Rid};
use str0m::net::Receive;
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

use super::capture_clock::{CaptureClock, SenderReport};
use super::client_routes::ClientRoutes;
use super::core::{
    ClientAddress, Codec, CoreError, CoreEvent, DataKind, Direction, IncomingPacket, LayerId, LocalOffer, MediaKind,
    Mid, OfferChanges, OutgoingPacket, PacketExtensions, PeerConnection, PeerFactory, SmallId,
};
use super::datagram::{Contents, Datagram};
use super::downlink::srtp::Srtp;
use super::downlink::{Downlink, LineSettings, PayloadTypes};
use super::dtls_keys::{KeyCell, watched, with_keys};
use super::str0m_terms::{
    bad_description, codec_of, codec_under, datagram_of, extension_ids, is_close, is_dtls, is_rtcp, is_stun,
    kind_of_label, local_candidate, protocol_of, without_candidates,
};
use crate::codecs::{EnabledCodecs, MediaCodec};

/// Upper bound of steps after one change before other connections are served.
const STEPS_AT_ONCE: usize = 256;
/// How often losses are reported.
const STATS_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes of data channel messages in the SCTP stack, sent but not acknowledged.
const MAX_DATA_IN_FLIGHT: usize = 1024 * 1024;
/// Upper bound of reliable messages that wait for room in the SCTP stack, in bytes; more are dropped.
const MAX_DATA_QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Payload types of H.264 and of its retransmissions, constrained baseline and baseline, packetization mode 1.
const H264_TYPES: [(u8, u8, u32); 2] = [(108, 109, 0x0042_e01f), (127, 121, 0x0042_001f)];

/// Returns the addresses at which clients reach the sockets now, best first.
pub type Candidates = Box<dyn Fn() -> Vec<ClientAddress> + Send>;

/// Makes [`Str0mConnection`]s that all use one UDP socket.
pub struct Str0mFactory {
    candidates: Candidates,
    codecs: EnabledCodecs,
    crypto: Arc<CryptoProvider>,
}

impl Str0mFactory {
    /// Connections offer the `candidates` of the time of their creation.
    pub fn new(candidates: Candidates, codecs: EnabledCodecs) -> Self {
        Self { candidates, codecs, crypto: Arc::new(watched(str0m::crypto::from_feature_flags())) }
    }
}

impl PeerFactory for Str0mFactory {
    fn create(&self, now: Instant, purpose: Direction) -> Box<dyn PeerConnection> {
        let mut config = Rtc::builder()
            .set_crypto_provider(self.crypto.clone())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_stats_interval(purpose.receives.then_some(STATS_INTERVAL))
            .set_sctp_max_buffered_amount(MAX_DATA_IN_FLIGHT)
            .clear_codecs();
        add_codecs(config.codec_config(), &self.codecs);
        if purpose.sends {
            let opus = config.codec_config().iter_mut().filter(|params| params.spec().codec == Str0mCodec::Opus);
            opus.for_each(|params| params.set_fb_nack(true));
        }
        let (mut rtc, keys) = with_keys(|| config.build(now));
        let candidates = (self.candidates)();
        for candidate in &candidates {
            if let Ok(candidate) = local_candidate(*candidate) {
                rtc.add_local_candidate(candidate);
            }
        }
        let down = purpose.sends.then(|| Box::new(Downlink::new(now, *rtc.direct_api().new_ssrc())));
        let mut connection = Str0mConnection {
            rtc,
            crypto: self.crypto.clone(),
            ways: ClientRoutes::new(candidates),
            pending: None,
            channels: HashMap::new(),
            channels_opened: false,
            events: VecDeque::new(),
            datagrams: VecDeque::new(),
            deadline: now,
            keys,
            down,
            receives: purpose.receives,
            nack_enabled: HashSet::new(),
            nack_to_enable: Vec::new(),
            capture_clock: CaptureClock::default(),
            data_queue: VecDeque::new(),
            data_queued: 0,
            was_connected: false,
            closed: false,
        };
        connection.advance_and_poll(now);
        Box::new(connection)
    }

    fn stun_ufrag(&self, datagram: &[u8]) -> Option<String> {
        let message = StunMessage::parse(datagram).ok()?;
        message.split_username().map(|(local, _)| local.to_owned())
    }
}

/// Answers list the codecs in this order, and clients send with the first one.
fn add_codecs(config: &mut CodecConfig, codecs: &EnabledCodecs) {
    config.enable_opus(codecs.takes(MediaCodec::Opus), codecs.takes(MediaCodec::RedundantOpus));
    for codec in codecs.video() {
        match codec {
            MediaCodec::H264 => {
                for (payload_type, repair_type, profile) in H264_TYPES {
                    config.add_h264(payload_type.into(), Some(repair_type.into()), true, profile);
                }
            }
            MediaCodec::Vp8 => config.enable_vp8(true),
            MediaCodec::Vp9 => config.enable_vp9(true),
            MediaCodec::Av1 => config.enable_av1(true),
            MediaCodec::Opus | MediaCodec::RedundantOpus => {}
        }
    }
}

/// A connection of `str0m` with its downlink.
struct Str0mConnection {
    rtc: Rtc,
    crypto: Arc<CryptoProvider>,
    ways: ClientRoutes,
    pending: Option<SdpPendingOffer>,
    channels: HashMap<DataKind, ChannelId>,
    channels_opened: bool,
    events: VecDeque<CoreEvent>,
    datagrams: VecDeque<Datagram>,
    deadline: Instant,
    keys: KeyCell,
    /// Media to the client, if any are sent.
    down: Option<Box<Downlink>>,
    /// Whether the client sends media on this connection.
    receives: bool,
    nack_enabled: HashSet<Ssrc>,
    nack_to_enable: Vec<Ssrc>,
    capture_clock: CaptureClock,
    data_queue: VecDeque<Vec<u8>>,
    data_queued: usize,
    was_connected: bool,
    closed: bool,
}

impl Str0mConnection {
    /// Polls the results of a change, then advances the clock to `now` and polls again.
    fn advance_and_poll(&mut self, now: Instant) {
        self.drain();
        self.advance(now);
        self.poll_outputs(now);
    }

    /// Polls the results of an input that has advanced the clock already.
    fn poll_outputs(&mut self, now: Instant) {
        self.drain();
        for _ in 0..STEPS_AT_ONCE {
            if self.deadline > now {
                break;
            }
            self.advance(now);
        }
        if !self.nack_to_enable.is_empty() {
            for ssrc in std::mem::take(&mut self.nack_to_enable) {
                if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
                    stream.suppress_nack(false);
                }
                self.drain();
            }
        }
        self.flush_data(now);
        if let Some(down) = self.down.as_mut().filter(|down| !down.has_keys())
            && let Some(keys) = self.keys.take()
        {
            match Srtp::new(&keys) {
                Ok(srtp) => down.set_keys(srtp),
                Err(error) => tracing::warn!(%error, "keys for media are not usable"),
            }
        }
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
                Ok(Output::Transmit(transmit)) => {
                    let datagram = datagram_of(&self.ways, transmit);
                    let is_handshake = matches!(&datagram.contents, Contents::Bytes(bytes) if is_dtls(bytes));
                    let is_first = |down: &&mut Box<Downlink>| down.destination().is_none() && is_handshake;
                    if let Some(down) = self.down.as_mut().filter(is_first) {
                        down.set_destination(datagram.destination);
                    }
                    self.datagrams.push_back(datagram);
                }
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
            Event::RtpPacket(packet) => self.take_packet(packet),
            Event::PeerStats(stats) => {
                self.events.push_back(CoreEvent::Loss { sent: None, received: stats.ingress_loss_fraction });
            }
            _ => {}
        }
    }

    fn take_packet(&mut self, packet: RtpPacket) {
        let ssrc = packet.header.ssrc;
        let payload_type = packet.header.payload_type;
        let Some(codec) = self.rtc.codec_config().iter().find_map(|params| codec_under(params, payload_type)) else {
            return;
        };
        let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid())) else {
            return;
        };
        let Some(line) = SmallId::new(&stream.0) else { return };
        // Without this a video stream that has no RTX would never be asked to repeat a packet.
        if codec.kind() == MediaKind::Video && self.nack_enabled.insert(ssrc) {
            self.nack_to_enable.push(ssrc);
        }
        let captured_at = match packet.last_sender_info {
            Some(info) => {
                // `str0m` learns the clock's rate only with the next packet.
                let clock_rate = codec.clock_rate();
                let report = SenderReport { at: info.ntp_time, rtp_time: info.rtp_time.numer() as u32, clock_rate };
                self.capture_clock.captured_at(packet.timestamp, packet.header.timestamp, &report)
            }
            None => packet.timestamp,
        };
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
            captured_at,
        }));
    }

    /// Gives `str0m` the SSRCs of sent media, since it writes them into session descriptions.
    fn lend_ssrcs(&mut self) {
        let Some(down) = &self.down else { return };
        for line in down.lines() {
            let mid = media::Mid::from(line.as_str());
            let Some(settings) = down.settings(line) else { continue };
            // Declaring a stream on a line that does not exist would panic.
            if self.rtc.media(mid).is_some() {
                let repair = settings.repair_ssrc.map(Ssrc::from);
                self.rtc.direct_api().declare_stream_tx(settings.ssrc.into(), repair, mid, None);
            }
        }
    }

    /// Takes the lent SSRCs back.
    fn reclaim_ssrcs(&mut self) {
        let Some(down) = &self.down else { return };
        for ssrc in down.lines().filter_map(|line| down.settings(line)).map(|settings| settings.ssrc) {
            self.rtc.direct_api().remove_stream_tx(ssrc.into());
        }
    }

    /// Takes the SSRCs back, and those that were created for m-lines of this description. With an SSRC `str0m` would send reports
    /// of its own.
    fn take_ssrcs(&mut self, sdp: &str) {
        let Some(down) = &mut self.down else { return };
        for line in sdp.lines().filter_map(|text| SmallId::new(text.trim_end().strip_prefix("a=mid:")?)) {
            let mid = media::Mid::from(line.as_str());
            let mut api = self.rtc.direct_api();
            let Some(source) = api.stream_tx_by_mid(mid, None).map(|stream| (stream.ssrc(), stream.rtx())) else {
                continue;
            };
            api.remove_stream_tx(source.0);
            let Some(media) = self.rtc.media(mid) else { continue };
            let settings = LineSettings {
                ssrc: *source.0,
                repair_ssrc: source.1.map(|ssrc| *ssrc),
                extensions: extension_ids(media.remote_extmap()),
                name: media.cname().to_owned(),
            };
            down.set_line(line, settings);
        }
    }

    /// Sends media to where the client has nominated (RFC 8445, section 7.3.1.5), which may be another place than before.
    fn follow_nomination(&mut self, source: ClientAddress, datagram: &[u8]) {
        let Some(down) = self.down.as_mut().filter(|down| down.destination() != Some(source)) else { return };
        let Ok(message) = StunMessage::parse(datagram) else { return };
        if !message.is_binding_request() || !message.use_candidate() {
            return;
        }
        let password = self.rtc.direct_api().local_ice_credentials().pass;
        let hmac = |key: &[u8], parts: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, parts);
        if message.verify(password.as_bytes(), hmac) {
            tracing::debug!(before = ?down.destination(), now = ?source, "media go another way");
            down.set_destination(source);
        }
    }

    fn forget_negotiated(&mut self) {
        if let Some(down) = &mut self.down {
            down.forget_types();
        }
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
}

/// A datagram for `str0m`: from a client, to one of the addresses that we offered.
fn input(now: Instant, source: ClientAddress, offered: SocketAddr, datagram: &[u8]) -> Option<Input<'_>> {
    let receive = Receive::new(protocol_of(source.transport), source.socket, offered, datagram).ok()?;
    Some(Input::Receive(now, receive))
}

/// The payload types under which the client wants this codec on this line.
fn payload_types(rtc: &Rtc, line: Mid, codec: Codec) -> Option<PayloadTypes> {
    let media = rtc.media(media::Mid::from(line.as_str()))?;
    let mut best = None;
    for pt in media.remote_pts() {
        let Some(params) = rtc.codec_config().find(|p| p.pt() == *pt) else { continue };
        let types = PayloadTypes { media: **pt, repair: params.resend().map(|repair| *repair), inside: None };
        let offered = codec_of(&params.spec());
        if codec == Codec::RedundantOpus && offered == Some(Codec::Opus) {
            return params.red().map(|red| PayloadTypes { media: *red, repair: None, inside: Some(**pt) });
        }
        match offered {
            Some(offered) if offered == codec => return Some(types),
            Some(offered) if is_close(offered, codec) => best = best.or(Some(types)),
            _ => {}
        }
    }
    best
}

impl PeerConnection for Str0mConnection {
    fn accept_offer(&mut self, now: Instant, sdp: &str) -> Result<String, CoreError> {
        let offer = SdpOffer::from_sdp_string(&without_candidates(sdp)).map_err(bad_description)?;
        self.lend_ssrcs();
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(bad_description);
        self.take_ssrcs(sdp);
        self.forget_negotiated();
        self.advance_and_poll(now);
        answer.map(|answer| answer.to_sdp_string())
    }

    fn create_offer(&mut self, now: Instant, changes: &OfferChanges) -> Option<LocalOffer> {
        self.pending = None;
        for line in &changes.reuse {
            self.renew_line(now, *line);
        }
        self.lend_ssrcs();
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
            api.set_direction(media::Mid::from(line.as_str()), media::Direction::Inactive);
        }
        for line in &changes.reuse {
            api.set_direction(media::Mid::from(line.as_str()), media::Direction::SendOnly);
        }
        let mut added = Vec::with_capacity(changes.add.len());
        for line in &changes.add {
            let kind = match line.kind {
                MediaKind::Audio => str0m::media::MediaKind::Audio,
                MediaKind::Video => str0m::media::MediaKind::Video,
            };
            let (stream, track) = (Some(line.stream_id.clone()), Some(line.track_id.clone()));
            added.push(api.add_media(kind, media::Direction::SendOnly, stream, track, None));
        }
        if changes.ice_restart {
            api.ice_restart(true);
        }
        let offer = api.apply();
        self.reclaim_ssrcs();
        self.advance_and_poll(now);
        let (offer, pending) = offer?;
        self.pending = Some(pending);
        Some(LocalOffer {
            sdp: offer.to_sdp_string(),
            added: added.iter().filter_map(|mid| SmallId::new(mid)).collect(),
        })
    }

    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), CoreError> {
        let pending = self.pending.take().ok_or(CoreError::NoOfferPending)?;
        let answer = SdpAnswer::from_sdp_string(&without_candidates(sdp)).map_err(bad_description)?;
        self.lend_ssrcs();
        let result = self.rtc.sdp_api().accept_answer(pending, answer).map_err(bad_description);
        self.take_ssrcs(sdp);
        self.reclaim_ssrcs();
        self.forget_negotiated();
        self.advance_and_poll(now);
        result
    }

    fn local_ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    fn accepts(&self, now: Instant, source: ClientAddress, datagram: &[u8]) -> bool {
        let input = self.ways.offered_for(source).and_then(|offered| input(now, source, offered, datagram));
        input.is_some_and(|input| self.rtc.accepts(&input))
    }

    fn handle_datagram(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) {
        if is_rtcp(datagram) {
            if let Some(down) = &mut self.down {
                down.handle_rtcp(now, datagram);
            }
            if !self.receives {
                return;
            }
        }
        let Some(offered) = self.ways.note_route(source) else { return };
        let Some(input) = input(now, source, offered, datagram) else { return };
        if let Err(error) = self.rtc.handle_input(input) {
            self.fail(&error);
        }
        if is_stun(datagram) {
            self.follow_nomination(source, datagram);
        }
        self.poll_outputs(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.handle_timeout(now);
        }
        if self.deadline <= now {
            self.advance(now);
            self.poll_outputs(now);
        }
    }

    fn deadline(&self) -> Instant {
        let down = self.down.as_ref().and_then(|down| down.deadline());
        down.map_or(self.deadline, |down| down.min(self.deadline))
    }

    fn takes(&mut self, line: Mid, codec: Codec) -> bool {
        let rtc = &self.rtc;
        self.down.as_mut().is_some_and(|down| down.takes(line, codec, || payload_types(rtc, line, codec)))
    }

    fn write_rtp(&mut self, now: Instant, packet: &OutgoingPacket) -> Option<Datagram> {
        if !self.was_connected || self.closed {
            return None;
        }
        let rtc = &self.rtc;
        self.down.as_mut()?.write(now, packet, || payload_types(rtc, packet.line, packet.media.codec))
    }

    fn renew_line(&mut self, _now: Instant, line: Mid) {
        let Some(down) = &mut self.down else { return };
        let Some(before) = down.settings(line).cloned() else { return };
        let api = self.rtc.direct_api();
        let unused = || {
            loop {
                let ssrc = *api.new_ssrc();
                if !down.has_source(ssrc) {
                    break ssrc;
                }
            }
        };
        let (ssrc, repair_ssrc) = (unused(), before.repair_ssrc.map(|_| unused()));
        down.set_line(line, LineSettings { ssrc, repair_ssrc, ..before });
    }

    fn request_keyframe(&mut self, now: Instant, line: Mid, layer: Option<LayerId>) {
        let rid = layer.map(|layer| Rid::from(layer.as_str()));
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(media::Mid::from(line.as_str()), rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.advance_and_poll(now);
    }

    fn set_desired_bitrate(&mut self, now: Instant, bps: u64) {
        if let Some(down) = &mut self.down {
            down.set_desired_bitrate(now, bps);
        }
    }

    fn probe(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.probe(now);
        }
    }

    fn send_data(&mut self, now: Instant, kind: DataKind, payload: &[u8]) -> bool {
        if self.closed {
            return false;
        }
        let sent = (kind == DataKind::Lossy || self.data_queue.is_empty()) && self.write_data(kind, payload);
        let queued = !sent && kind == DataKind::Reliable && self.data_queued + payload.len() <= MAX_DATA_QUEUE_BYTES;
        if queued {
            self.data_queue.push_back(payload.to_vec());
            self.data_queued += payload.len();
        }
        self.advance_and_poll(now);
        sent || queued
    }

    fn poll_event(&mut self) -> Option<CoreEvent> {
        self.events.pop_front().or_else(|| self.down.as_mut()?.poll_event())
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front().or_else(|| self.down.as_mut()?.poll_datagram())
    }

    fn close(&mut self, now: Instant) {
        if let Err(error) = self.rtc.close() {
            self.fail(&error);
        }
        self.advance_and_poll(now);
    }
}
