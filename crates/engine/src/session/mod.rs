//! One login session: signalling, the two peer connections and their media, from connect to end.
//!
//! A session resumes after a lost signalling connection by itself (`resuming`); its peer connections and media go on
//! meanwhile. When it ends, the room decides whether a new one is tried, which publishes and subscribes from the
//! beginning. The session owns no media: senders go into slots, received tracks go up as events.

mod flow;
mod joining;
mod liveness;
mod media_link;
mod negotiation;
mod pinging;
mod publishing;
mod reliable_data;
mod resuming;
mod route_settings;
mod run;

use std::collections::HashMap;
use std::sync::Arc;

use dial::Dialer;
use parking_lot::RwLock;
use protocol::messages::{ConnectionQualityUpdate, DataPacket, ParticipantInfo, Room, UpdateTrackSettings, VideoLayer};
use tokio::sync::{mpsc, watch};
use transport::{AudioSender, DataKind, Peer, RemoteTrack, Role, VideoSender};

use crate::embedded_server;
use crate::network_time::TimeSample;
use crate::reconnect_policy::ReconnectPolicy;
use crate::roster::SessionAge;
use crate::server_profile::ServerProfile;
use crate::signalling::ConnectError;
use crate::simulcast::WantedLayers;
pub(crate) use route_settings::RouteSettings;

/// Where a media thread finds the sender of the present session; empty while there is none.
pub(crate) type SenderSlot<S> = Arc<RwLock<Option<Arc<S>>>>;

/// The senders of a video track, one for each layer from low to high.
pub(crate) type VideoSenders = Vec<Arc<VideoSender>>;

/// The parameters of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionParams {
    /// `ws://…` or `wss://…`.
    pub(crate) server: String,
    /// Access token.
    pub(crate) token: String,
    /// What the token does not name, as a query.
    pub(crate) query: String,
    /// Instead of `server` the one of this app on this machine, started if there is none: key and secret.
    pub(crate) embed: Option<(String, String)>,
    /// Opens the connections.
    pub(crate) dialer: Dialer,
    /// When to resume after a lost connection.
    pub(crate) policy: Arc<dyn ReconnectPolicy>,
    /// Which routes media may use.
    pub(crate) ways: RouteSettings,
}

impl SessionParams {
    /// The server to go to now.
    pub(crate) async fn address(&self) -> Result<String, ConnectError> {
        match &self.embed {
            Some((key, secret)) => embedded_server::find(key, secret).await.map_err(ConnectError::NoneHere),
            None => Ok(self.server.clone()),
        }
    }
}

/// One stream to publish.
#[derive(Clone)]
pub(crate) struct PublishRequest {
    pub(crate) channel: u32,
    pub(crate) stream_id: String,
    pub(crate) video: VideoTrack,
    pub(crate) audio: AudioTrack,
}

/// The video track of a stream to publish.
#[derive(Clone)]
pub(crate) struct VideoTrack {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// As they are announced, from low to high; empty for a track that is sent once.
    pub(crate) layers: Vec<VideoLayer>,
    /// Where the session notes which layers are subscribed to.
    pub(crate) wanted: Arc<WantedLayers>,
    /// A shared screen or window, when publishing began.
    pub(crate) is_screen: bool,
    pub(crate) muted: bool,
    pub(crate) slot: SenderSlot<VideoSenders>,
}

/// The audio track of a stream to publish.
#[derive(Clone)]
pub(crate) struct AudioTrack {
    pub(crate) muted: bool,
    /// Whether it is announced as stereo; the audio itself may change later.
    pub(crate) is_stereo: bool,
    pub(crate) slot: SenderSlot<AudioSender>,
}

/// Which track of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Audio,
    Video,
}

pub(crate) enum SessionCommand {
    Publish(PublishRequest),
    Unpublish {
        channel: u32,
    },
    SetMuted {
        channel: u32,
        kind: TrackKind,
        muted: bool,
    },
    Subscribe {
        track_sids: Vec<String>,
        subscribe: bool,
    },
    /// Settings of tracks that are subscribed to.
    TrackSettings(UpdateTrackSettings),
    SendData {
        kind: DataKind,
        packet: Box<DataPacket>,
    },
    /// Changes attributes of this participant; an empty value removes one. `request` is the number of the response; 0 wants
    /// none.
    SetAttributes {
        attributes: HashMap<String, String>,
        request: u32,
    },
    /// Resumes with this token from now on, once at once so that the server learns of it.
    RenewToken(String),
    Leave,
}

