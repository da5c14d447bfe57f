//! One allocation on a relay (RFC 8656) for several addresses of the server. No I/O: time and messages are arguments.
//! Around the stack's own client, which does the requests and keeps allocation, permissions and channels alive.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::crypto::default_provider;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc::stun::message::TransactionId;
use rtc::turn::client::{Client, ClientConfig, Event};

/// Without an allocation by then there is none.
const ALLOCATION_MAX: Duration = Duration::from_secs(8);
/// The relay changes its nonce now and then, and says so to the next request: this is how soon we find out.
const REFRESH: Duration = Duration::from_secs(60);
/// How often a permission is asked for.
const TRIES: u32 = 3;
/// Through a proxy the relay has no address that we know, and the client only needs one to name it by.
const RELAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TurnEvent {
    /// Datagrams reach this address now.
    Permitted(SocketAddr),
    /// They do not.
    Refused(SocketAddr, String),
    /// A datagram of that address.
    Data(SocketAddr, Bytes),
    /// There is no allocation, or none any more.
    Failed(String),
}

struct Peer {
    address: SocketAddr,
    tries: u32,
    request: Option<TransactionId>,
}

/// See the module.
pub(super) struct TurnClient {
    client: Client,
    relayed: Option<SocketAddr>,
    peers: Vec<Peer>,
    deadline: Instant,
    events: VecDeque<TurnEvent>,
}

impl TurnClient {
    /// Asks for an allocation.
    pub(super) fn new(username: &str, credential: &str, is_stream: bool, now: Instant) -> Result<Self, Error> {
        let config = ClientConfig {
            turn_serv_addr: RELAY.to_string(),
            transport_protocol: if is_stream { TransportProtocol::TCP } else { TransportProtocol::UDP },
            username: username.to_owned(),
            password: credential.to_owned(),
            allocation_refresh_interval_cap: Some(REFRESH),
            ..ClientConfig::default()
        };
        let provider = default_provider().map_err(|error| Error::Other(error.to_string()))?;
        let mut client = Client::new(config, provider)?;
        client.allocate(now)?;
        let (peers, events) = (Vec::new(), VecDeque::new());
        Ok(Self { client, relayed: None, peers, deadline: now + ALLOCATION_MAX, events })
    }

    /// Datagrams shall reach this address.
    pub(super) fn want(&mut self, address: SocketAddr, now: Instant) {
        if self.peers.iter().all(|peer| peer.address != address) {
            self.peers.push(Peer { address, tries: 0, request: None });
            self.ask(now);
        }
    }

    /// Asks for the permissions that have not been asked for.
    fn ask(&mut self, now: Instant) {
        let Some(relayed) = self.relayed else { return };
        for peer in self.peers.iter_mut().filter(|peer| peer.request.is_none() && peer.tries < TRIES) {
            peer.tries += 1;
            let asked = self.client.relay(relayed).and_then(|mut relay| relay.create_permission(now, peer.address));
            match asked {
                Ok(request) => peer.request = request,
                Err(error) => self.events.push_back(TurnEvent::Refused(peer.address, error.to_string())),
            }
        }
    }

    /// Sends a datagram to one of the addresses; without permission it is lost.
    pub(super) fn send(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if let Some(relayed) = self.relayed
            && let Ok(mut relay) = self.client.relay(relayed)
            && let Err(error) = relay.send_to(now, datagram, address)
        {
            tracing::trace!(%error, "not relayed");
        }
    }

    /// A message of the relay.
    pub(super) fn receive(&mut self, message: &[u8], now: Instant) {
        let transport = TransportContext { local_addr: RELAY, peer_addr: RELAY, ..TransportContext::default() };
        let message = TaggedBytesMut { now, transport, message: BytesMut::from(message) };
        if let Err(error) = self.client.handle_read(message) {
            tracing::debug!(%error, "a message of the relay is not understood");
        }
        self.look(now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if let Err(error) = self.client.handle_timeout(now) {
            tracing::debug!(%error, "the relay's client");
        }
        if self.relayed.is_none() && now >= self.deadline {
            self.events.push_back(TurnEvent::Failed("no answer".to_owned()));
        }
        self.look(now);
    }

    fn look(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::AllocateResponse(_, relayed) => {
                    tracing::debug!(%relayed, "relay allocated");
                    self.relayed = Some(relayed);
                }
                Event::AllocateError(_, error) => self.events.push_back(TurnEvent::Failed(error.to_string())),
                Event::CreatePermissionResponse(_, peer) => self.events.push_back(TurnEvent::Permitted(peer)),
                Event::CreatePermissionError(request, error) => self.refused(request, &error),
                Event::DataIndicationOrChannelData(_, peer, data) if self.peers.iter().any(|p| p.address == peer) => {
                    self.events.push_back(TurnEvent::Data(peer, data.freeze()));
                }
                Event::TransactionTimeout(request) => self.refused(request, &Error::Other("no answer".to_owned())),
                _ => {}
            }
        }
        self.ask(now);
    }

    fn refused(&mut self, request: TransactionId, error: &Error) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.request == Some(request)) {
            peer.request = None;
            if *error != Error::ErrTryAgain || peer.tries >= TRIES {
                peer.tries = TRIES;
                self.events.push_back(TurnEvent::Refused(peer.address, error.to_string()));
            }
        }
    }

    /// When [`Self::tick`] wants to be called.
    pub(super) fn next(&mut self) -> Instant {
        let deadline = if self.relayed.is_none() { Some(self.deadline) } else { None };
        let next = [self.client.poll_timeout(), deadline].into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + REFRESH)
    }

    /// The next message for the relay.
    pub(super) fn transmit(&mut self) -> Option<Bytes> {
        self.client.poll_write().map(|message| message.message.freeze())
    }

    pub(super) fn event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// Gives the allocation back: there is one more message to send.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(relayed) = self.relayed
            && let Ok(mut relay) = self.client.relay(relayed)
        {
            let _ = relay.close(now);
        }
    }
}
