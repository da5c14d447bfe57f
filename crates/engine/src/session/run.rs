//! The loop of one session.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use prost::Message as _;
use protocol::messages::{
    AddTrackRequest, DataPacket, DisconnectReason, LeaveRequest, MuteTrackRequest, ParticipantInfo, SessionDescription,
    SignalTarget, TrackInfo, TrickleRequest, UpdateParticipantMetadata, UpdateSubscription, leave_request,
    request_response, signal_request, signal_response,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::Instant;
use transport::{AddTrack, DataKind, Peer, PeerEvent, Role, TransportError};

use super::flow::{Flow, SentTracks};
use super::liveness::{self, Liveness, LivenessAction};
use super::media_link::{MediaLinks, MediaTransition};
use super::negotiation::Negotiation;
use super::pinging::Pings;
use super::publishing::{LocalTrack, LocalTracks, TrackSender, refusal};
use super::reliable_data::ReliableData;
use super::resuming::Outage;
use super::{
    EndReason, LostReason, PublishRequest, RefusedPublish, SessionCommand, SessionEvent, SessionParams, SessionSink,
    TrackKind,
};
use crate::server_profile::ServerProfile;
use crate::signalling::Connection;
use crate::simulcast::RIDS;

/// One login. What ends with the signalling connection is in `connection`; the rest outlives it.
pub(super) struct Session<'a, S> {
    /// Its token is the newest one from the server.
    pub(super) params: SessionParams,
    /// Our participant's sid, by which a resume finds us.
    pub(super) sid: String,
    /// `None` while it is lost.
    pub(super) connection: Option<Connection>,
    pub(super) sink: &'a S,
    pub(super) publisher: Arc<Peer>,
    pub(super) subscriber: Arc<Peer>,
    pub(super) publisher_events: UnboundedReceiver<PeerEvent>,
    pub(super) subscriber_events: UnboundedReceiver<PeerEvent>,
    pub(super) links: MediaLinks,
    pub(super) negotiation: Negotiation,
    /// The server's last offer and our answer.
    pub(super) subscribed: Option<(SessionDescription, SessionDescription)>,
    pub(super) tracks: LocalTracks,
    /// Requests for tracks that the server has not answered, by cid.
    pub(super) unanswered: BTreeMap<String, AddTrackRequest>,
    /// What the server announced for our tracks, by cid.
    pub(super) published: BTreeMap<String, TrackInfo>,
    /// Received tracks and their state; sent tracks and what is reported about them.
    pub(super) sent_tracks: SentTracks,
    pub(super) coming: Flow,
    pub(super) heard: Flow,
    pub(super) packets_sent: u64,
    /// Sids of the tracks that we want to receive.
    pub(super) wanted: BTreeSet<String>,
    pub(super) reliable: ReliableData,
    pub(super) liveness: Liveness,
    pub(super) pings: Pings,
    /// The next update that names this participant lists all participants.
    pub(super) awaits_all_participants: bool,
    pub(super) outage: Option<Outage>,
    /// Of the signalling server, where it is not behind a proxy, and our address towards it.
    pub(super) server_ip: Option<IpAddr>,
    pub(super) route: Option<IpAddr>,
    pub(super) profile: ServerProfile,
    /// There is one that it does not know.
    pub(super) token_to_tell: bool,
}

/// Why the loop cannot go on.
pub(super) enum Stop {
    End(EndReason),
    /// The signalling connection has to be opened again.
    Resume(ResumeReason),
}

/// Why a resume is necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeReason {
    /// The signalling connection is lost.
    Signal,
    /// The server asks for it.
    Asked,
    /// The token is new, and the server learns of it no other way.
    Token,
    /// No media gets through: ICE has to be restarted on both sides, which only a resume makes the server do.
    Media,
}

impl From<EndReason> for Stop {
    fn from(reason: EndReason) -> Self {
        Self::End(reason)
    }
}

pub(super) type Step = Result<(), Stop>;

