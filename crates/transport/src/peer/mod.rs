//! The peer connection: a thin shell over the `webrtc` crate.

mod negotiation;
mod sent_tracks;

use self::negotiation::Negotiation;
use self::sent_tracks::SentTrack;
use crate::config::{IceServer, PeerConfig, Role};
use crate::data::DataChannels;
use crate::data_kind::DataKind;
use crate::error::TransportError;
use crate::event::{EventSender, PeerEvent, PeerState};
use crate::interceptors::{ReceiveState, SendState};
use crate::payload::VideoCodec;
use crate::peer_builder::{self, Handler};
use crate::peer_stats::PeerStats;
use crate::routes::route::MediaRoute;
use crate::routes::{self, Routes};
use crate::rtt::SharedRtt;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use webrtc::peer_connection::PeerConnection;

/// A connection to the server, for sending or for receiving. See [`Role`].
///
/// All methods may be called at any time from any task; after [`close`](Self::close) they return
/// [`TransportError::Closed`] or do nothing.
pub struct Peer {
    stack: Mutex<Option<Arc<dyn PeerConnection>>>,
    events: Arc<EventSender>,
    sending: Arc<SendState>,
    receiving: Arc<ReceiveState>,
    rtt: Arc<SharedRtt>,
    checks_answered: Arc<AtomicU64>,
    video_codecs: Vec<VideoCodec>,
    data: Arc<DataChannels>,
    connected: Arc<AtomicBool>,
    negotiation: tokio::sync::Mutex<Negotiation>,
    sent: Mutex<HashMap<String, SentTrack>>,
    routes: Arc<Routes>,
    tasks: [JoinHandle<()>; 2],
    /// A peer may be dropped on a thread without a runtime.
    runtime: Handle,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("connected", &self.connected).finish_non_exhaustive()
    }
}

