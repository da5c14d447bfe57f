//! A network between engines and a room server that can be cut, silenced, moved and made worse.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use room_server::{RoomServer, ServerConfig, TcpPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::harness::{APP_ID, APP_SIGN, runtime};
use crate::link::{Link, Quality};

const SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where clients believe the server's media to be: same port, other loopback address.
const MEDIA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[derive(Default)]
struct State {
    /// No signalling connection comes through.
    closed: AtomicBool,
    /// Open signalling connections stay open, but nothing moves.
    frozen: AtomicBool,
    /// Media packets vanish.
    muted: AtomicBool,
    /// No media comes through over TCP.
    muted_tcp: AtomicBool,
    /// How long the first thing on such a connection takes, in milliseconds.
    tcp_delay: AtomicU64,
    /// Counts moves: packets of each leave from a new address.
    address: AtomicU64,
    /// Signalling connections so far.
    connections: AtomicU64,
    /// To the server, and from it.
    up: Link,
    down: Link,
}

/// A packet on its way: when it arrives, where, and from which socket.
type OnItsWay = (Instant, Vec<u8>, SocketAddr, Arc<UdpSocket>);

/// A room server behind a network of its own.
pub struct Relay {
    state: Arc<State>,
    cut: watch::Sender<u64>,
    server: Option<RoomServer>,
    signalling: SocketAddr,
}

impl Relay {
    pub fn start() -> Self {
        runtime().block_on(Self::begin(false))
    }

    /// With a server that takes media over TCP as well.
    pub fn with_tcp() -> Self {
        runtime().block_on(Self::begin(true))
    }

    async fn begin(has_tcp: bool) -> Self {
        let (media, tcp, server) = loop {
            let media = UdpSocket::bind((MEDIA, 0)).await.unwrap();
            let udp_port = Some(media.local_addr().unwrap().port());
            let tcp = TcpListener::bind((MEDIA, 0)).await.unwrap();
            let tcp_port = if has_tcp { TcpPort::Fixed(tcp.local_addr().unwrap().port()) } else { TcpPort::None };
            let node_ip = Some(IpAddr::V4(MEDIA));
            let config = ServerConfig { port: 0, udp_port, tcp_port, node_ip, ..ServerConfig::default() };
            // The port may be taken on the server's address.
            if let Ok(server) = RoomServer::start(config).await {
                break (media, tcp, server);
            }
        };
        server.add_key(&APP_ID.to_string(), APP_SIGN);
        let listener = TcpListener::bind((SERVER, 0)).await.unwrap();
        let signalling = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(signal(listener, server.local_addr(), state.clone(), cuts));
        if let Some(server) = server.tcp_media_addr() {
            tokio::spawn(media_connections(tcp, server, state.clone()));
        }
        tokio::spawn(packets(Arc::new(media), state.clone()));
        Self { state, cut, server: Some(server), signalling }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.signalling)
    }

    /// Ends the signalling connections that are open now.
    pub fn cut_signalling(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Whether new signalling connections get through.
    pub fn let_signalling_in(&self, open: bool) {
        self.state.closed.store(!open, SeqCst);
    }

    /// Holds everything that is on its way, without ending a connection.
    pub fn freeze_signalling(&self, frozen: bool) {
        self.state.frozen.store(frozen, SeqCst);
    }

    /// Whether media packets get through.
    pub fn let_media_through(&self, open: bool) {
        self.state.muted.store(!open, SeqCst);
    }

    /// Whether media over TCP get through; what is open is cut.
    pub fn let_tcp_media_through(&self, open: bool) {
        self.state.muted_tcp.store(!open, SeqCst);
    }

    /// How long it takes from now on until the first thing on a media connection is there.
    pub fn delay_tcp_media(&self, delay: std::time::Duration) {
        self.state.tcp_delay.store(delay.as_millis() as u64, SeqCst);
    }

    /// What the path to the server is like from now on, for all clients together.
    pub fn set_uplink(&self, quality: Quality) {
        self.state.up.set(quality);
    }

    /// What the path from the server is like from now on, for all clients together.
    pub fn set_downlink(&self, quality: Quality) {
        self.state.down.set(quality);
    }

    /// Shares of the packets lost on the path to the server and on the path from it, since they are what they are.
    pub fn lost_shares(&self) -> (f64, f64) {
        (self.state.up.lost_share(), self.state.down.lost_share())
    }

    /// From now on the server sees the clients' media come from other addresses, as after a router's restart.
    pub fn move_media(&self) {
        self.state.address.fetch_add(1, SeqCst);
    }

    /// Signalling connections that came so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            runtime().block_on(server.shutdown());
        }
    }
}