impl<'a, S: SessionSink> Session<'a, S> {
    pub(super) async fn run(
        &mut self,
        held: Vec<SessionCommand>,
        mut commands: UnboundedReceiver<SessionCommand>,
    ) -> EndReason {
        let mut step = self.begin(held).await;
        let mut tick = tokio::time::interval(liveness::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            step = match step {
                Ok(()) => tokio::select! {
                    message = receive(&mut self.connection) => match message {
                        Some(message) => {
                            self.liveness.heard(Instant::now());
                            self.message(message).await
                        }
                        None => Err(Stop::Resume(ResumeReason::Signal)),
                    },
                    command = commands.recv() => self.command(command.unwrap_or(SessionCommand::Leave)).await,
                    Some(event) = self.publisher_events.recv() => self.peer_event(Role::Publisher, event).await,
                    Some(event) = self.subscriber_events.recv() => self.peer_event(Role::Subscriber, event).await,
                    _ = tick.tick() => self.tick().await,
                },
                Err(Stop::Resume(failure)) => self.resume(failure, &mut commands).await,
                Err(Stop::End(reason)) => return reason,
            };
        }
    }

    async fn begin(&mut self, held: Vec<SessionCommand>) -> Step {
        // The publisher connection is set up at once, with its data channels: publishing then needs one exchange.
        self.negotiate(false).await?;
        for command in held {
            self.command(command).await?;
        }
        Ok(())
    }

    /// Sends a message; without a connection it is lost, and made up for by the resume.
    pub(super) async fn send(&mut self, message: signal_request::Message) {
        if let Some(connection) = &mut self.connection {
            connection.send(message).await;
        }
    }

    pub(super) async fn command(&mut self, command: SessionCommand) -> Step {
        match command {
            SessionCommand::Publish(request) => self.publish(&request).await,
            SessionCommand::Unpublish { channel } => return self.unpublish(channel).await,
            SessionCommand::SetMuted { channel, kind, muted } => self.set_muted(channel, kind, muted).await,
            SessionCommand::Subscribe { track_sids, subscribe } => {
                for sid in &track_sids {
                    if subscribe {
                        self.wanted.insert(sid.clone());
                    } else {
                        self.wanted.remove(sid);
                    }
                }
                let update = UpdateSubscription { track_sids, subscribe, ..UpdateSubscription::default() };
                self.send(signal_request::Message::Subscription(update)).await;
            }
            SessionCommand::TrackSettings(settings) => {
                self.send(signal_request::Message::TrackSetting(settings)).await;
            }
            SessionCommand::SendData { kind, packet } => self.send_data(kind, *packet),
            SessionCommand::RenewToken(token) => {
                self.params.token = token;
                // Only our own server applies new permissions on a resume; elsewhere they apply with the next login.
                self.token_to_tell = self.profile.takes_new_tokens;
            }
            SessionCommand::SetAttributes { attributes, request } => {
                let update = UpdateParticipantMetadata {
                    attributes,
                    request_id: request,
                    ..UpdateParticipantMetadata::default()
                };
                self.send(signal_request::Message::UpdateMetadata(update)).await;
            }
            SessionCommand::Leave => {
                self.say_goodbye().await;
                return Err(EndReason::Done.into());
            }
        }
        Ok(())
    }

    pub(super) async fn say_goodbye(&mut self) {
        let leave = LeaveRequest {
            reason: DisconnectReason::ClientInitiated as i32,
            action: leave_request::Action::Disconnect as i32,
            ..LeaveRequest::default()
        };
        self.send(signal_request::Message::Leave(leave)).await;
    }

    pub(super) fn send_data(&mut self, kind: DataKind, packet: DataPacket) {
        let bytes = match kind {
            DataKind::Reliable => self.reliable.send(packet, Instant::now()),
            DataKind::Lossy => packet.encode_to_vec().into(),
        };
        if let Err(error) = self.publisher.send_data(kind, bytes) {
            tracing::warn!(%error, "a data packet was not sent");
        }
    }

    async fn publish(&mut self, request: &PublishRequest) {
        for message in self.tracks.add(request) {
            self.unanswered.insert(message.cid.clone(), message.clone());
            self.send(signal_request::Message::AddTrack(message)).await;
        }
    }

    async fn unpublish(&mut self, channel: u32) -> Step {
        let gone = self.tracks.remove(channel);
        let mut offered = false;
        for track in gone {
            track.close();
            self.unanswered.remove(&track.cid);
            self.published.remove(&track.cid);
            if track.sid.is_some() {
                offered = true;
                if let Err(error) = self.publisher.remove_track(&track.cid).await {
                    tracing::warn!(%error, "a track was not removed");
                }
            }
        }
        if offered { self.request_negotiation().await } else { Ok(()) }
    }

