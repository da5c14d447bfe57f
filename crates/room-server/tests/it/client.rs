//! A LiveKit client, as far as the tests need one: signalling and two peer connections on `str0m`.

mod worker;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Once;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use protocol::conventions::{LOSSY_CHANNEL, RELIABLE_CHANNEL};
use protocol::messages::{
    AddTrackRequest, DataPacket, JoinResponse, ParticipantInfo, ProtoMessage, Request, RequestResponse, Response,
    SessionDescription, SignalRequest, SignalResponse, TrackInfo, TrackSource, TrackType, UserPacket, data_packet,
    participant_info,
};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid, Pt, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Variable with the address of a client that is not on this machine's loopback.
pub const LOCAL_IP: &str = "ROOM_SERVER_TEST_IP";
const PATIENCE: Duration = Duration::from_secs(20);
/// Part of the query of a client that takes no RTX, and asks for lost packets of all kinds.
pub const WITHOUT_RTX: &str = "&without_rtx=1";
const PACKET_INTERVAL: Duration = Duration::from_millis(20);
/// How frames lie, in quarter turns.
pub const ORIENTATION: u8 = 3;
/// What a narrow link holds back before it throws away.
const LINK_QUEUE: Duration = Duration::from_millis(250);

/// What is sent of a track in every interval.
#[derive(Debug, Clone, Copy)]
struct Burst {
    layer: Option<&'static str>,
    packets: u32,
    payload: usize,
}

const PLAIN: &[Burst] = &[Burst { layer: None, packets: 1, payload: 200 }];
/// 1.4 Mbit/s.
const LARGE: &[Burst] = &[Burst { layer: None, packets: 3, payload: 1100 }];
/// 0.08, 0.27 and 1.4 Mbit/s.
const LAYERS: &[Burst] = &[
    Burst { layer: Some("q"), packets: 1, payload: 150 },
    Burst { layer: Some("h"), packets: 1, payload: 600 },
    Burst { layer: Some("f"), packets: 3, payload: 1100 },
];

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Plain, or with TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens the WebSocket; with TLS if there is a connector.
async fn open(server: &str, path: &str, connector: Option<TlsConnector>) -> Result<Socket, tungstenite::Error> {
    let (_, authority) = server.split_once("://").unwrap();
    let tcp = TcpStream::connect(authority).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match connector {
        Some(connector) => {
            let (name, _) = authority.rsplit_once(':').unwrap();
            Box::new(connector.connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await?)
        }
        None => Box::new(tcp),
    };
    client_async(format!("{server}{path}"), stream).await.map(|(socket, _)| socket)
}

#[derive(Debug, Clone)]
pub enum ClientEvent {
    Signal(Response),
    /// A media packet of the track with this sid.
    Packet {
        track_sid: String,
        sequence: u64,
        counter: u32,
        size: usize,
        /// Quarter turns, as the header extension has them.
        orientation: Option<u8>,
    },
    Data(DataPacket),
    KeyframeRequested,
    SignalClosed,
}

enum Order {
    Send(Box<Request>),
    Raw(Vec<u8>),
    Publish { cid: String, kind: MediaKind, bursts: &'static [Burst] },
    Unpublish { cid: String },
    Data { reliable: bool, packet: Box<DataPacket> },
    LoseEvery(u32),
    LinkRate(Option<u64>),
    DropSignal,
    Resume(Box<Socket>),
}

pub struct Client {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<ClientEvent>,
    history: Vec<ClientEvent>,
    url: String,
    token: String,
}

impl Client {
    pub async fn connect(url: &str, token: &str, query: &str) -> Result<Self, tungstenite::Error> {
        Self::connect_by(url, token, query, None).await
    }

    /// The same, with what TLS trusts.
    pub async fn connect_by(
        url: &str,
        token: &str,
        query: &str,
        connector: Option<TlsConnector>,
    ) -> Result<Self, tungstenite::Error> {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
        let socket = open(url, &format!("/rtc?access_token={token}{query}"), connector).await?;
        let (orders, order_queue) = mpsc::unbounded_channel();
        let (event_queue, events) = mpsc::unbounded_channel();
        let worker = Worker {
            publisher: Peer::new(true).await,
            subscriber: Peer::new(!query.contains(WITHOUT_RTX)).await,
            socket: Some(socket),
            orders: order_queue,
            events: event_queue,
            sending: HashMap::new(),
            next_packet: Instant::now(),
        };
        tokio::spawn(worker.run());
        Ok(Self { orders, events, history: Vec::new(), url: url.to_owned(), token: token.to_owned() })
    }

