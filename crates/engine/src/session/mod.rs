//! One login session: signalling, the two peer connections and what runs over them, from connect to end.
//!
//! A session never reconnects. When it ends, for whatever reason, the room decides whether a new one is tried; it then
//! publishes and subscribes afresh. The session owns no media: senders go into slots, received tracks go up as events.

mod negotiation;
mod publishing;
mod run;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use protocol::messages::{DataPacket, ParticipantInfo};
use tokio::sync::mpsc;
use transport::{AudioSender, DataKind, Peer, RemoteTrack, VideoSender};

use crate::signalling::ConnectError;

/// Where a media thread finds the sender of the present session; empty while there is none.
pub(crate) type SenderSlot<S> = Arc<RwLock<Option<Arc<S>>>>;

/// What a session needs to begin.
#[derive(Clone, Debug)]
pub(crate) struct SessionParams {
    /// `ws://…` or `wss://…`.
    pub(crate) server: String,
    /// Access token.
    pub(crate) token: String,
    /// Start the embedded server first if nothing listens: key and secret that it shall know.
    pub(crate) embed: Option<(String, String)>,
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
    pub(crate) muted: bool,
    pub(crate) slot: SenderSlot<VideoSender>,
}

/// The audio track of a stream to publish.
#[derive(Clone)]
pub(crate) struct AudioTrack {
    pub(crate) muted: bool,
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
    SendData {
        kind: DataKind,
        packet: Box<DataPacket>,
    },
    /// Changes attributes of our participant; an empty value removes one.
    SetAttributes(HashMap<String, String>),
    Leave,
}

pub(crate) enum SessionEvent {
    Joined(Box<Joined>),
    Participants(Vec<ParticipantInfo>),
    /// All tracks of the channel are negotiated and the publisher connection is up.
    Published {
        channel: u32,
    },
    PublishRefused {
        channel: u32,
        reason: RefusedPublish,
    },
    Track(Box<RemoteTrack>),
    Data(Box<DataPacket>),
    KeyframeRequested {
        channel: u32,
    },
    Ended(EndReason),
}

/// What the room knows right after the join.
pub(crate) struct Joined {
    pub(crate) room_sid: String,
    pub(crate) participants: Vec<ParticipantInfo>,
    pub(crate) publisher: Arc<Peer>,
    pub(crate) subscriber: Arc<Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedPublish {
    /// Somebody else publishes a stream of that name.
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
}

impl SessionHandle {
    pub(crate) fn send(&self, command: SessionCommand) {
        let _ = self.commands.send(command);
    }
}

/// Starts a session on the current runtime. Its last event is `Ended`.
pub(crate) fn spawn(params: SessionParams, sink: impl SessionSink) -> SessionHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let reason = run::run(params, receiver, &sink).await;
        tracing::debug!(%reason, "session ended");
        sink.emit(SessionEvent::Ended(reason));
    });
    SessionHandle { commands }
}
