//! A client: signalling, one peer connection, and counting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use protocol::limits::SIGNAL_READ_BUFFER;
use protocol::messages::{
    AddTrackRequest, ProtoMessage, Request, Response, SessionDescription, SignalRequest, SignalResponse, TrackSource,
    TrackType,
};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::TcpStream;
use tokio::time::sleep_until;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::stamped_socket::{Arrival, StampedSocket, now_us};

/// Bytes of payload of each packet. The last eight are the time of sending.
pub const PAYLOAD: usize = 1200;
const CID: &str = "video";

#[derive(Clone, Copy)]
pub enum Role {
    Publisher { bitrate: u64 },
    Subscriber,
}

/// What all clients count.
#[derive(Default)]
pub struct Counters {
    active: AtomicUsize,
    receiving: AtomicUsize,
    is_measuring: AtomicBool,
    packets: AtomicU64,
    lost: AtomicU64,
    latencies_us: Mutex<Vec<u32>>,
}

pub struct Measured {
    pub packets: u64,
    pub lost: u64,
    pub latencies_us: Vec<u32>,
}

impl Counters {
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub fn receiving(&self) -> usize {
        self.receiving.load(Ordering::Relaxed)
    }

    pub fn start(&self) {
        self.is_measuring.store(true, Ordering::Relaxed);
    }