    /// The server's answer to a request, given when it is refused.
    pub async fn refusal(&mut self) -> RequestResponse {
        self.wait_for("refusal", |event| match event {
            ClientEvent::Signal(Response::RequestResponse(response)) => Some(response.clone()),
            _ => None,
        })
        .await
    }

    /// Looks through everything that happened since the last [`Client::forget`], then waits for more.
    pub async fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(&ClientEvent) -> Option<T>) -> T {
        if let Some(found) = self.history.iter().find_map(&mut pick) {
            return found;
        }
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("client ended");
                let found = pick(&event);
                self.history.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
    }

    /// True when nothing like this happens for a while.
    pub async fn never(&mut self, time: Duration, mut pick: impl FnMut(&ClientEvent) -> bool) -> bool {
        let end = tokio::time::Instant::now() + time;
        loop {
            if self.history.iter().any(&mut pick) {
                return false;
            }
            match tokio::time::timeout_at(end, self.events.recv()).await {
                Ok(Some(event)) => self.history.push(event),
                Ok(None) | Err(_) => return true,
            }
        }
    }

    pub fn forget(&mut self) {
        while self.events.try_recv().is_ok() {}
        self.history.clear();
    }

    pub fn send(&self, request: Request) {
        self.orders.send(Order::Send(Box::new(request))).unwrap();
    }

    pub fn send_raw(&self, bytes: &[u8]) {
        self.orders.send(Order::Raw(bytes.to_vec())).unwrap();
    }

    pub async fn joined(&mut self) -> JoinResponse {
        self.wait_for("join", |event| match event {
            ClientEvent::Signal(Response::Join(join)) => Some(join.clone()),
            _ => None,
        })
        .await
    }

    pub async fn until_active(&mut self) {
        let me = self.joined().await.participant.unwrap().sid;
        self.participant("itself active", |p| p.sid == me && p.state == participant_info::State::Active as i32).await;
    }

    /// The next update about a participant for which this holds.
    pub async fn participant(&mut self, what: &str, fits: impl Fn(&ParticipantInfo) -> bool) -> ParticipantInfo {
        self.wait_for(what, |event| match event {
            ClientEvent::Signal(Response::Update(update)) => update.participants.iter().find(|p| fits(p)).cloned(),
            _ => None,
        })
        .await
    }

    pub async fn leave_message(&mut self) -> protocol::messages::LeaveRequest {
        self.wait_for("leave", |event| match event {
            ClientEvent::Signal(Response::Leave(leave)) => Some(leave.clone()),
            _ => None,
        })
        .await
    }

    pub fn announce(&self, cid: &str, stream: &str, kind: MediaKind) {
        let (r#type, source) = match kind {
            MediaKind::Audio => (TrackType::Audio, TrackSource::Microphone),
            MediaKind::Video => (TrackType::Video, TrackSource::Camera),
        };
        self.send(Request::AddTrack(AddTrackRequest {
            cid: cid.to_owned(),
            name: stream.to_owned(),
            stream: stream.to_owned(),
            r#type: r#type as i32,
            source: source as i32,
            ..AddTrackRequest::default()
        }));
    }

    /// Announces and offers a track, and begins to send packets on it. Returns its sid.
    pub async fn publish(&mut self, cid: &str, stream: &str, kind: MediaKind) -> String {
        self.publish_bursts(cid, stream, kind, PLAIN).await
    }

    /// Publishes a frame in three layers.
    pub async fn publish_layers(&mut self, cid: &str, stream: &str) -> String {
        self.publish_bursts(cid, stream, MediaKind::Video, LAYERS).await
    }

    /// Publishes a frame of 1.4 Mbit/s.
    pub async fn publish_large(&mut self, cid: &str, stream: &str) -> String {
        self.publish_bursts(cid, stream, MediaKind::Video, LARGE).await
    }

    async fn publish_bursts(&mut self, cid: &str, stream: &str, kind: MediaKind, bursts: &'static [Burst]) -> String {
        self.announce(cid, stream, kind);
        let sid = self
            .wait_for("track_published", |event| match event {
                ClientEvent::Signal(Response::TrackPublished(published)) if published.cid == cid => {
                    published.track.as_ref().map(|track| track.sid.clone())
                }
                _ => None,
            })
            .await;
        self.orders.send(Order::Publish { cid: cid.to_owned(), kind, bursts }).unwrap();
        self.participant("own track", |p| p.tracks.iter().any(|track| track.sid == sid)).await;
        sid
    }