pub(crate) enum SessionEvent {
    Joined(Box<Joined>),
    /// An update about some participants.
    Participants(Vec<ParticipantInfo>),
    /// All participants, this one included: after a resume.
    AllParticipants(Vec<ParticipantInfo>),
    /// An update about the room itself.
    Room(Box<Room>),
    /// The answer to a request of [`SessionCommand::SetAttributes`].
    Answered {
        request: u32,
        accepted: bool,
    },
    /// The server sent a newer token.
    TokenRefreshed(String),
    /// A reading of the server's clock.
    Time(TimeSample),
    /// The signalling connection is lost; the session resumes.
    SignalLost,
    /// The session has resumed.
    Resumed,
    /// No media gets through on one of the peer connections.
    MediaLost(Role),
    /// Media gets through again.
    MediaBack(Role),
    /// Media does not get through, and a restart did not help; emitted again with each restart that fails.
    NoMediaPath {
        role: Role,
        /// What was tried, for people.
        reason: String,
    },
    /// All tracks of the channel are negotiated and the publisher connection is up.
    Published {
        channel: u32,
    },
    PublishRefused {
        channel: u32,
        reason: RefusedPublish,
    },
    Track(Box<RemoteTrack>),
    /// A track that was asked for has no codec that we decode.
    Undecodable {
        track_id: String,
        codecs: String,
    },
    Data(Box<DataPacket>),
    /// How well others, and we, are connected.
    Quality(ConnectionQualityUpdate),
    KeyframeRequested {
        channel: u32,
        /// From the lowest.
        layer: usize,
    },
    Ended(EndReason),
}

/// The state of the room right after the join.
pub(crate) struct Joined {
    pub(crate) room: Room,
    /// The identity of this participant, from the server.
    pub(crate) identity: String,
    /// Ourselves not included.
    pub(crate) participants: Vec<ParticipantInfo>,
    pub(crate) profile: ServerProfile,
    /// Of our own session.
    pub(crate) session_age: SessionAge,
    pub(crate) publisher: Arc<Peer>,
    pub(crate) subscriber: Arc<Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedPublish {
    /// Another participant publishes a stream of that name.
    StreamExists,
    /// The token has no right to publish.
    Forbidden,
    Other,
}

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum EndReason {
    /// It never began.
    Connect(ConnectError),
    /// The connection or the media transport was lost.
    Lost(LostReason),
    /// The server ended it: its `DisconnectReason`, and whether it wants us back.
    Left { reason: i32, reconnect: bool },
    /// We left.
    Done,
}

/// What was lost, in words for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LostReason(pub(crate) &'static str);

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Lost(reason) => reason.fmt(f),
            Self::Left { reason, .. } => write!(f, "the room server ended the session, reason {reason}"),
            Self::Done => f.write_str("left"),
        }
    }
}

/// Where a session reports to.
pub(crate) trait SessionSink: Send + Sync + 'static {
    fn emit(&self, event: SessionEvent);
}

/// Sends commands to a running session; a session that has ended ignores them.
#[derive(Clone)]
pub(crate) struct SessionHandle {
    commands: mpsc::UnboundedSender<SessionCommand>,
    /// Its sender is dropped when the session has left.
    present: watch::Receiver<()>,
}

impl SessionHandle {
    pub(crate) fn send(&self, command: SessionCommand) {
        let _ = self.commands.send(command);
    }

    /// Whether it has not said good-bye yet.
    pub(crate) fn is_present(&self) -> bool {
        self.present.has_changed().is_ok()
    }

    /// Waits until a session that is leaving has left, as far as the room can see.
    pub(crate) async fn gone(mut self) {
        while self.present.changed().await.is_ok() {}
    }
}

/// Starts a session on the current runtime. Its last event is `Ended`.
pub(crate) fn spawn(params: SessionParams, sink: impl SessionSink) -> SessionHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (presence, present) = watch::channel(());
    tokio::spawn(async move {
        let reason = joining::run(params, receiver, &sink, presence).await;
        tracing::debug!(%reason, "session ended");
        sink.emit(SessionEvent::Ended(reason));
    });
    SessionHandle { commands, present }
}
