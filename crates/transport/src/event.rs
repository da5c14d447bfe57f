//! Events of a peer connection.

use crate::data_kind::DataKind;
use crate::receive::{AudioReceiver, VideoReceiver};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

/// State of the connection, as the W3C's `connectionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Nothing has been negotiated yet.
    New,
    /// ICE or DTLS is at work.
    Connecting,
    /// Media and data flow.
    Connected,
    /// No answer from the other side for a while; may recover on its own.
    Disconnected,
    /// Given up; an ICE restart or a new peer is needed.
    Failed,
    /// Closed by [`Peer::close`](crate::Peer::close). Always the last event.
    Closed,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Opus.
    Audio,
    /// H.264 or VP8.
    Video,
}

/// Media of a remote track.
#[derive(Debug)]
pub enum RemoteMedia {
    /// Complete frames.
    Video(VideoReceiver),
    /// Opus packets in the order of their arrival.
    Audio(AudioReceiver),
}

/// A track that the server began to send. It is announced with the offer that adds it, before its first packet; its
/// receiver ends (`recv` returns `None`) when a later offer removes it.
#[derive(Debug)]
pub struct RemoteTrack {
    /// Track id of the `msid`, e.g. `TR_…`.
    pub track_id: String,
    /// Stream id of the `msid`, e.g. `PA_…|TR_…`.
    pub stream_id: String,
    /// Media section that carries it; sections are reused for other tracks later.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Receiver of its media.
    pub media: RemoteMedia,
}

/// Event of a [`Peer`](crate::Peer).
#[derive(Debug)]
pub enum PeerEvent {
    /// An own ICE candidate, as the JSON of `RTCIceCandidateInit`.
    LocalCandidate {
        /// `{"candidate": …, "sdpMid": …, "sdpMLineIndex": …}`
        candidate_init_json: String,
    },
    /// The connection state changed.
    State(PeerState),
    /// A remote track appeared.
    Track(RemoteTrack),
    /// The server sends a track without a codec that we support; nothing of it will be received.
    Undecodable {
        /// Track id of the `msid`.
        track_id: String,
        /// Names of its codecs, for people.
        codecs: String,
    },
    /// A message arrived on a data channel.
    DataReceived {
        /// The channel.
        kind: DataKind,
        /// The message.
        payload: Bytes,
    },
    /// A data channel opened; messages queued before are being sent.
    DataOpen(DataKind),
    /// The track's encoder has to produce a key frame: the server requested one, or a frame was dropped before it was
    /// sent.
    KeyframeRequested {
        /// The sent track.
        track_id: String,
        /// Which of its layers, from the lowest; 0 for a track without layers.
        layer: usize,
    },
}

/// The only sender of the event channel. Many parts emit through it; closing it silences all of them at once, so that
/// `Closed` is the last event.
#[derive(Debug)]
pub(crate) struct EventSender(Mutex<Option<UnboundedSender<PeerEvent>>>);

impl EventSender {
    /// Creates the only sender of this channel.
    pub(crate) fn new(sender: UnboundedSender<PeerEvent>) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    /// Emits an event, unless the channel is closed.
    pub(crate) fn emit(&self, event: PeerEvent) {
        if let Some(sender) = self.0.lock().as_ref() {
            // An owner that has dropped the receiver is not an error.
            let _ = sender.send(event);
        }
    }

    /// Emits `last` and closes the channel.
    pub(crate) fn finish(&self, last: PeerEvent) {
        if let Some(sender) = self.0.lock().take() {
            let _ = sender.send(last);
        }
    }
}
