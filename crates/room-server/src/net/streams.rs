//! Datagrams over connections: media over TCP (RFC 6544) and TURN over TCP or TLS (RFC 8656), for clients whose network blocks
//! UDP.
//!
//! Datagrams follow each other on the connection. A client that reads too slowly loses datagrams here, as it would in a full
//! queue of the network; nothing else waits for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::framing::Framing;

/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// A connection that says nothing for this long is closed. Clients check their path every few seconds.
const MAX_SILENCE: Duration = Duration::from_secs(30);
/// The first thing on a connection is a request, which a client sends as soon as the connection is up.
const MAX_FIRST: Duration = Duration::from_secs(5);
/// Datagrams that wait for a client: at 4 Mbit/s about 0.6 s.
const QUEUE_LENGTH: usize = 256;
/// Datagrams of all clients that wait for the media thread before the connections have to.
const EVENTS_LENGTH: usize = 1024;
/// Bytes that are written in one go.
const MAX_WRITE: usize = 64 * 1024;
/// How long to wait when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection: the client's end and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The client's address.
    pub remote: SocketAddr,
    /// Our address that it connected to.
    pub local: SocketAddr,
}

/// An event of the connections.
#[derive(Debug)]
enum StreamEvent {
    Opened(Ends, mpsc::Sender<Vec<u8>>),
    Datagram(Ends, Vec<u8>),
    Closed(Ends),
}

/// An input for the media thread.
#[derive(Debug)]
pub enum FromStream {
    /// A datagram of a client.
    Datagram(Ends, Vec<u8>),
    /// A connection is gone.
    Closed(Ends),
}

/// The media thread's side of all connections.
pub struct Streams {
    events: mpsc::Receiver<StreamEvent>,
    connections: HashMap<Ends, mpsc::Sender<Vec<u8>>>,
}

/// Accepts connections.
#[derive(Clone)]
pub struct StreamInlet {
    framing: Framing,
    events: mpsc::Sender<StreamEvent>,
    places: Arc<Semaphore>,
}

impl Streams {
    /// Both sides of nothing yet.
    pub fn new(framing: Framing) -> (Self, StreamInlet) {
        let (sender, events) = mpsc::channel(EVENTS_LENGTH);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        (Self { events, connections: HashMap::new() }, StreamInlet { framing, events: sender, places })
    }

