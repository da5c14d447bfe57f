//! Media over TCP (RFC 6544), for clients whose network lets no UDP through.
//!
//! Datagrams follow each other on the connection, each after its length (RFC 4571). A client that reads too slowly loses
//! datagrams here, as it would in a full queue of the network; nobody else waits for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::udp::DATAGRAM_MAX;

/// Connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 4096;
/// A connection that says nothing for this long is closed. Clients check their path every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The first thing on a connection is a check of the path, which a client sends as soon as the connection is up.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// Datagrams that wait for a client: at 4 Mbit/s about 0.6 s.
const QUEUE_LENGTH: usize = 256;
/// Datagrams of all clients that wait for the media thread before the connections have to.
const EVENTS_LENGTH: usize = 1024;
/// Bytes that are written in one go.
const WRITE_MAX: usize = 64 * 1024;
/// How long to wait when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// What happens on the connections.
#[derive(Debug)]
enum TcpEvent {
    Opened(SocketAddr, mpsc::Sender<Vec<u8>>),
    Datagram(SocketAddr, Vec<u8>),
    Closed(SocketAddr),
}

/// The media thread's side of all connections.
pub struct TcpMedia {
    events: mpsc::Receiver<TcpEvent>,
    connections: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
}

impl TcpMedia {
    /// Accepts connections on the current runtime until `stop` becomes true or its sender goes.
    pub fn serve(listeners: Vec<TcpListener>, stop: &watch::Receiver<bool>) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_LENGTH);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for listener in listeners {
            let (sender, places, mut stop) = (sender.clone(), Arc::clone(&places), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = accept(listener, sender, places) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
        Self { events, connections: HashMap::new() }
    }

    /// The next datagram of any client. `None` when there will be none any more.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<(SocketAddr, Vec<u8>)>> {
        loop {
            match ready!(self.events.poll_recv(context)) {
                Some(TcpEvent::Opened(address, queue)) => {
                    self.connections.insert(address, queue);
                }
                Some(TcpEvent::Closed(address)) => {
                    self.connections.remove(&address);
                }
                Some(TcpEvent::Datagram(address, datagram)) => return Poll::Ready(Some((address, datagram))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Sends a datagram to a client; it is dropped when the client is gone or does not read.
    pub fn send(&self, destination: SocketAddr, datagram: Vec<u8>) {
        if let Some(connection) = self.connections.get(&destination) {
            let _ = connection.try_send(datagram);
        }
    }
}

async fn accept(listener: TcpListener, events: mpsc::Sender<TcpEvent>, places: Arc<Semaphore>) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no media connection accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%address, "too many media connections over TCP");
            continue;
        };
        // Waiting for more to send would only add delay.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        tokio::spawn(serve(address, reader, writer, events.clone(), place));
    }
}

async fn serve(
    address: SocketAddr,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    events: mpsc::Sender<TcpEvent>,
    _place: OwnedSemaphorePermit,
) {
    let (queue, waiting) = mpsc::channel(QUEUE_LENGTH);
    if events.send(TcpEvent::Opened(address, queue)).await.is_err() {
        return;
    }
    tokio::select! {
        () = read(address, reader, &events) => {}
        () = write(writer, waiting) => {}
        () = events.closed() => {}
    }
    let _ = events.send(TcpEvent::Closed(address)).await;
}

async fn read(address: SocketAddr, reader: OwnedReadHalf, events: &mpsc::Sender<TcpEvent>) {
    let mut reader = BufReader::new(reader);
    let mut patience = FIRST_MAX;
    while let Ok(Some(datagram)) = timeout(patience, read_datagram(&mut reader)).await {
        // Before a client has checked its path, nothing else makes sense; so other protocols are recognized (RFC 8489: the
        // two first bits of STUN are zero).
        if patience == FIRST_MAX && datagram.first().is_none_or(|first| *first > 3) {
            return;
        }
        patience = SILENCE_MAX;
        if events.send(TcpEvent::Datagram(address, datagram)).await.is_err() {
            return;
        }
    }
}

async fn read_datagram(reader: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let length = usize::from(reader.read_u16().await.ok()?);
    if length > DATAGRAM_MAX {
        return None;
    }
    let mut datagram = vec![0; length];
    reader.read_exact(&mut datagram).await.ok()?;
    Some(datagram)
}

async fn write(mut writer: OwnedWriteHalf, mut waiting: mpsc::Receiver<Vec<u8>>) {
    let mut bytes = Vec::new();
    while let Some(datagram) = waiting.recv().await {
        bytes.clear();
        append(&mut bytes, &datagram);
        while bytes.len() < WRITE_MAX {
            let Ok(datagram) = waiting.try_recv() else { break };
            append(&mut bytes, &datagram);
        }
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn append(bytes: &mut Vec<u8>, datagram: &[u8]) {
    let Ok(length) = u16::try_from(datagram.len()) else { return };
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(datagram);
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    const CHECK: [u8; 4] = [0, 1, 2, 3];

    async fn start() -> (TcpMedia, SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        (TcpMedia::serve(vec![listener], &stopped), address, stop)
    }

    fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        datagrams.iter().for_each(|datagram| append(&mut bytes, datagram));
        bytes
    }

    async fn receive(media: &mut TcpMedia) -> Option<(SocketAddr, Vec<u8>)> {
        std::future::poll_fn(|context| media.poll_receive(context)).await
    }

    #[tokio::test]
    async fn datagrams_keep_their_bounds_both_ways() {
        let (mut media, address, _stop) = start().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let bytes = framed(&[&CHECK, &[9; 1200], &[]]);
        let (first, rest) = bytes.split_at(700);
        client.write_all(first).await.unwrap();
        let (source, datagram) = receive(&mut media).await.unwrap();
        assert_eq!((source, datagram.as_slice()), (client.local_addr().unwrap(), CHECK.as_slice()));
        client.write_all(rest).await.unwrap();
        assert_eq!(receive(&mut media).await.unwrap().1, [9; 1200]);
        assert!(receive(&mut media).await.unwrap().1.is_empty());

        media.send(source, vec![7; 3]);
        media.send(source, vec![8; 1]);
        let mut answer = [0; 8];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 3, 7, 7, 7, 0, 1, 8]);
    }

    #[tokio::test]
    async fn what_does_not_begin_as_a_client_does_is_closed() {
        let (_media, address, _stop) = start().await;
        for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &framed(&[&[0x80; 12]]), &[0xff; 2], &framed(&[&[]])] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(bytes).await.unwrap();
            // The end, or a reset because it was not read to the end.
            assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)));
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_loses_datagrams_and_others_do_not_wait() {
        let (mut media, address, _stop) = start().await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(&framed(&[&CHECK])).await.unwrap();
        let (slow, _) = receive(&mut media).await.unwrap();
        for _ in 0..20_000 {
            media.send(slow, vec![1; 1200]);
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&framed(&[&CHECK])).await.unwrap();
        let (source, _) = receive(&mut media).await.unwrap();
        media.send(source, vec![5]);
        let mut answer = [0; 3];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 1, 5]);
    }

    #[tokio::test]
    async fn a_client_that_went_is_forgotten() {
        let (mut media, address, _stop) = start().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&framed(&[&CHECK])).await.unwrap();
        let (source, _) = receive(&mut media).await.unwrap();
        drop(client);
        let mut other = TcpStream::connect(address).await.unwrap();
        while media.connections.contains_key(&source) {
            // Only what another client says lets `receive` return.
            other.write_all(&framed(&[&CHECK])).await.unwrap();
            receive(&mut media).await.unwrap();
        }
    }
}
