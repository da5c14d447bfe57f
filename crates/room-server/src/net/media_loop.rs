//! The thread in which all rooms and all media live, around one UDP socket and what comes over TCP.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket as MioSocket;
use mio::{Events, Interest, Token};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};

use super::own_addresses::OwnAddresses;
use super::send_lanes::SendLanes;
use super::tcp_media::TcpMedia;
use super::udp::UdpReceiver;
use super::udp::sender::UdpSender;
use crate::forwarding::core::{ClientAddress, Transport};
use crate::hub::Hub;
use crate::hub::command::Command;

/// Socket buffers in bytes: a key frame of a large room is a burst of some hundred packets.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Commands, and datagrams over TCP, that are taken in one go before others, and the timers, get their turn.
const AT_ONCE: usize = 64;
/// So many datagrams to send do not wait for others to go with them.
const ENOUGH: usize = 16;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What wakes the thread: datagrams, or anything else from other threads.
const SOCKET: Token = Token(0);
const OTHERS: Token = Token(1);

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
    /// Starts the thread. It ends when `stop` becomes true or its sender goes. Datagrams of others than `only` are ignored.
    ///
    /// # Errors
    /// What the system says when it has no threads left.
    pub fn start(
        hub: Hub,
        socket: std::net::UdpSocket,
        tcp: Option<TcpMedia>,
        only: Option<OwnAddresses>,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let lanes = SendLanes::start(socket.try_clone()?)?;
        let poll = mio::Poll::new()?;
        let mut socket = MioSocket::from_std(socket);
        // To hear of room for sending as well would wake the thread after most of the datagrams that it sends.
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let waker = Waker::from(Arc::new(OtherThreads(mio::Waker::new(poll.registry(), OTHERS)?)));
        let state = State { hub, lanes, tcp, only, commands };
        let thread = std::thread::Builder::new()
            .name("room-media".to_owned())
            .spawn(move || state.run(poll, &mut UdpReceiver::new(socket), &waker, stop))?;
        Ok(Self { thread })
    }

    /// Waits for the thread to end. Blocks.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("media thread panicked");
        }
    }
}

/// Other threads wake this one as if it ran futures.
struct OtherThreads(mio::Waker);

impl Wake for OtherThreads {
    fn wake(self: Arc<Self>) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "the media thread cannot be woken");
        }
    }
}

/// What the thread owns.
struct State {
    hub: Hub,
    lanes: SendLanes,
    tcp: Option<TcpMedia>,
    /// Whose datagrams are taken; `None` is everybody's.
    only: Option<OwnAddresses>,
    commands: mpsc::Receiver<Command>,
}

impl State {
    fn run(mut self, mut poll: mio::Poll, receiver: &mut UdpReceiver, waker: &Waker, mut stop: watch::Receiver<bool>) {
        let mut context = Context::from_waker(waker);
        let mut stop = pin!(stop.wait_for(|stop| *stop));
        let mut sender = UdpSender::new();
        let mut events = Events::with_capacity(2);
        let (mut is_readable, mut is_woken) = (true, true);
        loop {
            if is_readable {
                is_readable = receiver.receive(|source, datagram| {
                    if self.only.as_mut().is_some_and(|only| !only.contain(source.ip())) {
                        return;
                    }
                    let source = ClientAddress { transport: Transport::Udp, socket: source };
                    self.hub.handle_datagram(Instant::now(), source, datagram);
                    self.collect();
                    if self.lanes.pending() >= ENOUGH {
                        self.lanes.flush(&mut sender);
                    }
                });
            }
            if is_woken {
                if stop.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                is_woken = match self.take_commands(&mut context) {
                    Poll::Ready(None) => break,
                    Poll::Ready(Some(())) => true,
                    Poll::Pending => false,
                };
                is_woken |= self.take_from_tcp(&mut context);
            }
            if self.hub.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.hub.handle_timeout(Instant::now());
            }
            self.collect();
            self.lanes.flush(&mut sender);
            let idle = || self.hub.deadline().map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
            let wait = if is_readable || is_woken { Duration::ZERO } else { idle() };
            match poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!(%error, "media thread cannot wait");
                    break;
                }
            }
            for event in &events {
                is_readable |= event.token() == SOCKET;
                is_woken |= event.token() == OTHERS;
            }
        }
        self.hub.handle_command(Instant::now(), Command::Shutdown);
        self.collect();
        self.lanes.flush(&mut sender);
    }

    /// Takes commands, up to a limit. Pending when none is left for now, `None` when there will be none any more.
    fn take_commands(&mut self, context: &mut Context<'_>) -> Poll<Option<()>> {
        for _ in 0..AT_ONCE {
            match self.commands.poll_recv(context) {
                Poll::Ready(Some(command)) => self.hub.handle_command(Instant::now(), command),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Some(()))
    }

    /// Takes what came over TCP, up to a limit. True when there may be more.
    fn take_from_tcp(&mut self, context: &mut Context<'_>) -> bool {
        for _ in 0..AT_ONCE {
            let Some(tcp) = &mut self.tcp else { return false };
            match tcp.poll_receive(context) {
                Poll::Ready(Some((socket, datagram))) => {
                    let source = ClientAddress { transport: Transport::Tcp, socket };
                    self.hub.handle_datagram(Instant::now(), source, &datagram);
                }
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    /// Takes over what the hub has to send.
    fn collect(&mut self) {
        while let Some(datagram) = self.hub.poll_datagram() {
            match (datagram.destination.transport, &self.tcp) {
                (Transport::Udp, _) => self.lanes.push(datagram),
                (Transport::Tcp, Some(tcp)) => tcp.send(datagram.destination.socket, datagram.into_bytes()),
                (Transport::Tcp, None) => {}
            }
        }
    }
}