    async fn set_muted(&mut self, channel: u32, kind: TrackKind, muted: bool) {
        let Some(track) = self.tracks.find(channel, kind) else { return };
        track.muted = muted;
        // Without a sid the server has not answered yet: the mute is sent with the answer.
        if let Some(sid) = track.sid.clone() {
            self.send(signal_request::Message::Mute(MuteTrackRequest { sid, muted })).await;
        }
    }

    async fn message(&mut self, message: signal_response::Message) -> Step {
        use signal_response::Message;
        match message {
            // An offer that is older than a known one needs no answer.
            Message::Offer(offer) if self.subscribed.as_ref().is_some_and(|(last, _)| offer.id < last.id) => {}
            Message::Offer(offer) => {
                let sdp = self.subscriber.accept_offer(&offer.sdp).await.map_err(lost("the server's offer"))?;
                tracing::debug!(id = offer.id, "the server's offer is answered");
                let answer = description("answer", sdp, offer.id);
                self.subscribed = Some((offer, answer.clone()));
                self.send(signal_request::Message::Answer(answer)).await;
            }
            Message::Answer(answer) if self.negotiation.accepts(answer.id) => {
                self.publisher.accept_answer(&answer.sdp).await.map_err(lost("the server's answer"))?;
                tracing::debug!(id = answer.id, "our offer is answered");
                self.tracks.answered(self.negotiation.last_offer());
                if self.negotiation.answered() {
                    self.negotiate(false).await?;
                }
                self.announce();
            }
            Message::Trickle(trickle) => {
                let peer = match SignalTarget::try_from(trickle.target) {
                    Ok(SignalTarget::Subscriber) => &self.subscriber,
                    _ => &self.publisher,
                };
                if let Err(error) = peer.add_remote_candidate(&trickle.candidate_init).await {
                    tracing::debug!(%error, "a remote candidate was not used");
                }
            }
            Message::TrackPublished(published) => {
                // The same answer may come twice, when the request was repeated after a resume.
                if let Some(info) = published.track
                    && self.unanswered.remove(&published.cid).is_some()
                {
                    let sid = info.sid.clone();
                    self.published.insert(published.cid.clone(), info);
                    return self.agreed(&published.cid, sid).await;
                }
            }
            Message::RequestResponse(response) => {
                if matches!(response.request, Some(request_response::Request::UpdateMetadata(_)) | None)
                    && response.request_id != 0
                {
                    let accepted = response.reason == request_response::Reason::Ok as i32;
                    self.sink.emit(SessionEvent::Answered { request: response.request_id, accepted });
                }
                if let Some((cid, reason)) = refusal(&response) {
                    let cid = cid.to_owned();
                    return self.refused(&cid, reason).await;
                }
            }
            Message::SubscribedQualityUpdate(update) => self.tracks.want_layers(&update),
            Message::ConnectionQuality(update) => self.sink.emit(SessionEvent::Quality(update)),
            Message::Update(update) => self.update(update.participants),
            Message::RoomUpdate(update) => {
                if let Some(room) = update.room {
                    self.sink.emit(SessionEvent::Room(Box::new(room)));
                }
            }
            Message::PongResp(pong) => {
                if let Some(sample) = self.pings.answered(&pong, std::time::Instant::now()) {
                    self.sink.emit(SessionEvent::Time(sample));
                }
            }
            Message::RefreshToken(token) => {
                self.params.token.clone_from(&token);
                self.sink.emit(SessionEvent::TokenRefreshed(token));
            }
            Message::Leave(leave) if leave.action == leave_request::Action::Resume as i32 => {
                return Err(Stop::Resume(ResumeReason::Asked));
            }
            Message::Leave(leave) => return Err(left(&leave).into()),
            _ => {}
        }
        Ok(())
    }

    fn update(&mut self, participants: Vec<ParticipantInfo>) {
        self.sent_tracks.update(&participants);
        let names_us = participants.iter().any(|participant| participant.sid == self.sid);
        if self.awaits_all_participants && names_us {
            self.awaits_all_participants = false;
            self.sink.emit(SessionEvent::AllParticipants(participants));
        } else {
            self.sink.emit(SessionEvent::Participants(participants));
        }
    }