async fn signal(listener: TcpListener, server: SocketAddr, state: Arc<State>, cuts: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.closed.load(SeqCst) {
            continue;
        }
        state.connections.fetch_add(1, SeqCst);
        let Ok(upstream) = TcpStream::connect(server).await else { continue };
        let (client_in, client_out) = client.into_split();
        let (server_in, server_out) = upstream.into_split();
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        let state = state.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = pass(client_in, server_out, &state) => {}
                () = pass(server_in, client_out, &state) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn media_connections(listener: TcpListener, server: SocketAddr, state: Arc<State>) {
    while let Ok((mut client, _)) = listener.accept().await {
        if state.muted_tcp.load(SeqCst) {
            continue;
        }
        let state = state.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(state.tcp_delay.load(SeqCst))).await;
            let Ok(mut upstream) = TcpStream::connect(server).await else { return };
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut upstream) => {}
                () = is_set(&state.muted_tcp) => {}
            }
        });
    }
}

async fn is_set(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        while state.frozen.load(SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn packets(media: Arc<UdpSocket>, state: Arc<State>) {
    let server = SocketAddr::from((SERVER, media.local_addr().unwrap().port()));
    let mut ways: HashMap<(SocketAddr, u64), Arc<UdpSocket>> = HashMap::new();
    let (to_server, arrivals) = unbounded_channel();
    let (to_clients, returns) = unbounded_channel();
    tokio::spawn(deliver(arrivals));
    tokio::spawn(deliver(returns));
    let mut buffer = vec![0; 2048];
    loop {
        let Ok((length, client)) = media.recv_from(&mut buffer).await else { continue };
        if state.muted.load(SeqCst) {
            continue;
        }
        let at = state.address.load(SeqCst);
        let way = match ways.get(&(client, at)) {
            Some(way) => way.clone(),
            None => {
                let way = Arc::new(UdpSocket::bind((SERVER, 0)).await.unwrap());
                ways.insert((client, at), way.clone());
                let back = Back { media: media.clone(), way: way.clone(), client, at, state: state.clone() };
                tokio::spawn(back.run(to_clients.clone()));
                way
            }
        };
        if let Some(arrival) = state.up.arrival(Instant::now(), length) {
            let _ = to_server.send((arrival, buffer[..length].to_vec(), server, way));
        }
    }
}

/// The path from the server to one client.
struct Back {
    media: Arc<UdpSocket>,
    way: Arc<UdpSocket>,
    client: SocketAddr,
    at: u64,
    state: Arc<State>,
}

impl Back {
    async fn run(self, to_clients: UnboundedSender<OnItsWay>) {
        let mut buffer = vec![0; 2048];
        loop {
            let Ok((length, _)) = self.way.recv_from(&mut buffer).await else { continue };
            // What goes to an address that was given up arrives nowhere.
            if self.state.muted.load(SeqCst) || self.state.address.load(SeqCst) != self.at {
                continue;
            }
            if let Some(arrival) = self.state.down.arrival(Instant::now(), length) {
                let _ = to_clients.send((arrival, buffer[..length].to_vec(), self.client, self.media.clone()));
            }
        }
    }
}

async fn deliver(mut on_their_way: UnboundedReceiver<OnItsWay>) {
    while let Some((arrival, packet, to, from)) = on_their_way.recv().await {
        if arrival > Instant::now() {
            sleep_until(arrival).await;
        }
        let _ = from.send_to(&packet, to).await;
    }
}
