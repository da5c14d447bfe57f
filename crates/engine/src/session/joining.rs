//! From nothing to a login that the room server accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use media::video::VideoCodec;
use media::video::codec::DECODABLE;
use protocol::messages::{IceServer, JoinResponse};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::watch;
use tokio::time::Instant;
use transport::{Peer, PeerConfig, Role, TransportError};

use super::flow::{Flow, SentTracks};
use super::liveness::Liveness;
use super::media_link::MediaLinks;
use super::negotiation::Negotiation;
use super::pinging::Pings;
use super::publishing::LocalTracks;
use super::reliable_data::ReliableData;
use super::run::Session;
use super::{EndReason, Joined, LostReason, SessionCommand, SessionEvent, SessionParams, SessionSink};
use crate::roster::session_age;
use crate::server_profile::ServerProfile;
use crate::signalling::{Connection, connect};

/// Used when the server names no interval.
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(5);
/// Silence of the server for this long means that the connection is lost.
const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(15);

/// One session from its connection to its end.
pub(super) async fn run(
    params: SessionParams,
    mut commands: UnboundedReceiver<SessionCommand>,
    sink: &impl SessionSink,
    presence: watch::Sender<()>,
) -> EndReason {
    let connecting = async {
        let server = params.address().await?;
        connect(&params.dialer, &server, &params.token, &params.query).await
    };
    tokio::pin!(connecting);
    let mut held = Vec::new();
    let joined = loop {
        tokio::select! {
            joined = &mut connecting => break joined,
            command = commands.recv() => match command {
                None | Some(SessionCommand::Leave) => return EndReason::Done,
                Some(command) => held.push(command),
            },
        }
    };
    let (connection, join) = match joined {
        Ok(joined) => joined,
        Err(error) => return EndReason::Connect(error),
    };
    let mut session = match Session::new(params.clone(), connection, &join, sink).await {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(%error, "no peer connection");
            return EndReason::Lost(LostReason("no peer connection"));
        }
    };
    sink.emit(SessionEvent::Joined(Box::new(Joined {
        profile: session.profile,
        identity: join.participant.as_ref().map(|participant| participant.identity.clone()).unwrap_or_default(),
        session_age: join.participant.as_ref().map(session_age).unwrap_or_default(),
        room: join.room.unwrap_or_default(),
        participants: join.other_participants,
        publisher: session.publisher.clone(),
        subscriber: session.subscriber.clone(),
    })));
    let reason = session.run(held, commands).await;
    session.end(presence).await;
    reason
}

/// As the transport wants them.
pub(super) fn ice_servers(servers: &[IceServer]) -> Vec<transport::IceServer> {
    let convert = |server: &IceServer| transport::IceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.clone(),
    };
    servers.iter().map(convert).collect()
}

impl<'a, S: SessionSink> Session<'a, S> {
    async fn new(
        params: SessionParams,
        connection: Connection,
        join: &JoinResponse,
        sink: &'a S,
    ) -> Result<Self, TransportError> {
        let ice_servers = ice_servers(&join.ice_servers);
        let seconds = |value: i32, default| {
            u64::try_from(value).ok().filter(|value| *value > 0).map_or(default, Duration::from_secs)
        };
        let (publisher_sender, publisher_events) = mpsc::unbounded_channel();
        let (subscriber_sender, subscriber_events) = mpsc::unbounded_channel();
        let server_address = connection.server_ip();
        let in_transport = |codec: &VideoCodec| match codec {
            VideoCodec::H264 => transport::VideoCodec::H264,
            VideoCodec::Vp8 => transport::VideoCodec::Vp8,
        };
        let video_codecs: Vec<_> = DECODABLE.iter().map(in_transport).collect();
        let (ways, dialer) = (params.ways.clone(), params.dialer.clone());
        let config = |role| PeerConfig {
            role,
            video_codecs: video_codecs.clone(),
            ice_servers: ice_servers.clone(),
            server_address,
            policy: ways.policy,
            memory: ways.memory.clone(),
            dialer: Some(dialer.clone()),
        };
        let ping_interval = seconds(join.ping_interval, DEFAULT_PING_INTERVAL);
        let ping_timeout = seconds(join.ping_timeout, DEFAULT_PING_TIMEOUT);
        let mut sent_tracks = SentTracks::default();
        sent_tracks.update(&join.other_participants);
        Ok(Self {
            sent_tracks,
            coming: Flow::default(),
            heard: Flow::default(),
            packets_sent: 0,
            params,
            sid: join.participant.as_ref().map(|participant| participant.sid.clone()).unwrap_or_default(),
            connection: Some(connection),
            sink,
            publisher: Peer::new(config(Role::Publisher), publisher_sender).await?,
            subscriber: Peer::new(config(Role::Subscriber), subscriber_sender).await?,
            publisher_events,
            subscriber_events,
            links: MediaLinks::default(),
            negotiation: Negotiation::default(),
            subscribed: None,
            tracks: LocalTracks::default(),
            unanswered: BTreeMap::new(),
            published: BTreeMap::new(),
            wanted: BTreeSet::new(),
            reliable: ReliableData::default(),
            liveness: Liveness::new(ping_interval, ping_timeout, Instant::now(), SystemTime::now()),
            pings: Pings::default(),
            awaits_all_participants: false,
            outage: None,
            server_ip: server_address,
            route: server_address.and_then(transport::local_address_towards),
            profile: ServerProfile::of(join.server_info.as_ref()),
            token_to_tell: false,
        })
    }
}
