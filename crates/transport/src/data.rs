//! The two data channels of the signalling protocol.

use crate::data_kind::DataKind;
use crate::error::TransportError;
use crate::event::{EventSender, PeerEvent};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex, mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// Largest message: the default limit of a peer (RFC 8841).
const MAX_MESSAGE_BYTES: usize = 65_536;
/// Bytes that may wait for a channel that is not open or does not keep up.
const MAX_QUEUED_BYTES: usize = 4 << 20;
/// Bytes the stack may hold per channel before its `send` waits.
pub(crate) const STACK_BUFFER_BYTES: usize = 1 << 20;

/// Outgoing messages of one kind, whichever channel carries them.
#[derive(Debug)]
struct Lane {
    queue: mpsc::UnboundedSender<Bytes>,
    /// Locked by the task of the channel in use.
    messages: Arc<Mutex<mpsc::UnboundedReceiver<Bytes>>>,
    queued: Arc<AtomicUsize>,
}

impl Lane {
    fn new() -> Self {
        let (queue, messages) = mpsc::unbounded_channel();
        Self { queue, messages: Arc::new(Mutex::new(messages)), queued: Arc::default() }
    }
}

/// Both data channels of a peer.
#[derive(Debug)]
pub(crate) struct DataChannels {
    reliable: Lane,
    lossy: Lane,
    events: Arc<EventSender>,
}

impl DataChannels {
    /// Creates the queues of both channels; messages are kept until a channel is attached.
    pub(crate) fn new(events: Arc<EventSender>) -> Self {
        Self { reliable: Lane::new(), lossy: Lane::new(), events }
    }

    fn lane(&self, kind: DataKind) -> &Lane {
        match kind {
            DataKind::Reliable => &self.reliable,
            DataKind::Lossy => &self.lossy,
        }
    }

    /// Queues a message; it leaves as soon as the channel is open.
    pub(crate) fn send(&self, kind: DataKind, payload: Bytes) -> Result<(), TransportError> {
        if payload.len() > MAX_MESSAGE_BYTES {
            return Err(TransportError::DataOverflow("larger than a data channel message may be"));
        }
        let lane = self.lane(kind);
        let size = payload.len();
        if lane.queued.fetch_add(size, Ordering::Relaxed) + size > MAX_QUEUED_BYTES {
            lane.queued.fetch_sub(size, Ordering::Relaxed);
            return Err(TransportError::DataOverflow("the send queue is full"));
        }
        lane.queue.send(payload).map_err(|_| TransportError::Closed)
    }

    /// Serves a channel of our own, or one that the server opened if its label is known.
    pub(crate) fn attach(&self, channel: Arc<dyn DataChannel>, kind: Option<DataKind>) {
        let lanes = DataKind::ALL.map(|kind| {
            let lane = self.lane(kind);
            (Arc::clone(&lane.messages), Arc::clone(&lane.queued))
        });
        let events = Arc::clone(&self.events);
        tokio::spawn(async move {
            let label = match kind {
                Some(kind) => kind.label().to_owned(),
                None => channel.label().await.unwrap_or_default(),
            };
            let Some(kind) = DataKind::from_label(&label) else {
                tracing::debug!(label, "data channel ignored");
                // Kept until it ends: if it were dropped, its messages would accumulate in the stack.
                while channel.poll().await.is_some() {}
                return;
            };
            let [reliable, lossy] = lanes;
            let (messages, queued) = if kind == DataKind::Reliable { reliable } else { lossy };
            let (opened, open) = watch::channel(false);
            tokio::select! {
                () = read(&*channel, kind, &events, &opened) => {}
                () = write(&*channel, &messages, &queued, open) => {}
            }
        });
    }
}

async fn read(channel: &dyn DataChannel, kind: DataKind, events: &EventSender, opened: &watch::Sender<bool>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => {
                opened.send_replace(true);
                events.emit(PeerEvent::DataOpen(kind));
            }
            DataChannelEvent::OnMessage(message) => {
                events.emit(PeerEvent::DataReceived { kind, payload: message.data.freeze() });
            }
            DataChannelEvent::OnClose => return,
            _ => {}
        }
    }
}

async fn write(
    channel: &dyn DataChannel,
    messages: &Mutex<mpsc::UnboundedReceiver<Bytes>>,
    queued: &AtomicUsize,
    mut open: watch::Receiver<bool>,
) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let mut messages = messages.lock().await;
    while let Some(payload) = messages.recv().await {
        queued.fetch_sub(payload.len(), Ordering::Relaxed);
        if let Err(error) = channel.send(BytesMut::from(payload)).await {
            tracing::debug!(%error, "data message dropped");
        }
    }
}
