//! One allocation on a relay (RFC 8656) for several addresses of the server. Sans-IO: time and messages are arguments.
//!
//! Wraps the stack's own client, which sends the requests and refreshes the allocation, permissions and channels.

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

/// Time-out of the allocation.
const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest interval between requests: the relay reports a changed nonce only in an answer.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// Attempts to obtain a permission.
const MAX_ATTEMPTS: u32 = 3;
/// Placeholder for the address of the relay, which is unknown behind a proxy; the client only needs one as a name.
const RELAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// Event of a [`TurnClient`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TurnEvent {
    /// Datagrams can be sent to this address from now on.
    Permitted(SocketAddr),
    /// Datagrams cannot be sent to this address.
    Refused(SocketAddr, String),
    /// A datagram from this address.
    Data(SocketAddr, Bytes),
    /// The allocation failed or ended.
    Failed(String),
}

struct Peer {
    address: SocketAddr,
    attempts: u32,
    request: Option<TransactionId>,
}

/// Client of one relay.
pub(super) struct TurnClient {
    client: Client,
    relayed: Option<SocketAddr>,
    peers: Vec<Peer>,
    deadline: Instant,
    events: VecDeque<TurnEvent>,
}

impl TurnClient {
    /// Creates a client and requests an allocation.
    pub(super) fn new(username: &str, credential: &str, is_stream: bool, now: Instant) -> Result<Self, Error> {
        let config = ClientConfig {
            turn_serv_addr: RELAY.to_string(),
            transport_protocol: if is_stream { TransportProtocol::TCP } else { TransportProtocol::UDP },
            username: username.to_owned(),
            password: credential.to_owned(),
            allocation_refresh_interval_cap: Some(REFRESH_INTERVAL),
            ..ClientConfig::default()
        };
        let provider = default_provider().map_err(|error| Error::Other(error.to_string()))?;
        let mut client = Client::new(config, provider)?;
        client.allocate(now)?;
        let (peers, events) = (Vec::new(), VecDeque::new());
        Ok(Self { client, relayed: None, peers, deadline: now + ALLOCATION_TIMEOUT, events })
    }

    /// Requests that datagrams can be sent to this address.
    pub(super) fn add_peer(&mut self, address: SocketAddr, now: Instant) {
        if self.peers.iter().all(|peer| peer.address != address) {
            self.peers.push(Peer { address, attempts: 0, request: None });
            self.request_permissions(now);
        }
    }

    /// Requests the permissions that have not been requested.
    fn request_permissions(&mut self, now: Instant) {
        let Some(relayed) = self.relayed else { return };
        for peer in self.peers.iter_mut().filter(|peer| peer.request.is_none() && peer.attempts < MAX_ATTEMPTS) {
            peer.attempts += 1;
            let requested = self.client.relay(relayed).and_then(|mut relay| relay.create_permission(now, peer.address));
            match requested {
                Ok(request) => peer.request = request,
                Err(error) => self.events.push_back(TurnEvent::Refused(peer.address, error.to_string())),
            }
        }
    }

    /// Sends a datagram to one of the addresses; without a permission it is lost.
    pub(super) fn send(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if let Some(relayed) = self.relayed
            && let Ok(mut relay) = self.client.relay(relayed)
            && let Err(error) = relay.send_to(now, datagram, address)
        {
            tracing::trace!(%error, "not relayed");
        }
    }

    /// Handles a message of the relay.
    pub(super) fn handle_message(&mut self, message: &[u8], now: Instant) {
        let transport = TransportContext { local_addr: RELAY, peer_addr: RELAY, ..TransportContext::default() };
        let message = TaggedBytesMut { now, transport, message: BytesMut::from(message) };
        if let Err(error) = self.client.handle_read(message) {
            tracing::debug!(%error, "message of the relay not understood");
        }
        self.read_events(now);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.client.handle_timeout(now) {
            tracing::debug!(%error, "the relay's client");
        }
        if self.relayed.is_none() && now >= self.deadline {
            self.events.push_back(TurnEvent::Failed("no answer".to_owned()));
        }
        self.read_events(now);
    }

    fn read_events(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::AllocateResponse(_, relayed) => {
                    tracing::debug!(%relayed, "relay allocated");
                    self.relayed = Some(relayed);
                }
                Event::AllocateError(_, error) => self.events.push_back(TurnEvent::Failed(error.to_string())),
                Event::CreatePermissionResponse(_, peer) => self.events.push_back(TurnEvent::Permitted(peer)),
                Event::CreatePermissionError(request, error) => self.on_refused(request, &error),
                Event::DataIndicationOrChannelData(_, peer, data) if self.peers.iter().any(|p| p.address == peer) => {
                    self.events.push_back(TurnEvent::Data(peer, data.freeze()));
                }
                Event::TransactionTimeout(request) => self.on_refused(request, &Error::Other("no answer".to_owned())),
                _ => {}
            }
        }
        self.request_permissions(now);
    }

    fn on_refused(&mut self, request: TransactionId, error: &Error) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.request == Some(request)) {
            peer.request = None;
            if *error != Error::ErrTryAgain || peer.attempts >= MAX_ATTEMPTS {
                peer.attempts = MAX_ATTEMPTS;
                self.events.push_back(TurnEvent::Refused(peer.address, error.to_string()));
            }
        }
    }

    /// When [`Self::handle_timeout`] has work next.
    pub(super) fn next_timeout(&mut self) -> Instant {
        let deadline = if self.relayed.is_none() { Some(self.deadline) } else { None };
        let next = [self.client.poll_timeout(), deadline].into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + REFRESH_INTERVAL)
    }

    /// The next message for the relay.
    pub(super) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.client.poll_write().map(|message| message.message.freeze())
    }

    /// The next event.
    pub(super) fn poll_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// Releases the allocation; one more message has to be sent.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(relayed) = self.relayed
            && let Ok(mut relay) = self.client.relay(relayed)
        {
            let _ = relay.close(now);
        }
    }
}