    /// Offers a line with this name (`a=msid`), and begins to send packets on it.
    pub fn offer_line(&self, name: &str, kind: MediaKind) {
        self.orders.send(Order::Publish { cid: name.to_owned(), kind, bursts: PLAIN }).unwrap();
    }

    /// Offers a line with this name that can carry nothing but VP8, and no media.
    pub fn offer_vp8(&self, name: &str) {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:0123456789abcdef01234567\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=rtcp-mux\r\n\
             a=rtpmap:96 VP8/90000\r\na=msid:stream {name}\r\na=ssrc:1234 cname:c\r\n",
            ["AB"; 32].join(":")
        );
        let offer = SessionDescription { r#type: "offer".to_owned(), sdp, id: 1, ..SessionDescription::default() };
        self.send(Request::Offer(offer));
    }

    /// Announces a track, and gives its sid.
    pub async fn announced(&mut self, request: AddTrackRequest) -> String {
        let cid = request.cid.clone();
        self.send(Request::AddTrack(request));
        self.wait_for("track_published", |event| match event {
            ClientEvent::Signal(Response::TrackPublished(published)) if published.cid == cid => {
                published.track.as_ref().map(|track| track.sid.clone())
            }
            _ => None,
        })
        .await
    }

    /// The track with this sid as the others know it, once it is as wanted.
    pub async fn track(&mut self, sid: &str, fits: impl Fn(&TrackInfo) -> bool) -> TrackInfo {
        let found = |p: &ParticipantInfo| p.tracks.iter().find(|track| track.sid == sid && fits(track)).cloned();
        self.wait_for("track", |event| match event {
            ClientEvent::Signal(Response::Update(update)) => update.participants.iter().find_map(found),
            _ => None,
        })
        .await
    }

    pub fn unpublish(&self, cid: &str) {
        self.orders.send(Order::Unpublish { cid: cid.to_owned() }).unwrap();
    }

    pub async fn packet_of(&mut self, sid: &str) -> (u64, u32) {
        self.wait_for("a packet", |event| match event {
            ClientEvent::Packet { track_sid, sequence, counter, .. } if track_sid == sid => Some((*sequence, *counter)),
            _ => None,
        })
        .await
    }

    pub fn send_data(&self, reliable: bool, to: &[&str], payload: &[u8]) {
        let user = UserPacket { payload: payload.to_vec(), topic: Some("t".to_owned()), ..UserPacket::default() };
        self.send_packet(
            reliable,
            DataPacket {
                destination_identities: to.iter().map(|identity| (*identity).to_owned()).collect(),
                participant_identity: "someone else".to_owned(),
                value: Some(data_packet::Value::User(user)),
                ..DataPacket::default()
            },
        );
    }

    pub fn send_packet(&self, reliable: bool, packet: DataPacket) {
        self.orders.send(Order::Data { reliable, packet: Box::new(packet) }).unwrap();
    }

    /// Waits for a data message with this payload and returns who sent it.
    pub async fn data(&mut self, wanted: &[u8]) -> String {
        self.wait_for("data", |event| match event {
            ClientEvent::Data(packet) if payload_of(packet) == wanted => Some(packet.participant_identity.clone()),
            _ => None,
        })
        .await
    }

    /// From now on every n-th media packet gets lost, on both connections.
    pub fn lose_every(&self, n: u32) {
        self.orders.send(Order::LoseEvery(n)).unwrap();
    }

    /// From now on no more bits per second arrive on the subscriber connection.
    pub fn link_rate(&self, bps: Option<u64>) {
        self.orders.send(Order::LinkRate(bps)).unwrap();
    }

    /// Closes the TCP connection under the signalling without a word.
    pub fn drop_signal(&self) {
        self.orders.send(Order::DropSignal).unwrap();
    }

    pub async fn resume(&self, sid: &str) {
        let path = format!("/rtc?access_token={}&reconnect=1&sid={sid}", self.token);
        let socket = open(&self.url, &path, None).await.unwrap();
        self.orders.send(Order::Resume(Box::new(socket))).unwrap();
    }
}

