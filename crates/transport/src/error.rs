//! Errors of a peer connection.

/// Error of a [`Peer`](crate::Peer) operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The peer was closed.
    #[error("the peer connection is closed")]
    Closed,
    /// The remote description or candidate could not be read.
    #[error("malformed remote description: {0}")]
    MalformedSignal(String),
    /// A track with this id is already being sent.
    #[error("a track with the id {0} exists already")]
    DuplicateTrack(String),
    /// No track with this id is being sent.
    #[error("no track with the id {0}")]
    UnknownTrack(String),
    /// The data channel's send queue is full, or the message is larger than a data channel carries.
    #[error("the data message does not fit: {0}")]
    DataOverflow(&'static str),
    /// The WebRTC stack refused.
    #[error("{doing}: {source}")]
    Stack {
        /// What was being attempted.
        doing: &'static str,
        /// The stack's own reason.
        source: webrtc::error::Error,
    },
}

impl TransportError {
    /// Adapter for `map_err` that adds what was being attempted.
    pub(crate) fn during(doing: &'static str) -> impl FnOnce(webrtc::error::Error) -> Self {
        move |source| Self::Stack { doing, source }
    }
}