    /// The server agreed to one of our tracks.
    async fn agreed(&mut self, cid: &str, sid: String) -> Step {
        // Unpublished in the meantime: nothing was offered, so the server drops it by itself.
        let Some(track) = self.tracks.by_cid(cid) else { return Ok(()) };
        let wanted = match track.kind {
            TrackKind::Audio => track.request.audio.muted,
            TrackKind::Video => track.request.video.muted,
        };
        let changed = (track.muted != wanted).then(|| MuteTrackRequest { sid: sid.clone(), muted: track.muted });
        track.sid = Some(sid);
        let (channel, kind) = (track.channel, track.kind);
        let layers = track.request.video.layers.len();
        let add = AddTrack { track_id: cid.to_owned(), stream_id: track.request.stream_id.clone() };
        let sender = match kind {
            TrackKind::Video => {
                let rids = &RIDS[..layers.clamp(1, RIDS.len())];
                TrackSender::Video(Arc::new(self.publisher.add_layers(add, rids).await.map_err(lost("adding video"))?))
            }
            TrackKind::Audio => TrackSender::Audio(self.publisher.add_audio(add).await.map_err(lost("adding audio"))?),
        };
        if let Some(track) = self.tracks.by_cid(cid) {
            track.sender = Some(sender);
        }
        if let Some(mute) = changed {
            self.send(signal_request::Message::Mute(mute)).await;
        }
        if self.tracks.all_agreed(channel) { self.request_negotiation().await } else { Ok(()) }
    }

    async fn refused(&mut self, cid: &str, reason: RefusedPublish) -> Step {
        let Some(channel) = self.tracks.channel_of(cid) else { return Ok(()) };
        self.unpublish(channel).await?;
        self.sink.emit(SessionEvent::PublishRefused { channel, reason });
        Ok(())
    }

    async fn request_negotiation(&mut self) -> Step {
        if self.negotiation.request() { self.negotiate(false).await } else { Ok(()) }
    }

    pub(super) async fn negotiate(&mut self, ice_restart: bool) -> Step {
        let sdp = self.publisher.create_offer(ice_restart).await.map_err(lost("making an offer"))?;
        let id = self.negotiation.offer();
        self.tracks.offered(id);
        self.send(signal_request::Message::Offer(description("offer", sdp, id))).await;
        Ok(())
    }

    pub(super) async fn peer_event(&mut self, role: Role, event: PeerEvent) -> Step {
        match event {
            PeerEvent::LocalCandidate { candidate_init_json } => {
                let target = match role {
                    Role::Publisher => SignalTarget::Publisher,
                    Role::Subscriber => SignalTarget::Subscriber,
                };
                let trickle = TrickleRequest {
                    candidate_init: candidate_init_json,
                    target: target as i32,
                    ..TrickleRequest::default()
                };
                self.send(signal_request::Message::Trickle(trickle)).await;
            }
            PeerEvent::State(state) => {
                tracing::debug!(?role, ?state, "media connection");
                match self.links.state(role, state, Instant::now()) {
                    Some(MediaTransition::Up) => self.announce(),
                    Some(MediaTransition::Lost) => self.sink.emit(SessionEvent::MediaLost(role)),
                    Some(MediaTransition::Back) => {
                        self.sink.emit(SessionEvent::MediaBack(role));
                        self.announce();
                    }
                    None => {}
                }
            }
            PeerEvent::DataOpen(_) => {}
            PeerEvent::Track(track) => self.sink.emit(SessionEvent::Track(Box::new(track))),
            PeerEvent::Undecodable { track_id, codecs } => {
                self.sink.emit(SessionEvent::Undecodable { track_id, codecs });
            }
            PeerEvent::DataReceived { payload, .. } => self.data(payload),
            PeerEvent::KeyframeRequested { track_id, layer } => {
                if let Some(channel) = self.tracks.channel_of(&track_id) {
                    self.sink.emit(SessionEvent::KeyframeRequested { channel, layer });
                }
            }
        }
        Ok(())
    }

    fn data(&mut self, payload: Bytes) {
        match DataPacket::decode(payload) {
            Ok(packet) if !self.reliable.receive(&packet) => tracing::debug!("a data packet came twice"),
            Ok(packet) => self.sink.emit(SessionEvent::Data(Box::new(packet))),
            Err(error) => tracing::warn!(%error, "a data packet could not be read"),
        }
    }

    /// Emits which channels publish, once the publisher connection is up.
    fn announce(&mut self) {
        if self.links.is_up(Role::Publisher) {
            for channel in self.tracks.newly_published() {
                // In this order the first frame is reported after the publishing.
                self.sink.emit(SessionEvent::Published { channel });
                self.tracks.open(channel);
            }
        }
    }

