//! One room that the application logged in to, or visits to play a stream: its phase and its session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::listeners::ListenerReport;
use protocol::messages::ParticipantInfo;
use transport::Peer;

use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::messaging::BroadcastLimit;
use crate::room_info::RoomInfo;
use crate::roster::{Roster, SessionAge};
use crate::server_clock::ServerClock;
use crate::server_profile::ServerProfile;
use crate::session::SessionHandle;
use crate::token_life::{Now, TokenLife};

/// The subscribers' reports arrive every few seconds; older ones are not used.
const SUBSCRIBER_REPORT_MAX_AGE: Duration = Duration::from_secs(12);

/// Names one of the engine's rooms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomKey {
    /// The room ID.
    pub(crate) id: String,
    /// We are there unseen, only to play a stream; the application did not log in.
    pub(crate) guest: bool,
}

impl RoomKey {
    /// A room that the application logs in to.
    pub(crate) fn own(id: &str) -> Self {
        Self { id: id.to_owned(), guest: false }
    }

    /// A room that is only visited.
    pub(crate) fn guest(id: &str) -> Self {
        Self { id: id.to_owned(), guest: true }
    }
}

/// The phase of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first login has not succeeded yet.
    LoggingIn,
    Connected,
    /// Signalling is lost and the session resumes; media goes on.
    Resuming,
    /// The session is lost, and a new login is tried.
    Reconnecting,
}

/// State of one room.
pub(crate) struct Room {
    pub(crate) key: RoomKey,
    pub(crate) user: User,
    pub(crate) config: RoomConfig,
    /// Counts sessions, so that late events of an older one are recognised.
    pub(crate) generation: u64,
    pub(crate) session: Option<SessionHandle>,
    pub(crate) phase: Phase,
    /// Attempts since `since`.
    pub(crate) attempt: u32,
    /// Why the last session ended, in words.
    pub(crate) failure: Option<String>,
    /// Begin of the login or of the outage.
    pub(crate) since: Instant,
    /// With which code the first login ends when its time is over.
    pub(crate) give_up_code: i32,
    /// What was known of the server's clock when the present token was minted.
    pub(crate) token_clock: ServerClock,
    pub(crate) roster: Roster,
    pub(crate) peers: Option<(Arc<Peer>, Arc<Peer>)>,
    pub(crate) broadcasts: BroadcastLimit,
    /// The newest token from the server; it outlives the application's own.
    pub(crate) refreshed_token: Option<String>,
    /// Life of the application's own token, where it can be read.
    pub(crate) token_life: Option<TokenLife>,
    /// The login succeeded once.
    pub(crate) was_joined: bool,
    pub(crate) profile: ServerProfile,
    /// Age of our own session, by which contests are settled.
    pub(crate) session_age: SessionAge,
    pub(crate) info: RoomInfo,
    /// The server's last report about the subscribers of what this user publishes.
    pub(crate) listeners: Option<(Instant, ListenerReport)>,
    /// When the number of users was last emitted.
    pub(crate) counted_at: Option<Instant>,
}

impl Room {
    pub(crate) fn new(key: RoomKey, user: User, config: RoomConfig, now: Instant) -> Self {
        Self {
            token_life: TokenLife::of(&config.token, now),
            key,
            user,
            config,
            generation: 0,
            session: None,
            phase: Phase::LoggingIn,
            attempt: 0,
            failure: None,
            since: now,
            give_up_code: code::ROOM_LOGIN_TIMEOUT,
            token_clock: ServerClock::default(),
            roster: Roster::default(),
            peers: None,
            broadcasts: BroadcastLimit::default(),
            refreshed_token: None,
            was_joined: false,
            profile: ServerProfile::default(),
            session_age: SessionAge::default(),
            info: RoomInfo::default(),
            listeners: None,
            counted_at: None,
        }
    }

    /// The token for the next login: the application's own, or if that has expired the newest one from the server.
    pub(crate) fn usable_token(&self, now: &Now) -> String {
        match (&self.token_life, &self.refreshed_token) {
            (Some(life), Some(refreshed)) if life.is_over(now) => refreshed.clone(),
            _ => self.config.token.clone(),
        }
    }

    /// All but ourselves.
    pub(crate) fn others(&self, mut participants: Vec<ParticipantInfo>) -> Vec<ParticipantInfo> {
        participants.retain(|info| info.identity != self.user.id);
        participants
    }

    /// Room extra info that participants carry, as far as it is new.
    pub(crate) fn room_info_of(&mut self, participants: &[ParticipantInfo]) -> Vec<serde_json::Value> {
        self.info.apply_participants(participants)
    }

    /// The server's last report about the subscribers, while it is fresh.
    pub(crate) fn listeners(&self, now: Instant) -> Option<ListenerReport> {
        let (at, report) = self.listeners?;
        (now.saturating_duration_since(at) < SUBSCRIBER_REPORT_MAX_AGE).then_some(report)
    }

    /// The session, if it has logged in. One that resumes queues requests until it is connected.
    pub(crate) fn connected_session(&self) -> Option<&SessionHandle> {
        self.session.as_ref().filter(|_| matches!(self.phase, Phase::Connected | Phase::Resuming))
    }
}