    /// The next input from any client. `None` when there will be no more.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<FromStream>> {
        loop {
            match ready!(self.events.poll_recv(context)) {
                Some(StreamEvent::Opened(ends, queue)) => {
                    self.connections.insert(ends, queue);
                }
                Some(StreamEvent::Closed(ends)) => {
                    self.connections.remove(&ends);
                    return Poll::Ready(Some(FromStream::Closed(ends)));
                }
                Some(StreamEvent::Datagram(ends, datagram)) => {
                    return Poll::Ready(Some(FromStream::Datagram(ends, datagram)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// Sends a datagram to a client; it is dropped when the client is gone or does not read.
    pub fn send(&self, ends: Ends, datagram: Vec<u8>) {
        if let Some(connection) = self.connections.get(&ends) {
            let _ = connection.try_send(datagram);
        }
    }
}

impl StreamInlet {
    /// Accepts connections of a port on the current runtime, until `stop` becomes true or its sender is dropped.
    pub fn listen(&self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let inlet = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = accept(listener, &inlet) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Takes over an accepted connection.
    pub fn adopt(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static, remote: SocketAddr, local: SocketAddr) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::warn!(%remote, "too many connections with datagrams");
            return;
        };
        let (framing, events) = (self.framing, self.events.clone());
        tokio::spawn(async move {
            serve(framing, Ends { remote, local }, stream, events).await;
            drop(place);
        });
    }
}

async fn accept(listener: TcpListener, inlet: &StreamInlet) {
    loop {
        let accepted = listener.accept().await.and_then(|(stream, remote)| {
            let local = stream.local_addr()?;
            Ok((stream, remote, local))
        });
        match accepted {
            Ok((stream, remote, local)) => {
                // Waiting for more to send would only add delay.
                let _ = stream.set_nodelay(true);
                inlet.adopt(stream, remote, local);
            }
            Err(error) => {
                tracing::debug!(%error, "no connection with datagrams accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(
    framing: Framing,
    ends: Ends,
    stream: impl AsyncRead + AsyncWrite + Send,
    events: mpsc::Sender<StreamEvent>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let (queue, waiting) = mpsc::channel(QUEUE_LENGTH);
    if events.send(StreamEvent::Opened(ends, queue)).await.is_err() {
        return;
    }
    tokio::select! {
        () = read(framing, ends, reader, &events) => {}
        () = write(framing, writer, waiting) => {}
        () = events.closed() => {}
    }
    let _ = events.send(StreamEvent::Closed(ends)).await;
}

async fn read(framing: Framing, ends: Ends, reader: impl AsyncRead, events: &mpsc::Sender<StreamEvent>) {
    let mut reader = std::pin::pin!(BufReader::new(reader));
    let mut patience = MAX_FIRST;
    while let Ok(Some(datagram)) = timeout(patience, read_datagram(framing, &mut reader)).await {
        // Before its first request a client sends nothing else, so other protocols are recognised (RFC 8489: the two first bits of
        // STUN are zero).
        if patience == MAX_FIRST && datagram.first().is_none_or(|first| *first > 3) {
            return;
        }
        patience = MAX_SILENCE;
        if events.send(StreamEvent::Datagram(ends, datagram)).await.is_err() {
            return;
        }
    }
}

async fn read_datagram(framing: Framing, reader: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut head = [0; Framing::MAX_HEAD];
    let head = head.get_mut(..framing.head())?;
    reader.read_exact(head).await.ok()?;
    let frame = framing.frame(head)?;
    let mut datagram = vec![0; frame.length];
    let kept = if frame.keeps_head { &*head } else { &[] };
    datagram.get_mut(..kept.len())?.copy_from_slice(kept);
    let kept = kept.len();
    reader.read_exact(datagram.get_mut(kept..)?).await.ok()?;
    let mut padding = [0; 4];
    reader.read_exact(padding.get_mut(..frame.padding)?).await.ok()?;
    Some(datagram)
}

async fn write(framing: Framing, writer: impl AsyncWrite, mut waiting: mpsc::Receiver<Vec<u8>>) {
    let mut writer = std::pin::pin!(writer);
    let mut bytes = Vec::new();
    while let Some(datagram) = waiting.recv().await {
        bytes.clear();
        framing.append(&mut bytes, &datagram);
        while bytes.len() < MAX_WRITE {
            let Ok(datagram) = waiting.try_recv() else { break };
            framing.append(&mut bytes, &datagram);
        }
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    const CHECK: [u8; 4] = [0, 1, 2, 3];

    async fn start() -> (Streams, SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (streams, inlet) = Streams::new(Framing::Media);
        inlet.listen(listener, stopped);
        (streams, address, stop)
    }

    fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        datagrams.iter().for_each(|datagram| Framing::Media.append(&mut bytes, datagram));
        bytes
    }

    async fn receive(media: &mut Streams) -> Option<(Ends, Vec<u8>)> {
        loop {
            match std::future::poll_fn(|context| media.poll_receive(context)).await? {
                FromStream::Datagram(ends, datagram) => return Some((ends, datagram)),
                FromStream::Closed(_) => {}
            }
        }
    }

    #[tokio::test]
    async fn datagrams_keep_their_bounds_both_paths() {
        let (mut media, address, _stop) = start().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let bytes = framed(&[&CHECK, &[9; 1200], &[]]);
        let (first, rest) = bytes.split_at(700);
        client.write_all(first).await.unwrap();
        let (source, datagram) = receive(&mut media).await.unwrap();
        assert_eq!((source.remote, source.local), (client.local_addr().unwrap(), address));
        assert_eq!(datagram, CHECK);
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
            // Only the other client's message lets `receive` return.
            other.write_all(&framed(&[&CHECK])).await.unwrap();
            receive(&mut media).await.unwrap();
        }
    }
}