    async fn tick(&mut self) -> Step {
        let now = Instant::now();
        match self.liveness.tick(now, SystemTime::now()) {
            LivenessAction::Fine => self.first_pings().await,
            LivenessAction::Ping => self.ping().await,
            LivenessAction::Lost => return Err(Stop::Resume(ResumeReason::Signal)),
        }
        self.check_media_path(now)?;
        let is_handshaking = self.is_handshaking();
        if is_handshaking && self.links.is_overdue(now) {
            return Err(EndReason::Lost(LostReason("the media connection did not come up")).into());
        }
        if (self.links.needs_restart(now) && !is_handshaking) || self.is_stalled(now).await {
            return Err(Stop::Resume(ResumeReason::Media));
        }
        if std::mem::take(&mut self.token_to_tell) {
            return Err(Stop::Resume(ResumeReason::Token));
        }
        self.forget_outage(now);
        Ok(())
    }

    /// Whether a route was found for a connection that was never up: a restart would only interrupt the handshake over it,
    /// and where that hangs, only new connections can use another route.
    fn is_handshaking(&self) -> bool {
        let is_in = |role, peer: &Peer| !self.links.was_up(role) && peer.route().is_some();
        is_in(Role::Publisher, &self.publisher) || is_in(Role::Subscriber, &self.subscriber)
    }

    /// Reports connections that do not come up, and tries again at once when the network has changed.
    fn check_media_path(&mut self, now: Instant) -> Step {
        for role in self.links.failed(now) {
            let peer = if role == Role::Publisher { &self.publisher } else { &self.subscriber };
            let reason = format!(
                "no media path: nothing comes back from the room server by {}",
                peer.attempted_routes().join(", ")
            );
            tracing::warn!(?role, reason);
            self.sink.emit(SessionEvent::NoMediaPath { role, reason });
        }
        if !self.links.all_well()
            && let Some(server) = self.server_ip
        {
            let route = transport::local_address_towards(server);
            if route.is_some() && std::mem::replace(&mut self.route, route) != route {
                self.links.network_changed(now);
            }
        }
        Ok(())
    }

    /// Whether nothing arrives over a connection that is up, though something should.
    async fn is_stalled(&mut self, now: Instant) -> bool {
        let packets_sent = self.publisher.stats().await.packets_sent;
        let is_sending = std::mem::replace(&mut self.packets_sent, packets_sent) != packets_sent;
        let is_heard = self.links.is_up(Role::Publisher) && is_sending;
        let is_coming = self.links.is_up(Role::Subscriber) && self.sent_tracks.has_any(&self.wanted);
        let (publisher, subscriber) = (&self.publisher, &self.subscriber);
        let deaf = self.heard.is_stalled(publisher.arrivals(), publisher.checks_answered(), is_heard, now);
        let dry = self.coming.is_stalled(subscriber.arrivals(), subscriber.checks_answered(), is_coming, now);
        if deaf || dry {
            tracing::info!(deaf, dry, "nothing comes over a connection that is up");
        }
        deaf || dry
    }

    pub(super) async fn end(mut self, presence: watch::Sender<()>) {
        for channel in 0..4 {
            self.tracks.remove(channel).iter().for_each(LocalTrack::close);
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        drop(presence);
        self.publisher.close().await;
        self.subscriber.close().await;
    }
}

/// The next message; pending for ever while there is no connection.
async fn receive(connection: &mut Option<Connection>) -> Option<signal_response::Message> {
    match connection {
        Some(connection) => connection.receive().await,
        None => std::future::pending().await,
    }
}

/// The meaning of the server's leave message. Before protocol 13 there is no action, only whether reconnecting is allowed.
pub(super) fn left(leave: &LeaveRequest) -> EndReason {
    let reconnect = leave.action != leave_request::Action::Disconnect as i32 || leave.can_reconnect;
    EndReason::Left { reason: leave.reason, reconnect }
}

fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.to_owned(), sdp, id, ..SessionDescription::default() }
}

fn lost(step: &'static str) -> impl Fn(TransportError) -> EndReason {
    move |error| {
        tracing::error!(%error, step, "the media connection cannot go on");
        EndReason::Lost(LostReason(step))
    }
}
