//! The thread in which all rooms and all media live, around the UDP sockets and what comes over TCP.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket as MioSocket;
use mio::{Events, Interest, Token};
use tokio::sync::{mpsc, watch};

use super::own_addresses::OwnAddresses;
use super::send_lanes::SendLanes;
use super::tcp_media::TcpMedia;
use super::udp::sender::UdpSender;
use super::udp::{UdpReceiver, UdpSockets};
use crate::forwarding::core::{ClientAddress, Transport};
use crate::hub::Hub;
use crate::hub::command::Command;

/// Commands, and datagrams over TCP, that are taken in one go before others, and the timers, get their turn.
const AT_ONCE: usize = 64;
/// So many datagrams to send do not wait for others to go with them.
const ENOUGH: usize = 16;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What wakes the thread: datagrams at the socket of that number, or anything else from other threads.
const OTHERS: Token = Token(usize::MAX);

/// The running thread.
pub struct MediaLoop {
    thread: JoinHandle<()>,
}

impl MediaLoop {
    /// Starts the thread. It ends when `stop` becomes true or its sender goes. Datagrams of others than `only` are ignored.
    ///
    /// # Errors
    /// What the system says when it has no threads left.
    pub fn start(
        hub: Hub,
        sockets: Vec<std::net::UdpSocket>,
        tcp: Option<TcpMedia>,
        only: Option<OwnAddresses>,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let mut inlets = Vec::new();
        for (at, socket) in sockets.iter().enumerate() {
            let mut socket = MioSocket::from_std(socket.try_clone()?);
            // To hear of room for sending as well would wake the thread after most of the datagrams that it sends.
            poll.registry().register(&mut socket, Token(at), Interest::READABLE)?;
            inlets.push(socket);
        }
        let lanes = SendLanes::start(UdpSockets::new(sockets)?)?;
        let waker = Waker::from(Arc::new(OtherThreads(mio::Waker::new(poll.registry(), OTHERS)?)));
        let state = State { hub, lanes, tcp, only, commands };
        let thread = std::thread::Builder::new().name("room-media".to_owned()).spawn(move || {
            match inlets.into_iter().map(Inlet::new).collect() {
                Ok(inlets) => state.run(poll, inlets, &waker, stop),
                Err(error) => tracing::error!(%error, "no media can be received"),
            }
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

/// Other threads wake this one as if it ran futures.
struct OtherThreads(mio::Waker);

impl Wake for OtherThreads {
    fn wake(self: Arc<Self>) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "the media thread cannot be woken");
        }
    }
}

/// One of the sockets.
struct Inlet {
    receiver: UdpReceiver,
    /// Whether there may be something to read.
    is_readable: bool,
}

impl Inlet {
    fn new(socket: MioSocket) -> io::Result<Self> {
        Ok(Self { receiver: UdpReceiver::new(socket)?, is_readable: true })
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
    fn run(mut self, mut poll: mio::Poll, mut inlets: Vec<Inlet>, waker: &Waker, mut stop: watch::Receiver<bool>) {
        let mut context = Context::from_waker(waker);
        let mut stop = pin!(stop.wait_for(|stop| *stop));
        let mut sender = UdpSender::new();
        let mut events = Events::with_capacity(inlets.len() + 1);
        let mut is_woken = true;
        loop {
            for inlet in inlets.iter_mut().filter(|inlet| inlet.is_readable) {
                inlet.is_readable = inlet.receiver.receive(|source, local, datagram| {
                    let now = Instant::now();
                    if self.only.as_mut().is_some_and(|only| !only.contain(now, source.ip())) {
                        return;
                    }
                    let source = ClientAddress { transport: Transport::Udp, socket: source, local };
                    self.hub.handle_datagram(now, source, datagram);
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
            let is_readable = inlets.iter().any(|inlet| inlet.is_readable);
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
                match inlets.get_mut(event.token().0) {
                    Some(inlet) => inlet.is_readable = true,
                    None => is_woken = true,
                }
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
                    let source = ClientAddress { transport: Transport::Tcp, socket, local: None };
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
                (Transport::Tcp, None) | (Transport::Turn, _) => {}
            }
        }
    }
}