    pub fn stop(&self) -> Measured {
        self.is_measuring.store(false, Ordering::Relaxed);
        Measured {
            packets: self.packets.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            latencies_us: std::mem::take(&mut self.latencies_us.lock().unwrap()),
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Client {
    role: Role,
    counters: Arc<Counters>,
    socket: Socket,
    rtc: Rtc,
    udp: StampedSocket,
    /// When what was received last arrived.
    arrived_us: u64,
    pending: Option<SdpPendingOffer>,
    deadline: Instant,
    highest: HashMap<Ssrc, u64>,
    sending: Option<Mid>,
    sent: u64,
    next_packet: Instant,
}

pub async fn run(url: String, role: Role, counters: Arc<Counters>) {
    // The library clears its buffer at each look: with its usual 128 KiB that was a fifth of the load's own work.
    let config = WebSocketConfig::default().read_buffer_size(SIGNAL_READ_BUFFER);
    let (socket, _) = connect_async_with_config(url, Some(config), true).await.expect("the server takes the client");
    let udp = StampedSocket::bind("127.0.0.1:0").await.unwrap();
    let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
    rtc.add_local_candidate(Candidate::host(udp.local_addr().unwrap(), "udp").unwrap());
    let mut client = Client {
        role,
        counters,
        socket,
        rtc,
        udp,
        arrived_us: 0,
        pending: None,
        deadline: Instant::now(),
        highest: HashMap::new(),
        sending: None,
        sent: 0,
        next_packet: Instant::now() + Duration::from_secs(3600),
    };
    if matches!(role, Role::Publisher { .. }) {
        client
            .request(Request::AddTrack(AddTrackRequest {
                cid: CID.to_owned(),
                name: CID.to_owned(),
                r#type: TrackType::Video as i32,
                source: TrackSource::Camera as i32,
                ..AddTrackRequest::default()
            }))
            .await;
    }
    let mut buffer = vec![0; 2048];
    loop {
        client.drive().await;
        let deadline = client.deadline.min(client.next_packet);
        tokio::select! {
            message = client.socket.next() => {
                let Some(Ok(message)) = message else { return };
                client.signal(message).await;
            }
            Ok(Arrival { length, source, at_us }) = client.udp.recv_from(&mut buffer) => {
                client.arrived_us = at_us;
                client.receive(source, &buffer[..length]);
            }
            () = sleep_until(deadline.into()) => client.send_packets(),
        }
    }
}

impl Client {
    async fn request(&mut self, request: Request) {
        let bytes = SignalRequest { message: Some(request) }.encode_to_vec();
        let _ = self.socket.send(Message::Binary(bytes.into())).await;
    }

    fn receive(&mut self, source: std::net::SocketAddr, bytes: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, source, self.udp.local_addr().unwrap(), bytes) {
            self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
        }
    }

    async fn drive(&mut self) {
        for _ in 0..2 {
            loop {
                match self.rtc.poll_output().unwrap() {
                    Output::Timeout(deadline) => {
                        self.deadline = deadline;
                        break;
                    }
                    Output::Transmit(datagram) => {
                        let _ = self.udp.send_to(&datagram.contents, datagram.destination).await;
                    }
                    Output::Event(Event::RtpPacket(packet)) => {
                        self.count(packet.header.ssrc, *packet.seq_no, &packet.payload);
                    }
                    Output::Event(Event::Connected) if matches!(self.role, Role::Subscriber) => {
                        self.counters.active.fetch_add(1, Ordering::Relaxed);
                    }
                    Output::Event(_) => {}
                }
            }
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        }
    }

    fn count(&mut self, ssrc: Ssrc, sequence: u64, payload: &[u8]) {
        if payload.len() < PAYLOAD {
            return;
        }
        if self.highest.is_empty() {
            self.counters.receiving.fetch_add(1, Ordering::Relaxed);
        }
        let before = self.highest.entry(ssrc).or_insert(sequence);
        let missing = sequence.saturating_sub(*before + 1);
        *before = sequence.max(*before);
        if !self.counters.is_measuring.load(Ordering::Relaxed) {
            return;
        }
        self.counters.packets.fetch_add(1, Ordering::Relaxed);
        self.counters.lost.fetch_add(missing, Ordering::Relaxed);
        let sent = u64::from_be_bytes(*payload.last_chunk().unwrap());
        let latency = self.arrived_us.saturating_sub(sent);
        self.counters.latencies_us.lock().unwrap().push(u32::try_from(latency).unwrap_or(u32::MAX));
    }

    fn send_packets(&mut self) {
        let (Role::Publisher { bitrate }, Some(mid)) = (self.role, self.sending) else { return };
        let now = Instant::now();
        while self.next_packet <= now {
            self.next_packet += Duration::from_secs_f64(PAYLOAD as f64 * 8.0 / bitrate as f64);
            let Some(pt) = self.rtc.media(mid).and_then(|media| media.remote_pts().first().copied()) else { return };
            let mut api = self.rtc.direct_api();
            let Some(stream) = api.stream_tx_by_mid(mid, None) else { return };
            self.sent += 1;
            // A VP8 descriptor; nothing in the rest is looked at.
            let mut payload = vec![0x90; PAYLOAD];
            payload[PAYLOAD - 8..].copy_from_slice(&now_us().to_be_bytes());
            let time = (self.sent * 90_000 * PAYLOAD as u64 * 8 / bitrate) as u32;
            stream.write_rtp(RtpWrite::new(pt, self.sent.into(), time, now, payload).marker(true).nackable(true));
        }
    }

    async fn signal(&mut self, message: Message) {
        let Message::Binary(bytes) = message else { return };
        let Some(message) = SignalResponse::decode(bytes).unwrap().message else { return };
        match message {
            Response::Offer(offer) if matches!(self.role, Role::Subscriber) => {
                let sdp = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
                let answer = self.rtc.sdp_api().accept_offer(sdp).unwrap().to_sdp_string();
                let id = offer.id;
                self.request(Request::Answer(description("answer", answer, id))).await;
            }
            Response::TrackPublished(_) => {
                let mut api = self.rtc.sdp_api();
                let names = (Some("stream".to_owned()), Some(CID.to_owned()));
                let mid = api.add_media(MediaKind::Video, Direction::SendOnly, names.0, names.1, None);
                let (offer, pending) = api.apply().unwrap();
                self.pending = Some(pending);
                self.sending = Some(mid);
                self.request(Request::Offer(description("offer", offer.to_sdp_string(), 1))).await;
            }
            Response::Answer(answer) => {
                let pending = self.pending.take().unwrap();
                let answer = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
                self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
                self.next_packet = Instant::now() + Duration::from_millis(500);
            }
            Response::Trickle(trickle) => {
                let candidate: serde_json::Value = serde_json::from_str(&trickle.candidate_init).unwrap_or_default();
                let candidate = candidate["candidate"].as_str().and_then(|text| Candidate::from_sdp_string(text).ok());
                if let Some(candidate) = candidate.filter(|candidate| candidate.addr().is_ipv4()) {
                    self.rtc.add_remote_candidate(candidate);
                }
            }
            _ => {}
        }
    }
}

fn description(r#type: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: r#type.to_owned(), sdp, id, ..SessionDescription::default() }
}