pub fn payload_of(packet: &DataPacket) -> &[u8] {
    match &packet.value {
        Some(data_packet::Value::User(user)) => &user.payload,
        _ => &[],
    }
}

struct Peer {
    rtc: Rtc,
    udp: UdpSocket,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    channels: HashMap<String, ChannelId>,
    /// Whether lost packets are asked for also where there is no RTX.
    asks_for_all: bool,
    /// Track part of the offered `a=msid`, by line.
    tracks: HashMap<Mid, String>,
    deadline: Instant,
    /// 0 loses nothing.
    lose_every: u32,
    media_packets: u32,
    /// Bits per second of the link to this peer.
    link_bps: Option<u64>,
    link_free_at: Instant,
    on_link: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
}

impl Peer {
    async fn new(takes_rtx: bool) -> Self {
        let ip = std::env::var(LOCAL_IP).map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ip| ip.parse().unwrap());
        let udp = UdpSocket::bind((ip, 0)).await.unwrap();
        let local = udp.local_addr().unwrap();
        let mut config = Rtc::builder().set_rtp_mode(true);
        if !takes_rtx {
            config = config.clear_codecs().enable_opus(true, false);
            let codecs = config.codec_config();
            codecs.add_config(96.into(), None, Codec::Vp8, Frequency::NINETY_KHZ, None, FormatParams::default());
            codecs.iter_mut().for_each(|params| params.set_fb_nack(true));
        }
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        Self {
            rtc,
            udp,
            local,
            pending: None,
            channels: HashMap::new(),
            asks_for_all: !takes_rtx,
            tracks: HashMap::new(),
            deadline: Instant::now(),
            lose_every: 0,
            media_packets: 0,
            link_bps: None,
            link_free_at: Instant::now(),
            on_link: VecDeque::new(),
        }
    }

    /// Whether this datagram is a media packet that gets lost. RTCP has types 192 to 223 (RFC 5761, section 4).
    fn loses(&mut self, datagram: &[u8]) -> bool {
        let is_media = datagram.len() > 100 && (128..192).contains(&datagram[0]) && !(192..224).contains(&datagram[1]);
        self.media_packets += u32::from(is_media);
        is_media && self.lose_every > 0 && self.media_packets.is_multiple_of(self.lose_every)
    }

    async fn drive(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..2 {
            loop {
                match self.rtc.poll_output().unwrap() {
                    Output::Timeout(deadline) => {
                        self.deadline = deadline;
                        break;
                    }
                    Output::Transmit(datagram) => {
                        if !self.loses(&datagram.contents) {
                            let _ = self.udp.send_to(&datagram.contents, datagram.destination).await;
                        }
                    }
                    Output::Event(event) => events.push(event),
                }
            }
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        }
        events
    }

    /// Puts a datagram on the link to this peer.
    fn arrive(&mut self, source: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let begin = self.link_free_at.max(now);
        if begin - now > LINK_QUEUE {
            return;
        }
        let bits = (bytes.len() as u64 + 28) * 8;
        self.link_free_at = begin + self.link_bps.map_or(Duration::ZERO, |bps| Duration::from_secs(bits) / bps as u32);
        self.on_link.push_back((self.link_free_at, source, bytes.to_vec()));
    }

    /// Takes what has come off the link.
    fn take_arrived(&mut self) {
        while self.on_link.front().is_some_and(|(at, _, _)| *at <= Instant::now()) {
            if let Some((_, source, bytes)) = self.on_link.pop_front() {
                self.receive(source, &bytes);
            }
        }
    }

    fn next_arrival(&self) -> Instant {
        self.on_link.front().map_or_else(|| Instant::now() + PATIENCE, |(at, _, _)| *at)
    }

    fn receive(&mut self, source: SocketAddr, bytes: &[u8]) {
        if self.loses(bytes) {
            return;
        }
        if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, bytes) {
            self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
        }
    }
}

struct Sending {
    mid: Mid,
    kind: MediaKind,
    bursts: &'static [Burst],
    /// Packets so far, by burst.
    counters: Vec<u32>,
    turns: u32,
}

struct Worker {
    publisher: Peer,
    subscriber: Peer,
    socket: Option<Socket>,
    orders: mpsc::UnboundedReceiver<Order>,
    events: mpsc::UnboundedSender<ClientEvent>,
    sending: HashMap<String, Sending>,
    next_packet: Instant,
}
