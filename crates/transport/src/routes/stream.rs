//! Datagrams on the two halves of a TCP or TLS connection.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::framing::Framing;

/// Bytes that are read or written at once.
pub(super) const CHUNK: usize = 16 * 1024;
/// Bytes that the system may buffer; the rest waits where it can still be dropped.
const MAX_UNSENT_BYTES: u32 = 16 * 1024;

/// Limits what waits in the system, where it can no longer be dropped.
pub(super) fn set_options(stream: &TcpStream) {
    // Without these options the route is only slower.
    let _ = stream.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(4 * MAX_UNSENT_BYTES as usize);
}

/// Reads datagrams from a stream.
pub(super) struct DatagramReader<R> {
    reader: R,
    framing: Framing,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> DatagramReader<R> {
    /// Creates a reader of a stream with this framing.
    pub(super) fn new(reader: R, framing: Framing) -> Self {
        Self { reader, framing, bytes: BytesMut::with_capacity(CHUNK) }
    }

    /// The next datagram.
    ///
    /// # Errors
    /// The connection broke or was closed, or its content is not valid; no more datagrams follow.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(datagram) = self.framing.next(&mut self.bytes).map_err(io::Error::other)? {
                return Ok(datagram);
            }
            self.bytes.reserve(CHUNK);
            if self.reader.read_buf(&mut self.bytes).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the other end"));
            }
        }
    }
}

/// Writes datagrams to a stream.
pub(super) struct DatagramWriter<W> {
    writer: W,
    framing: Framing,
    bytes: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> DatagramWriter<W> {
    /// Creates a writer of a stream with this framing.
    pub(super) fn new(writer: W, framing: Framing) -> Self {
        Self { writer, framing, bytes: Vec::with_capacity(CHUNK) }
    }

    /// Writes several datagrams at once.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn write<'a>(&mut self, datagrams: impl Iterator<Item = &'a Bytes>) -> io::Result<()> {
        self.bytes.clear();
        datagrams.for_each(|datagram| self.framing.append(&mut self.bytes, datagram));
        self.writer.write_all(&self.bytes).await?;
        self.writer.flush().await
    }

    /// Closes the stream for writing.
    pub(super) async fn finish(mut self) {
        let _ = self.writer.shutdown().await;
    }
}