impl Peer {
    /// Binds the sockets and starts the connection. A publisher's data channels are created here, so
    /// that its first offer carries them.
    ///
    /// # Errors
    /// No socket could be bound, or the stack refused the settings.
    pub async fn new(
        config: PeerConfig,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Result<Arc<Self>, TransportError> {
        let events = Arc::new(EventSender::new(events));
        let rtt = Arc::<SharedRtt>::default();
        let sending = Arc::new(SendState::new(Arc::clone(&rtt), Arc::clone(&events)));
        let receiving = Arc::new(ReceiveState::new(Arc::clone(&rtt)));
        let checks_answered = Arc::<AtomicU64>::default();
        let data = Arc::new(DataChannels::new(Arc::clone(&events)));
        let connected = Arc::new(AtomicBool::new(false));
        let (first_connected, was_connected) = watch::channel(false);
        let (routes, ready) = Routes::new(&config, Arc::clone(&events));
        let handler = Handler {
            events: Arc::clone(&events),
            data: Arc::downgrade(&data),
            routes: Arc::clone(&routes),
            connected: Arc::clone(&connected),
            first_connected,
        };
        let stack = peer_builder::build(&config, &sending, &receiving, handler, Arc::clone(&routes)).await?;
        if config.role == Role::Publisher {
            for kind in DataKind::ALL {
                let channel = peer_builder::open_channel(&*stack, kind).await?;
                data.attach(channel, Some(kind));
            }
        }
        let tasks = [
            tokio::spawn(peer_builder::watch_rtt(
                Arc::downgrade(&stack),
                Arc::clone(&rtt),
                Arc::clone(&checks_answered),
                was_connected,
            )),
            tokio::spawn(routes::open_due_routes(Arc::downgrade(&stack), Arc::clone(&routes), ready)),
        ];
        Ok(Arc::new(Self {
            stack: Mutex::new(Some(stack)),
            events,
            sending,
            receiving,
            rtt,
            checks_answered,
            video_codecs: config.video_codecs,
            data,
            connected,
            negotiation: tokio::sync::Mutex::default(),
            sent: Mutex::default(),
            routes,
            tasks,
            runtime: Handle::current(),
        }))
    }

    fn stack(&self) -> Result<Arc<dyn PeerConnection>, TransportError> {
        self.stack.lock().clone().ok_or(TransportError::Closed)
    }

    /// Replaces the relays and their credentials for the next start of ICE.
    pub fn set_ice_servers(&self, servers: &[IceServer]) {
        self.routes.set_ice_servers(servers);
    }

    /// The route that media takes to the server at present; `None` before the first media.
    pub fn route(&self) -> Option<MediaRoute> {
        self.routes.route()
    }

    /// The routes tried since the last start of ICE, in words for people.
    pub fn attempted_routes(&self) -> Vec<String> {
        self.routes.attempted_routes()
    }

    /// Sends a message of at most 64 KiB. Before the channel is open, messages wait for it. Does not block.
    ///
    /// # Errors
    /// Closed, too large, or more than 4 MiB waiting.
    pub fn send_data(&self, kind: DataKind, payload: Bytes) -> Result<(), TransportError> {
        self.stack()?;
        self.data.send(kind, payload)
    }

    /// RTP and RTCP packets received so far, of any kind. Shows whether anything arrives at all.
    pub fn arrivals(&self) -> u64 {
        self.receiving.packets.load(Ordering::Relaxed)
    }

    /// A counter that increases whenever one of ICE's own checks (two a second) was answered.
    pub fn checks_answered(&self) -> u64 {
        self.checks_answered.load(Ordering::Relaxed)
    }

    /// Statistics of the whole connection.
    pub async fn stats(&self) -> PeerStats {
        let mut stats = PeerStats {
            rtt_ms: self.rtt.get().map(|rtt| rtt.as_secs_f64() * 1000.0),
            send_estimate_bps: self.sending.budgets.estimate_bps(),
            send_backlog_ms: self.sending.budgets.backlog().as_secs_f64() * 1000.0,
            ..PeerStats::default()
        };
        let route = self.route();
        (stats.route, stats.media_address) = (route.as_ref().map(|route| route.kind), route.map(|route| route.remote));
        (stats.path_packets, stats.path_packets_lost) = self.sending.budgets.path_losses();
        self.sending.streams.for_each_counters(|counters| {
            let track = counters.snapshot();
            stats.bytes_sent += track.bytes;
            stats.packets_sent += track.packets;
            stats.packets_retransmitted += track.retransmitted;
            stats.remote_packets_lost += track.lost;
            stats.remote_loss_rate = stats.remote_loss_rate.max(track.loss_rate);
        });
        self.receiving.streams.for_each_counters(|counters| {
            let track = counters.snapshot();
            stats.bytes_received += track.bytes;
            stats.packets_received += track.packets;
            stats.packets_lost += track.lost;
            stats.packets_recovered += track.recovered;
        });
        stats
    }

    /// Closes the connection: receivers end, senders drop what they get, and the last event is `State(Closed)`. Closing
    /// twice does nothing.
    pub async fn close(&self) {
        let Some(stack) = self.release() else { return };
        shut_down(stack, &self.receiving, &self.events).await;
    }

    /// Takes the stack out and stops everything around it.
    fn release(&self) -> Option<Arc<dyn PeerConnection>> {
        let stack = self.stack.lock().take()?;
        self.connected.store(false, Ordering::Relaxed);
        self.tasks.iter().for_each(JoinHandle::abort);
        self.routes.close();
        self.sent.lock().drain().flat_map(|(_, track)| track.streams).for_each(|(_, gate)| gate.close());
        Some(stack)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The stack's driver does not end by itself.
        if let Some(stack) = self.release() {
            let (receiving, events) = (Arc::clone(&self.receiving), Arc::clone(&self.events));
            self.runtime.spawn(async move { shut_down(stack, &receiving, &events).await });
        }
    }
}

async fn shut_down(stack: Arc<dyn PeerConnection>, receiving: &ReceiveState, events: &EventSender) {
    if let Err(error) = stack.close().await {
        tracing::debug!(%error, "closing the connection");
    }
    receiving.streams.close_all();
    events.finish(PeerEvent::State(PeerState::Closed));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AddTrack;
    use std::sync::Weak;
    use std::time::Duration;

    async fn is_freed<T: ?Sized>(weak: Weak<T>) -> bool {
        for _ in 0..200 {
            if weak.strong_count() == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    async fn publisher() -> (Arc<Peer>, mpsc::UnboundedReceiver<PeerEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let peer = Peer::new(PeerConfig::default(), sender).await.unwrap();
        let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
        peer.add_video(track).await.unwrap();
        peer.create_offer(false).await.unwrap();
        (peer, events)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_closed_peer_leaves_nothing_behind() {
        let (peer, _events) = publisher().await;
        let stack = Arc::downgrade(&peer.stack().unwrap());
        let state = Arc::downgrade(&peer.sending);
        peer.close().await;
        drop(peer);
        assert!(is_freed(stack).await);
        assert!(is_freed(state).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_peer_dropped_on_a_foreign_thread_is_closed() {
        let (peer, mut events) = publisher().await;
        let state = Arc::downgrade(&peer.sending);
        std::thread::spawn(move || drop(peer)).join().unwrap();
        assert!(is_freed(state).await);
        let mut last = None;
        while let Some(event) = events.recv().await {
            last = Some(event);
        }
        assert!(matches!(last, Some(PeerEvent::State(PeerState::Closed))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn track_ids_are_unique() {
        let (peer, _events) = publisher().await;
        let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
        assert!(matches!(peer.add_audio(track).await, Err(TransportError::DuplicateTrack(id)) if id == "camera"));
        assert!(matches!(peer.remove_track("screen").await, Err(TransportError::UnknownTrack(_))));
        peer.close().await;
    }
}
