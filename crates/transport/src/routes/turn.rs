//! A TURN relay (RFC 8656) reached by UDP, TCP or TLS: the I/O around [`TurnClient`].

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

use super::Routes;
use super::framing::{Framing, MAX_DATAGRAM_BYTES};
use super::link::Link;
use super::route::RouteKind;
use super::send_queue::SendQueue;
use super::stream::{CHUNK, DatagramReader, DatagramWriter, set_options};
use super::tcp::{MAX_RETRY_DELAY, MIN_RETRY_DELAY};
use super::turn_client::{TurnClient, TurnEvent};
use super::turn_server::TurnServer;

/// Messages of the relay that wait to be handled.
const MAX_INCOMING: usize = 64;
/// Time-out of releasing an allocation.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Transport of messages to and from the relay.
struct Carrier {
    incoming: mpsc::Receiver<Bytes>,
    /// Holds one batch; the rest waits where it can still be dropped.
    outgoing: mpsc::Sender<Vec<Bytes>>,
    tasks: JoinSet<()>,
}

/// Serves one relay until it breaks or the queue is closed. `new_links`: links to the server's addresses that it has to
/// reach.
pub(super) async fn run_relay(
    server: TurnServer,
    dialer: Option<Dialer>,
    queue: Arc<SendQueue>,
    mut new_links: mpsc::UnboundedReceiver<Arc<Link>>,
    routes: Weak<Routes>,
) {
    let (mut links, mut delay) = (HashMap::new(), MIN_RETRY_DELAY);
    loop {
        let mut was_permitted = false;
        let result = tokio::select! {
            carrier = connect(&server, dialer.clone()) => match carrier {
                Ok(carrier) => serve(&server, carrier, &queue, &mut new_links, &mut links, &routes, &mut was_permitted).await,
                Err(error) => Err(error),
            },
            () = queue.closed() => return,
        };
        let (Err(why), Some(routes)) = (result, routes.upgrade()) else { return };
        while let Ok(link) = new_links.try_recv() {
            links.insert(link.route.remote, link);
        }
        links.values().for_each(|link| routes.on_broken(&link.route, &why));
        drop(routes);
        // Another allocation has another address, so after the first one only an ICE restart helps.
        if was_permitted {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => delay = (delay * 2).min(MAX_RETRY_DELAY),
            () = queue.closed() => return,
        }
    }
}

async fn connect(server: &TurnServer, dialer: Option<Dialer>) -> Result<Carrier, String> {
    if server.kind == RouteKind::TurnUdp {
        return udp_carrier(server).await.map_err(|error| error.to_string());
    }
    let dialer = dialer.ok_or("connections cannot be opened")?;
    if server.kind == RouteKind::TurnTls {
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

async fn udp_carrier(server: &TurnServer) -> std::io::Result<Carrier> {
    let mut socket = Err(std::io::Error::other("its name has no address"));
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
    let (arrivals, incoming) = mpsc::channel(MAX_INCOMING);
    let (outgoing, mut departures) = mpsc::channel::<Vec<Bytes>>(1);
    let mut tasks = JoinSet::new();
    let receiving = Arc::clone(&socket);
    tasks.spawn(async move {
        let mut buffer = [0; MAX_DATAGRAM_BYTES];
        loop {
            // An error only reports that an earlier packet was undeliverable.
            match receiving.recv(&mut buffer).await {
                Ok(length) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    if arrivals.send(Bytes::copy_from_slice(message)).await.is_err() {
                        return;
                    }
                }
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
    let (arrivals, incoming) = mpsc::channel(MAX_INCOMING);
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
    new_links: &mut mpsc::UnboundedReceiver<Arc<Link>>,
    links: &mut HashMap<SocketAddr, Arc<Link>>,
    routes: &Weak<Routes>,
    was_permitted: &mut bool,
) -> Result<(), String> {
    let is_stream = server.kind != RouteKind::TurnUdp;
    let mut client = TurnClient::new(&server.username, &server.credential, is_stream, Instant::now())
        .map_err(|error| error.to_string())?;
    links.keys().for_each(|peer| client.add_peer(*peer, Instant::now()));
    let mut pending: Vec<Bytes> = Vec::new();
    loop {
        pending.extend(std::iter::from_fn(|| client.poll_transmit()));
        let next = client.next_timeout();
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
                Some(message) => client.handle_message(&message, Instant::now()),
                None => return Err("closed by the relay".to_owned()),
            },
            Some(link) = new_links.recv() => {
                client.add_peer(link.route.remote, Instant::now());
                links.insert(link.route.remote, link);
            },
            () = sleep_until(next.into()) => client.handle_timeout(Instant::now()),
        }
        while let Some(event) = client.poll_event() {
            match event {
                TurnEvent::Data(peer, datagram) => {
                    if let Some(link) = links.get(&peer) {
                        link.deliver(datagram).await;
                    }
                }
                TurnEvent::Permitted(peer) => {
                    *was_permitted = true;
                    if let (Some(link), Some(routes)) = (links.get(&peer), routes.upgrade()) {
                        routes.on_open(link);
                    }
                }
                TurnEvent::Refused(peer, why) => {
                    if let (Some(link), Some(routes)) = (links.get(&peer), routes.upgrade()) {
                        routes.on_failed(&link.route, &why);
                    }
                }
                TurnEvent::Failed(why) => return Err(why),
            }
        }
    }
    client.close(Instant::now());
    let release: Vec<Bytes> = std::iter::from_fn(|| client.poll_transmit()).collect();
    let Carrier { outgoing, mut tasks, incoming } = carrier;
    let _ = timeout(RELEASE_TIMEOUT, outgoing.send(release)).await;
    drop((outgoing, incoming));
    // The writer ends by itself, the reader with the connection.
    let _ = timeout(RELEASE_TIMEOUT, tasks.join_next()).await;
    Ok(())
}
