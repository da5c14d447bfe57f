//! A TCP connection to the server's media port with length-prefixed datagrams (RFC 6544, RFC 4571).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Routes;
use super::framing::Framing;
use super::link::Link;
use super::send_queue::SendQueue;
use super::stream::{CHUNK, DatagramReader, DatagramWriter, set_options};

/// Time-out of an attempt to connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// First delay before another attempt to open a connection; it doubles each time.
pub(super) const MIN_RETRY_DELAY: Duration = Duration::from_millis(500);
/// Longest delay before another attempt.
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(8);

/// Opens the connection and serves it until it breaks or the queue is closed. It is not opened a second time: the server
/// identifies us by the connection, so another one needs an ICE restart, which opens all routes again.
pub(super) async fn run_connection(link: Arc<Link>, routes: Weak<Routes>) {
    tokio::select! {
        () = open_and_serve(&link, &routes) => {}
        () = link.queue.closed() => {}
    }
}

async fn open_and_serve(link: &Arc<Link>, routes: &Weak<Routes>) {
    let mut delay = MIN_RETRY_DELAY;
    let stream = loop {
        let error = match timeout(CONNECT_TIMEOUT, TcpStream::connect(link.route.remote)).await {
            Ok(Ok(stream)) => break stream,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let Some(routes) = routes.upgrade() else { return };
        routes.on_failed(&link.route, &error);
        drop(routes);
        sleep(delay).await;
        delay = (delay * 2).min(MAX_RETRY_DELAY);
    };
    set_options(&stream);
    if let Some(routes) = routes.upgrade() {
        routes.on_open(link);
    }
    let (reader, writer) = stream.into_split();
    let result = tokio::select! {
        result = read(DatagramReader::new(reader, Framing::Length), link) => result,
        result = write(DatagramWriter::new(writer, Framing::Length), &link.queue) => result,
    };
    if let (Err(error), Some(routes)) = (result, routes.upgrade()) {
        routes.on_broken(&link.route, &error.to_string());
    }
}

async fn read(mut reader: DatagramReader<impl AsyncRead + Unpin>, link: &Link) -> io::Result<()> {
    loop {
        link.deliver(reader.next().await?).await;
    }
}

async fn write(mut writer: DatagramWriter<impl AsyncWrite + Unpin>, queue: &SendQueue) -> io::Result<()> {
    while let Some(outgoing) = queue.take(CHUNK).await {
        writer.write(outgoing.iter().map(|outgoing| &outgoing.datagram)).await?;
    }
    Ok(())
}
