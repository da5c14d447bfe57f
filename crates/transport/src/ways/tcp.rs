//! A TCP connection to the server's media port: datagrams after their lengths (RFC 6544, RFC 4571).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Ways;
use super::framing::Framing;
use super::link::Link;
use super::send_queue::SendQueue;
use super::stream::{CHUNK, DatagramReader, DatagramWriter, set_options};

/// A connection that is not there by then will not be.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Wait before a connection that could not be opened is tried again; doubles.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(8);

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
        result = read(DatagramReader::new(reader, Framing::Length), link) => result,
        result = write(DatagramWriter::new(writer, Framing::Length), &link.queue) => result,
    };
    if let (Err(error), Some(ways)) = (result, ways.upgrade()) {
        ways.broke(&link.way, &error.to_string());
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
