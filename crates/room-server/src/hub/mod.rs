//! All rooms of the server, as one state machine without clock or socket.
//!
//! Commands from the signalling connections and datagrams from the network go in, messages to clients go out through
//! their queues, datagrams through [`Hub::poll_datagram`]. The folder has one file for each thing that can happen.

pub mod command;
pub mod ids;

mod admin;
mod announced_lines;
mod bandwidth;
mod data;
mod ice_servers;
mod layers;
mod lifecycle;
mod media;
mod negotiation;
mod participant;
mod peers;
mod permissions;
mod publishing;
mod reports;
mod requests;
mod room;
mod sdp;
mod sdp_codecs;
mod settings;
mod single_connection;
mod speakers;
mod stream_ids;
mod subscribing;
mod track;
mod webhook_events;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::messages::{ParticipantUpdate, Response, RoomUpdate};

use self::command::Command;
pub use self::ice_servers::IceServers;
use self::ids::{ConnectionId, ParticipantId, RoomKey};
use self::participant::Participant;
use self::peers::Peers;
use self::room::Room;
pub use self::settings::HubSettings;
use crate::forwarding::core::{ClientAddress, PeerFactory};
use crate::forwarding::datagram::Datagram;
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::number_hasher::NumberMap;
use crate::signalling::encode;

/// How often things without a timer of their own are looked after, while there are any.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// All rooms.
pub struct Hub {
    peers: Peers,
    rooms: HashMap<RoomKey, Room>,
    participants: NumberMap<ParticipantId, Participant>,
    connections: HashMap<ConnectionId, ParticipantId>,
    keys: Arc<KeyStore>,
    metrics: Metrics,
    settings: HubSettings,
    housekeeping_at: Option<Instant>,
    /// When speakers are checked next, while there are any.
    speakers_at: Option<Instant>,
    /// When bandwidth is allocated next, while there is any video.
    bandwidth_at: Option<Instant>,
    /// When the next reports are due, while anybody is there.
    reports_at: Option<Instant>,
    last_participant: u64,
}

impl Hub {
    /// No rooms.
    pub fn new(factory: Box<dyn PeerFactory>, keys: Arc<KeyStore>, metrics: Metrics, settings: HubSettings) -> Self {
        Self {
            peers: Peers::new(factory),
            rooms: HashMap::new(),
            participants: NumberMap::default(),
            connections: HashMap::new(),
            keys,
            metrics,
            settings,
            housekeeping_at: None,
            speakers_at: None,
            bandwidth_at: None,
            reports_at: None,
            last_participant: 0,
        }
    }

    /// Handles a command.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Connect(connect) => self.connect(now, *connect),
            Command::Request(connection, message) => {
                if let Some(participant) = self.connections.get(&connection).copied() {
                    self.handle_request(now, participant, *message);
                }
            }
            Command::Disconnected(connection) => self.disconnected(now, connection),
            Command::Admin(call) => {
                let reply = self.administer(now, &call.app, call.request);
                // The caller may have gone.
                let _ = call.reply.send(reply);
            }
            Command::Shutdown => self.shut_down(now),
        }
        self.handle_events(now);
        self.count();
    }

    /// Handles a datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) {
        self.metrics.datagrams_received.inc();
        self.metrics.bytes_received.inc_by(datagram.len() as u64);
        self.peers.handle_datagram(now, source, datagram);
        self.handle_events(now);
    }

    /// Does the work that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.peers.handle_timeout(now);
        self.handle_events(now);
        if self.housekeeping_at.is_some_and(|at| at <= now) {
            self.housekeeping_at = None;
            self.send_due_keyframe_requests(now);
            self.remove_inactive_participants(now);
            self.request_overdue_offers(now);
            self.forget_old_announcements(now);
            self.notify_wanted_layers(now);
            self.handle_events(now);
        }
        if self.speakers_at.is_some_and(|at| at <= now) {
            self.report_speakers(now);
        }
        if self.bandwidth_at.is_some_and(|at| at <= now) {
            self.allocate_bandwidth(now);
            self.handle_events(now);
        }
        if self.reports_at.is_some_and(|at| at <= now) {
            self.report(now);
        }
    }

    /// When [`Hub::handle_timeout`] wants to be called, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let own = [self.housekeeping_at, self.speakers_at, self.bandwidth_at, self.reports_at];
        own.into_iter().chain([self.peers.deadline()]).flatten().min()
    }

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        let datagram = self.peers.poll_datagram()?;
        self.metrics.datagrams_sent.inc();
        self.metrics.bytes_sent.inc_by(datagram.length() as u64);
        Some(datagram)
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some((peer, event)) = self.peers.poll_event() {
            self.handle_event(now, peer, event);
        }
    }

    /// Brings the numbers up to date that are not counted where they change.
    fn count(&self) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.rooms.set(number(self.rooms.len()));
        self.metrics.participants.set(number(self.participants.len()));
    }

    fn want_housekeeping(&mut self, now: Instant) {
        self.housekeeping_at.get_or_insert(now + HOUSEKEEPING);
    }

    fn members_of(&self, room: &RoomKey) -> Vec<ParticipantId> {
        self.rooms.get(room).map(|room| room.members.clone()).unwrap_or_default()
    }

    fn room_info(&self, key: &RoomKey) -> protocol::messages::Room {
        let Some(room) = self.rooms.get(key) else { return protocol::messages::Room::default() };
        let visible = room.members.iter().filter_map(|id| self.participants.get(id)).filter(|p| !p.permission.hidden);
        let (mut participants, mut publishers) = (0, 0);
        for member in visible {
            participants += 1;
            publishers += u32::from(!member.tracks.is_empty());
        }
        room.info(key, self.settings.codecs.of_room(), participants, publishers)
    }

    /// Sends the participant's information to the room, the participant included. Others are not notified of a hidden one.
    fn broadcast_participant(&mut self, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.version += 1;
        let (room, hidden, info) = (participant.room.clone(), participant.permission.hidden, participant.info());
        let message = encode(Response::Update(ParticipantUpdate { participants: vec![info] }));
        for member in self.members_of(&room) {
            if !hidden || member == id {
                self.send_encoded(member, &message);
            }
        }
    }

    fn broadcast_room(&mut self, key: &RoomKey) {
        let message = encode(Response::RoomUpdate(RoomUpdate { room: Some(self.room_info(key)) }));
        for member in self.members_of(key) {
            self.send_encoded(member, &message);
        }
    }

    fn send_encoded(&mut self, to: ParticipantId, message: &bytes::Bytes) {
        if let Some(participant) = self.participants.get_mut(&to) {
            participant.send_encoded(message.clone());
        }
    }

    fn send(&mut self, to: ParticipantId, message: Response) {
        if let Some(participant) = self.participants.get_mut(&to) {
            participant.send(message);
        }
    }
}

/// Unix time in ms.
fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
