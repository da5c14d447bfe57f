//! The thread in which all rooms and all media live, around one UDP socket.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::hub::Hub;
use crate::hub::command::Command;

/// Socket buffers in bytes: a key frame of a large room is a burst of some hundred packets.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams and commands that are taken in one go before the other, and the timers, get their turn.
const BATCH: usize = 64;
/// Largest datagram that is read; what clients send is below 1500.
const DATAGRAM_MAX: usize = 4096;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// The running thread.
pub struct MediaLoop {
    thread: JoinHandle<()>,
}

/// A UDP socket with large buffers.
///
/// # Errors
/// What the system says, as [`io::ErrorKind::AddrInUse`].
pub fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The system may allow less; then less it is.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl MediaLoop {
    /// Starts the thread. It ends when `stop` becomes true or its sender goes.
    ///
    /// # Errors
    /// What the system says when it has no threads left.
    pub fn start(
        hub: Hub,
        socket: std::net::UdpSocket,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let thread = std::thread::Builder::new().name("room-media".to_owned()).spawn(move || {
            runtime.block_on(async {
                match UdpSocket::from_std(socket) {
                    Ok(socket) => run(hub, &socket, commands, stop).await,
                    Err(error) => tracing::error!(%error, "media socket is not usable"),
                }
            });
        })?;
        Ok(Self { thread })
    }

    /// Waits for the thread to end. Blocks.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("media thread panicked");
        }
    }
}

async fn run(mut hub: Hub, socket: &UdpSocket, mut commands: mpsc::Receiver<Command>, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let deadline = hub.deadline().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            command = commands.recv() => {
                let Some(command) = command else { break };
                hub.handle_command(Instant::now(), command);
                for _ in 1..BATCH {
                    let Ok(command) = commands.try_recv() else { break };
                    hub.handle_command(Instant::now(), command);
                }
            }
            ready = socket.readable() => {
                if ready.is_ok() {
                    receive(&mut hub, socket, &mut buffer);
                }
            }
            () = sleep_until(deadline.into()) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        if hub.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            hub.handle_timeout(Instant::now());
        }
        send(&mut hub, socket).await;
    }
    hub.handle_command(Instant::now(), Command::Shutdown);
    send(&mut hub, socket).await;
}

fn receive(hub: &mut Hub, socket: &UdpSocket, buffer: &mut [u8]) {
    for _ in 0..BATCH {
        match socket.try_recv_from(buffer) {
            Ok((length, source)) => hub.handle_datagram(Instant::now(), source, &buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Some systems report here that an earlier datagram did not arrive. That is no fault of the socket.
            Err(error) => tracing::trace!(%error, "receiving failed"),
        }
    }
}

async fn send(hub: &mut Hub, socket: &UdpSocket) {
    while let Some(datagram) = hub.poll_datagram() {
        if let Err(error) = socket.send_to(&datagram.contents, datagram.destination).await {
            tracing::trace!(%error, destination = %datagram.destination, "sending failed");
        }
    }
}
