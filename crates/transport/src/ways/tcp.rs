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
/// Wait before a connection that failed or ended is opened again; doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A connection that stood for so long was a good one.
const STOOD: Duration = Duration::from_secs(10);
/// Bytes that are read or written in one go.
pub(super) const CHUNK: usize = 16 * 1024;
/// Bytes that the system may hold back; all else waits where it can still be dropped.
const UNSENT_MAX: u32 = 16 * 1024;

/// Opens the connection, again and again while it is wanted, until the queue is closed.
pub(super) async fn run(link: Arc<Link>, ways: Weak<Ways>) {
    let (mut pause, mut was_ready) = (FIRST_PAUSE, false);
    while !link.queue.is_closed() {
        let begun = tokio::time::Instant::now();
        let result = tokio::select! {
            result = serve(&link, &ways, &mut was_ready) => result,
            () = link.queue.closed() => return,
        };
        if link.queue.is_closed() {
            return;
        }
        if let Err(error) = result {
            tracing::info!(way = %link.way, %error, "a way ended");
            let Some(ways) = ways.upgrade() else { return };
            ways.failed(&link.way, &error.to_string());
        }
        pause = if begun.elapsed() > STOOD { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = sleep(pause) => {}
            () = link.queue.closed() => return,
        }
        // The stack sends checks as long as it wants this way; a way it does not know yet is still to be found.
        if was_ready && link.queue.wanted().await.is_none() {
            return;
        }
    }
}

async fn serve(link: &Arc<Link>, ways: &Weak<Ways>, was_ready: &mut bool) -> io::Result<()> {
    let stream = timeout(CONNECT_MAX, TcpStream::connect(link.way.remote))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
    set_options(&stream);
    if !std::mem::replace(was_ready, true)
        && let Some(ways) = ways.upgrade()
    {
        ways.is_ready(link);
    }
    let (reader, writer) = stream.into_split();
    tokio::select! {
        result = read(reader, link) => result,
        result = write(writer, Framing::Length, &link.queue) => result,
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
