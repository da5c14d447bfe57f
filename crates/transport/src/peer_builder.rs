//! Builds the `webrtc` crate's peer connection: settings and callbacks.

use crate::config::{PeerConfig, Role};
use crate::data::{DataChannels, STACK_BUFFER_BYTES};
use crate::data_kind::DataKind;
use crate::dtls_runtime::DtlsRuntime;
use crate::error::TransportError;
use crate::event::{EventSender, PeerEvent, PeerState};
use crate::interceptors::{self, ReceiveState, SendState};
use crate::routes::Routes;
use crate::rtt::SharedRtt;
use crate::{addresses, codecs, config};
use rtc::data_channel::RTCDataChannelInit;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::interceptor_registry::configure_simulcast_extension_headers;
use rtc::statistics::report::RTCStatsReportEntry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceServer,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngineBuilder, SrtpProtectionProfile,
};

/// Pace of ICE checks until a pair is found. The stack also nominates on this tick, so its default of
/// 200 ms is a lower bound of every set-up; RFC 8445 section 14.2 allows as little as 5 ms.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Checks per pair before it counts as failed: five seconds' worth.
const ICE_MAX_CHECKS: u16 = 500;
/// Consent checks; they also measure the round-trip time.
const ICE_KEEPALIVE: Duration = Duration::from_millis(500);
/// Silence after which the connection counts as disconnected.
const ICE_DISCONNECTED: Duration = Duration::from_secs(4);
/// Further silence after which it counts as failed.
const ICE_FAILED: Duration = Duration::from_secs(12);
/// A retransmission may arrive a second late: at 20 Mbit/s that is 2000 packets behind the newest.
const SRTP_REPLAY_WINDOW: usize = 2048;
/// Interval at which the stack's ICE statistics are read, for the number of answered checks and their round-trip time.
const RTT_INTERVAL: Duration = Duration::from_millis(500);

/// AES-GCM first: with hardware AES it costs a fraction of AES-CM with HMAC-SHA1.
const SRTP_PROFILES: [SrtpProtectionProfile; 3] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
];

/// Builds the stack's peer connection with our interceptors in it.
pub(crate) async fn build(
    config: &PeerConfig,
    sending: &Arc<SendState>,
    receiving: &Arc<ReceiveState>,
    handler: Handler,
    routes: Arc<Routes>,
) -> Result<Arc<dyn PeerConnection>, TransportError> {
    let mut engine = codecs::media_engine(config.role, &config.video_codecs)?;
    if config.role == Role::Publisher {
        configure_simulcast_extension_headers(&mut engine)
            .map_err(TransportError::during("registering the layers' header extensions"))?;
    }
    let registry = interceptors::registry(sending, receiving, &mut engine)?;
    let settings = SettingEngineBuilder::new()
        .with_srtp_protection_profiles(SRTP_PROFILES.to_vec())
        .with_srtp_replay_protection_window(SRTP_REPLAY_WINDOW)
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_MAX_CHECKS))
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
        .with_include_loopback_candidate(true)
        .with_discard_local_candidates_during_ice_restart(true)
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build();
    let servers = config.ice_servers.iter().filter_map(stun_server).filter(|_| routes.allows_udp()).collect();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
        .with_setting_engine(settings)
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(handler))
        .with_runtime(Arc::new(DtlsRuntime { routes }))
        .with_udp_addrs(addresses::to_bind(config.server_address))
        .with_data_channel_send_buffer_limit(STACK_BUFFER_BYTES)
        .build()
        .await
        .map_err(TransportError::during("building the peer connection"))?;
    Ok(Arc::new(connection))
}

/// The STUN URLs of a server, for address discovery. The stack gets no relays: it supports UDP only, and would allocate one
/// in every call.
fn stun_server(server: &config::IceServer) -> Option<RTCIceServer> {
    let urls: Vec<_> = server.urls.iter().filter(|url| url.starts_with("stun:")).cloned().collect();
    (!urls.is_empty()).then(|| RTCIceServer { urls, ..RTCIceServer::default() })
}

/// Opens one of the publisher's data channels.
pub(crate) async fn open_channel(
    stack: &dyn PeerConnection,
    kind: DataKind,
) -> Result<Arc<dyn DataChannel>, TransportError> {
    let init = match kind {
        DataKind::Reliable => RTCDataChannelInit { ordered: true, ..Default::default() },
        DataKind::Lossy => RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() },
    };
    stack.create_data_channel(kind.label(), Some(init)).await.map_err(TransportError::during("creating a data channel"))
}

/// Feeds the round-trip time of ICE's consent checks into the shared estimate; a subscriber has no other source until its
/// first NACK is answered.
pub(crate) async fn watch_rtt(
    stack: Weak<dyn PeerConnection>,
    rtt: Arc<SharedRtt>,
    checks_answered: Arc<AtomicU64>,
    mut was_connected: watch::Receiver<bool>,
) {
    if was_connected.wait_for(|connected| *connected).await.is_err() {
        return;
    }
    let mut responses_seen = 0;
    loop {
        let Some(stack) = stack.upgrade() else { return };
        let report = stack.get_stats(Instant::now(), rtc::statistics::StatsSelector::None).await;
        drop(stack);
        for entry in report.iter() {
            if let RTCStatsReportEntry::IceCandidatePair(pair) = entry
                && pair.nominated
                && pair.responses_received != responses_seen
                && pair.current_round_trip_time > 0.0
            {
                responses_seen = pair.responses_received;
                checks_answered.fetch_add(1, Ordering::Relaxed);
                rtt.update(Duration::from_secs_f64(pair.current_round_trip_time.min(10.0)));
            }
        }
        tokio::time::sleep(RTT_INTERVAL).await;
    }
}

/// The stack's callbacks. They run on its driver, so they only forward events.
pub(crate) struct Handler {
    pub(crate) events: Arc<EventSender>,
    pub(crate) data: Weak<DataChannels>,
    pub(crate) routes: Arc<Routes>,
    /// Whether the connection is up; shared with the senders.
    pub(crate) connected: Arc<AtomicBool>,
    /// Becomes true with the first connection, and stays true.
    pub(crate) first_connected: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if !self.routes.allows_udp() {
            return;
        }
        let Ok(candidate) = event.candidate.to_json() else { return };
        let json = serde_json::json!({
            "candidate": candidate.candidate,
            "sdpMid": "0",
            "sdpMLineIndex": 0,
        });
        self.events.emit(PeerEvent::LocalCandidate { candidate_init_json: json.to_string() });
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::New => PeerState::New,
            RTCPeerConnectionState::Connecting => PeerState::Connecting,
            RTCPeerConnectionState::Connected => PeerState::Connected,
            RTCPeerConnectionState::Disconnected => PeerState::Disconnected,
            RTCPeerConnectionState::Failed => PeerState::Failed,
            // Emitted by `close`, after everything else.
            _ => return,
        };
        self.routes.on_connection_state(state == PeerState::Connected);
        match state {
            PeerState::Connected => {
                self.connected.store(true, Ordering::Relaxed);
                self.first_connected.send_replace(true);
            }
            PeerState::Failed => self.connected.store(false, Ordering::Relaxed),
            // A disconnected peer may recover, and then delivers what was sent meanwhile.
            _ => {}
        }
        self.events.emit(PeerEvent::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        if let Some(data) = self.data.upgrade() {
            data.attach(channel, None);
        }
    }
}
