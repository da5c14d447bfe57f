//! A relay (TURN, RFC 8656) reached by UDP, TCP or TLS: the shell around [`TurnClient`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dial::Dialer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::Ways;
use super::framing::{DATAGRAM_MAX, Framing};
use super::link::Link;
use super::send_queue::SendQueue;
use super::stream::{CHUNK, DatagramReader, DatagramWriter, set_options};
use super::tcp::{FIRST_PAUSE, LONGEST_PAUSE};
use super::turn_client::{TurnClient, TurnEvent};
use super::turn_server::TurnServer;
use super::way::WayKind;

/// Messages of the relay that wait.
const INCOMING_MAX: usize = 64;
/// How long giving an allocation back may take.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Messages to and from the relay.
struct Carrier {
    incoming: mpsc::Receiver<Bytes>,
    /// Holds one batch: what has no room stays where it can be dropped.
    outgoing: mpsc::Sender<Vec<Bytes>>,
    tasks: JoinSet<()>,
}

/// Serves one relay until it breaks or the queue is closed. `wanted`: the server's addresses that it shall reach.
pub(super) async fn run(
    server: TurnServer,
    dialer: Option<Dialer>,
    queue: Arc<SendQueue>,
    mut wanted: mpsc::UnboundedReceiver<Arc<Link>>,
    ways: Weak<Ways>,
) {
    let (mut links, mut pause) = (HashMap::new(), FIRST_PAUSE);
    loop {
        let mut was_open = false;
        let result = tokio::select! {
            carrier = open(&server, dialer.clone()) => match carrier {
                Ok(carrier) => serve(&server, carrier, &queue, &mut wanted, &mut links, &ways, &mut was_open).await,
                Err(error) => Err(error),
            },
            () = queue.closed() => return,
        };
        let (Err(why), Some(ways)) = (result, ways.upgrade()) else { return };
        while let Ok(link) = wanted.try_recv() {
            links.insert(link.way.remote, link);
        }
        links.values().for_each(|link| ways.broke(&link.way, &why));
        drop(ways);
        // Another allocation has another address, so once there was one only a restart of ICE helps.
        if was_open {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = queue.closed() => return,
        }
    }
}

async fn open(server: &TurnServer, dialer: Option<Dialer>) -> Result<Carrier, String> {
    if server.kind == WayKind::TurnUdp {
        return udp(server).await.map_err(|error| error.to_string());
    }
    let dialer = dialer.ok_or("no way to open connections")?;
    if server.kind == WayKind::TurnTls {
        let stream = dialer.tls(&server.host, server.port).await.map_err(|error| error.to_string())?;
        set_options(stream.get_ref().0);
        let (reader, writer) = tokio::io::split(stream);
        Ok(stream_carrier(reader, writer))
    } else {
        let stream = dialer.tcp(&server.host, server.port).await.map_err(|error| error.to_string())?;
        set_options(&stream);
        let (reader, writer) = stream.into_split();
        Ok(stream_carrier(reader, writer))
    }
}

