//! The media thread: event loop around the hub, the UDP sockets and the datagrams over TCP.

use std::io;
use std::net::SocketAddr;
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
use super::streams::{Ends, FromStream, Streams};
use super::turn_relay::TurnRelay;
use super::udp::sender::UdpSender;
use super::udp::{UdpReceiver, UdpSockets};
use crate::forwarding::core::{ClientAddress, Transport};
use crate::hub::Hub;
use crate::hub::command::Command;

/// Commands, and datagrams over TCP, that are handled at once before others, and the timers, are served.
const AT_ONCE: usize = 64;
/// This many datagrams do not wait for others.
const ENOUGH: usize = 16;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Wakes the thread: for datagrams at the socket of that number, or for anything else from other threads.
const OTHERS: Token = Token(usize::MAX);

/// The running thread.
pub struct MediaLoop {
    thread: JoinHandle<()>,
}

impl MediaLoop {
    /// Starts the thread. It ends when `stop` becomes true or its sender is dropped. Datagrams of others than `only` are ignored.
    /// `turn` comes with its UDP sockets.
    ///
    /// # Errors
    /// The system has no threads left.
    /// What the system says when it has no threads left.
    pub fn start(
        hub: Hub,
        sockets: Vec<std::net::UdpSocket>,
        tcp: Option<Streams>,
        turn: Option<(TurnRelay, Vec<std::net::UdpSocket>)>,
        only: Option<OwnAddresses>,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let mut inlets = Vec::new();
        let (turn, turn_sockets) = turn.unzip();
        let media = sockets.iter().map(|socket| (socket, Inlet::media as fn(MioSocket) -> io::Result<Inlet>));
        let turn_inlets = turn_sockets.iter().flatten().map(|socket| (socket, Inlet::turn as fn(_) -> _));
        for (at, (socket, inlet)) in media.chain(turn_inlets).enumerate() {
            let mut socket = MioSocket::from_std(socket.try_clone()?);
            // To be notified of room for sending as well would wake the thread after most of the datagrams that it sends.
            poll.registry().register(&mut socket, Token(at), Interest::READABLE)?;
            inlets.push((socket, inlet));
        }
        let lanes = SendLanes::start(UdpSockets::new(sockets)?)?;
        let waker = Waker::from(Arc::new(OtherThreads(mio::Waker::new(poll.registry(), OTHERS)?)));
        let state = State { hub, lanes, tcp, turn, only, commands };
        let thread = std::thread::Builder::new().name("room-media".to_owned()).spawn(move || {
            match inlets.into_iter().map(|(socket, inlet)| inlet(socket)).collect() {
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
    /// The address at which the relay's messages arrive; `None` where media do.
    turn: Option<SocketAddr>,
    /// Whether there may be something to read.
    is_readable: bool,
}

impl Inlet {
    fn media(socket: MioSocket) -> io::Result<Self> {
        Ok(Self { receiver: UdpReceiver::new(socket)?, turn: None, is_readable: true })
    }

    fn turn(socket: MioSocket) -> io::Result<Self> {
        let turn = Some(socket.local_addr()?);
        Ok(Self { receiver: UdpReceiver::new(socket)?, turn, is_readable: true })
    }
}

/// The state of the thread.
struct State {
    hub: Hub,
    lanes: SendLanes,
    tcp: Option<Streams>,
    turn: Option<TurnRelay>,
    /// Whose datagrams are accepted; `None` accepts all.
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
                    match (inlet.turn, &mut self.turn) {
                        (Some(bound), Some(turn)) => {
                            let hub = &mut self.hub;
                            turn.receive(now, source, local.unwrap_or(bound), datagram, |client, datagram| {
                                hub.handle_datagram(now, client, datagram);
                            });
                        }
                        _ => {
                            let source = ClientAddress { transport: Transport::Udp, socket: source, local };
                            self.hub.handle_datagram(now, source, datagram);
                        }
                    }
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
                is_woken |= self.take_from_turn(&mut context);
            }
            if self.hub.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.hub.handle_timeout(Instant::now());
            }
            if let Some(turn) = &mut self.turn {
                turn.handle_timeout(Instant::now());
            }
            self.collect();
            self.lanes.flush(&mut sender);
            if let Some(turn) = &mut self.turn {
                turn.flush(&mut sender);
            }
            let turn_deadline = self.turn.as_ref().and_then(TurnRelay::deadline);
            let deadline = [self.hub.deadline(), turn_deadline].into_iter().flatten().min();
            let idle = || deadline.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
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

    /// Handles commands, up to a limit. Pending when none is left for now, `None` when there will be no more.
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

    /// Handles datagrams over TCP, up to a limit. True when there may be more.
    fn take_from_tcp(&mut self, context: &mut Context<'_>) -> bool {
        for _ in 0..AT_ONCE {
            let Some(tcp) = &mut self.tcp else { return false };
            match tcp.poll_receive(context) {
                Poll::Ready(Some(FromStream::Datagram(Ends { remote, local }, datagram))) => {
                    let source = ClientAddress { transport: Transport::Tcp, socket: remote, local: Some(local) };
                    self.hub.handle_datagram(Instant::now(), source, &datagram);
                }
                Poll::Ready(Some(FromStream::Closed(_))) => {}
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    /// Handles messages over connections with the relay, up to a limit. True when there may be more.
    fn take_from_turn(&mut self, context: &mut Context<'_>) -> bool {
        for _ in 0..AT_ONCE {
            let (Some(turn), hub, now) = (&mut self.turn, &mut self.hub, Instant::now()) else { return false };
            let taken = turn.poll_streams(now, context, |client, datagram| hub.handle_datagram(now, client, datagram));
            match taken {
                Poll::Ready(Some(())) => self.collect(),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    /// Collects the hub's datagrams.
    fn collect(&mut self) {
        while let Some(datagram) = self.hub.poll_datagram() {
            match datagram.destination {
                ClientAddress { transport: Transport::Udp, .. } => self.lanes.push(datagram),
                ClientAddress { transport: Transport::Tcp, socket: remote, local: Some(local) } => {
                    if let Some(tcp) = &self.tcp {
                        tcp.send(Ends { remote, local }, datagram.into_bytes());
                    }
                }
                ClientAddress { transport: Transport::Turn, .. } => {
                    if let Some(turn) = &mut self.turn {
                        turn.send(Instant::now(), datagram);
                    }
                }
                ClientAddress { transport: Transport::Tcp, local: None, .. } => {}
            }
        }
    }
}
