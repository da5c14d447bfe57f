//! A TCP connection to the server's media port: datagrams after their lengths (RFC 6544, RFC 4571).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Ways;
use super::framing::Framing;
use super::link::Link;
use super::send_queue::SendQueue;

/// A connection that is not there by then will not be.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Wait before a connection that could not be opened is tried again; doubles.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Bytes that are read or written in one go.
pub(super) const CHUNK: usize = 16 * 1024;
/// Bytes that the system may hold back; all else waits where it can still be dropped.
const UNSENT_MAX: u32 = 16 * 1024;

/// Opens the connection and serves it until it breaks or the queue is closed. It is not opened again: the server knows us
/// by the connection, so another one needs a restart of ICE, which begins all ways anew.
pub(super) async fn run(link: Arc<Link>, ways: Weak<Ways>) {
    tokio::select! {
        () = open_and_serve(&link, &ways) => {}
        () = link.queue.closed() => {}
    }
}

async fn open_and_serve(link: &Arc<Link>, ways: &Weak<Ways>) {
    let mut pause = FIRST_PAUSE;
    let stream = loop {
        let error = match timeout(CONNECT_MAX, TcpStream::connect(link.way.remote)).await {
            Ok(Ok(stream)) => break stream,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let Some(ways) = ways.upgrade() else { return };
        ways.failed(&link.way, &error);
        drop(ways);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    set_options(&stream);
    if let Some(ways) = ways.upgrade() {
        ways.is_ready(link);
    }
    let (reader, writer) = stream.into_split();
    let result = tokio::select! {
        result = read(reader, link) => result,
        result = write(writer, Framing::Length, &link.queue) => result,
    };
    if let (Err(error), Some(ways)) = (result, ways.upgrade()) {
        ways.broke(&link.way, &error.to_string());
    }
}

/// Little may wait where it cannot be dropped any more.
pub(super) fn set_options(stream: &TcpStream) {
    // Without these the way is only slower.
    let _ = stream.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(4 * UNSENT_MAX as usize);
}

async fn read(mut reader: impl AsyncRead + Unpin, link: &Link) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(CHUNK);
    loop {
        while let Some(datagram) = Framing::Length.next(&mut bytes).map_err(io::Error::other)? {
            link.deliver(datagram).await;
        }
        bytes.reserve(CHUNK);
        if reader.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the other end"));
        }
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, framing: Framing, queue: &SendQueue) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK);
    while let Some(outgoing) = queue.take(CHUNK).await {
        bytes.clear();
        outgoing.iter().for_each(|outgoing| framing.append(&mut bytes, &outgoing.datagram));
        writer.write_all(&bytes).await?;
    }
    Ok(())
}