async fn udp(server: &TurnServer) -> std::io::Result<Carrier> {
    let mut socket = Err(std::io::Error::other("its name leads to no address"));
    for address in tokio::net::lookup_host((server.host.as_str(), server.port)).await? {
        let any: SocketAddr =
            if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        socket = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await.map(|()| socket)
        }
        .await;
        if socket.is_ok() {
            break;
        }
    }
    let socket = Arc::new(socket?);
    let (arrivals, incoming) = mpsc::channel(INCOMING_MAX);
    let (outgoing, mut departures) = mpsc::channel::<Vec<Bytes>>(1);
    let mut tasks = JoinSet::new();
    let receiving = Arc::clone(&socket);
    tasks.spawn(async move {
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            // An error tells of an earlier packet only, that nobody was there for it.
            match receiving.recv(&mut buffer).await {
                Ok(length) if arrivals.send(Bytes::copy_from_slice(&buffer[..length])).await.is_err() => return,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    tasks.spawn(async move {
        while let Some(messages) = departures.recv().await {
            for message in messages {
                let _ = socket.send(&message).await;
            }
        }
    });
    Ok(Carrier { incoming, outgoing, tasks })
}

fn stream_carrier(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Carrier {
    let (arrivals, incoming) = mpsc::channel(INCOMING_MAX);
    let (outgoing, mut departures) = mpsc::channel::<Vec<Bytes>>(1);
    let mut tasks = JoinSet::new();
    let mut reader = DatagramReader::new(reader, Framing::Turn);
    tasks.spawn(async move {
        while let Ok(message) = reader.next().await {
            if arrivals.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut writer = DatagramWriter::new(writer, Framing::Turn);
    tasks.spawn(async move {
        while let Some(messages) = departures.recv().await {
            if writer.write(messages.iter()).await.is_err() {
                return;
            }
        }
        writer.finish().await;
    });
    Carrier { incoming, outgoing, tasks }
}

async fn serve(
    server: &TurnServer,
    mut carrier: Carrier,
    queue: &SendQueue,
    wanted: &mut mpsc::UnboundedReceiver<Arc<Link>>,
    links: &mut HashMap<SocketAddr, Arc<Link>>,
    ways: &Weak<Ways>,
    was_open: &mut bool,
) -> Result<(), String> {
    let is_stream = server.kind != WayKind::TurnUdp;
    let mut client = TurnClient::new(&server.username, &server.credential, is_stream, Instant::now())
        .map_err(|error| error.to_string())?;
    links.keys().for_each(|peer| client.want(*peer, Instant::now()));
    let mut pending: Vec<Bytes> = Vec::new();
    loop {
        pending.extend(std::iter::from_fn(|| client.transmit()));
        let next = client.next();
        tokio::select! {
            place = carrier.outgoing.reserve(), if !pending.is_empty() => match place {
                Ok(place) => place.send(std::mem::take(&mut pending)),
                Err(_) => return Err("closed by the relay".to_owned()),
            },
            taken = queue.take(CHUNK), if pending.is_empty() => match taken {
                Some(taken) => {
                    let now = Instant::now();
                    taken.iter().for_each(|outgoing| client.send(outgoing.peer, &outgoing.datagram, now));
                }
                None => break,
            },
            message = carrier.incoming.recv() => match message {
                Some(message) => client.receive(&message, Instant::now()),
                None => return Err("closed by the relay".to_owned()),
            },
            Some(link) = wanted.recv() => {
                client.want(link.way.remote, Instant::now());
                links.insert(link.way.remote, link);
            },
            () = sleep_until(next.into()) => client.tick(Instant::now()),
        }
        while let Some(event) = client.event() {
            match event {
                TurnEvent::Data(peer, datagram) => {
                    if let Some(link) = links.get(&peer) {
                        link.deliver(datagram).await;
                    }
                }
                TurnEvent::Permitted(peer) => {
                    *was_open = true;
                    if let (Some(link), Some(ways)) = (links.get(&peer), ways.upgrade()) {
                        ways.is_ready(link);
                    }
                }
                TurnEvent::Refused(peer, why) => {
                    if let (Some(link), Some(ways)) = (links.get(&peer), ways.upgrade()) {
                        ways.failed(&link.way, &why);
                    }
                }
                TurnEvent::Failed(why) => return Err(why),
            }
        }
    }
    client.close(Instant::now());
    let goodbye: Vec<Bytes> = std::iter::from_fn(|| client.transmit()).collect();
    let Carrier { outgoing, mut tasks, incoming } = carrier;
    let _ = timeout(GOODBYE_MAX, outgoing.send(goodbye)).await;
    drop((outgoing, incoming));
    // The writer ends by itself, and the reader with the connection.
    let _ = timeout(GOODBYE_MAX, tasks.join_next()).await;
    Ok(())
}
