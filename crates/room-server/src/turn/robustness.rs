//! Damaged and implausible messages of clients: each gets an answer or none.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, Data, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::attribute::{AttributeWrite, ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWriteVec, Method,
};
use turn_types::stun::prelude::{MessageWrite, MessageWriteExt};

use super::credentials::Credentials;
use super::server::{Handled, MAX_ALLOCATIONS, REALM, TurnClient, TurnServer, Via};
use netsim::Random;

const SECRET: &[u8] = b"secret of this process";
const NOW: u64 = 1_700_000_000;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn own() -> Vec<SocketAddr> {
    ["203.0.113.1:7", "10.0.0.1:7", "[2001:db8::1]:7"].map(address).to_vec()
}

/// A client and the server that it speaks to.
struct Talk {
    server: TurnServer,
    now: Instant,
    unix_now: u64,
    client: TurnClient,
    credentials: Credentials,
    nonce: String,
}

impl Talk {
    fn new() -> Self {
        let credentials = Credentials::mint(SECRET, "anna", NOW, Duration::from_secs(300));
        let client = Self::client(1);
        let (server, now) = (TurnServer::new(SECRET), Instant::now());
        let mut talk = Self { server, now, unix_now: NOW, client, credentials, nonce: String::new() };
        let first = talk.ask(ALLOCATE, &[]);
        assert_eq!(first, Err(401));
        talk
    }

    fn client(port: u16) -> TurnClient {
        let remote = SocketAddr::new("198.51.100.9".parse().unwrap(), port);
        TurnClient { via: Via::Stream, remote, local: address("10.0.0.1:443") }
    }

    fn allocated() -> Self {
        let mut talk = Self::new();
        talk.allocate().unwrap();
        talk
    }

    fn allocate(&mut self) -> Result<SocketAddr, u16> {
        let answer = self.ask(ALLOCATE, &[&RequestedTransport::new(17)])?;
        let message = Message::from_bytes(&answer).unwrap();
        Ok(message.attribute::<XorRelayedAddress>().unwrap().addr(message.transaction_id()))
    }

    fn sign(&self, message: &mut MessageWriteVec) {
        message.add_attribute(&Username::new(&self.credentials.username).unwrap()).unwrap();
        message.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        message.add_attribute(&Nonce::new(&self.nonce).unwrap()).unwrap();
        let Credentials { username, password } = self.credentials.clone();
        let key = LongTermKeyCredentials::new(username, password, REALM.to_owned());
        message.add_message_integrity(&key.into(), IntegrityAlgorithm::Sha1).unwrap();
    }

    fn request(&self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        attributes.iter().for_each(|attribute| message.add_attribute(*attribute).unwrap());
        if !self.nonce.is_empty() {
            self.sign(&mut message);
        }
        message.finish()
    }

    fn hand_in<'a>(&mut self, bytes: &'a [u8]) -> Handled<'a> {
        self.server.handle(self.now, self.unix_now, self.client, bytes, &own)
    }

    /// The answer, or the error code. Takes a new nonce, if it has one.
    fn answer_to(&mut self, request: &[u8]) -> Result<Vec<u8>, u16> {
        let Handled::Reply(reply) = self.hand_in(request) else { panic!("no reply") };
        let message = Message::from_bytes(&reply).unwrap();
        if let Ok(nonce) = message.attribute::<Nonce>() {
            self.nonce = nonce.nonce().to_owned();
        }
        let refused = message.attribute::<ErrorCode>().map(|error| error.code());
        refused.map_or_else(|_| Ok(reply.clone()), Err)
    }

    fn ask(&mut self, method: Method, attributes: &[&dyn AttributeWrite]) -> Result<Vec<u8>, u16> {
        let request = self.request(method, attributes);
        self.answer_to(&request)
    }

    fn about_peer(&mut self, method: Method, peer: &str, more: &[&dyn AttributeWrite]) -> Result<Vec<u8>, u16> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        message.add_attribute(&XorPeerAddress::new(address(peer), message.transaction_id())).unwrap();
        more.iter().for_each(|attribute| message.add_attribute(*attribute).unwrap());
        self.sign(&mut message);
        self.answer_to(&message.finish())
    }

    fn bind(&mut self, number: u16, peer: &str) -> Result<Vec<u8>, u16> {
        self.about_peer(CHANNEL_BIND, peer, &[&ChannelNumber::new(number)])
    }

    fn indication(&self, peer: &str, bytes: &[u8]) -> Vec<u8> {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        message.add_attribute(&XorPeerAddress::new(address(peer), message.transaction_id())).unwrap();
        message.add_attribute(&Data::new(bytes)).unwrap();
        message.finish()
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.unix_now += seconds;
        self.server.handle_timeout(self.now);
    }
}

#[test]
fn media_pass_both_paths_once_they_are_permitted() {
    let mut talk = Talk::new();
    let relay = talk.allocate().unwrap();
    let peer = address("10.0.0.1:7");
    let check = talk.indication("10.0.0.1:7", b"check");
    assert_eq!(talk.hand_in(&check), Handled::Nothing);
    assert!(talk.server.for_client(talk.now, relay, peer, b"early").is_none());
    talk.about_peer(CREATE_PERMISSION, "10.0.0.1:9", &[]).unwrap();
    assert_eq!(talk.hand_in(&check), Handled::Relay { relay, peer, data: b"check" });
    let (client, back) = talk.server.for_client(talk.now, relay, peer, b"back").unwrap();
    let message = Message::from_bytes(&back).unwrap();
    assert_eq!((client, message.attribute::<Data<'_>>().unwrap().data()), (talk.client, b"back".as_slice()));

    talk.bind(0x4001, "203.0.113.1:7").unwrap();
    let short = [0x40, 1, 0, 2, 8, 9];
    let expected = Handled::Relay { relay, peer: address("203.0.113.1:7"), data: &short[4..] };
    assert_eq!(talk.hand_in(&short), expected);
    let (_, back) = talk.server.for_client(talk.now, relay, address("203.0.113.1:7"), &[5]).unwrap();
    assert_eq!(back, [0x40, 1, 0, 1, 5]);
}

#[test]
fn nothing_but_our_own_media_can_be_reached() {
    let mut talk = Talk::allocated();
    for other in ["10.0.0.2:7", "127.0.0.1:7", "169.254.169.254:80", "203.0.113.2:7"] {
        assert_eq!(talk.about_peer(CREATE_PERMISSION, other, &[]), Err(403), "{other}");
        assert_eq!(talk.bind(0x4000, other), Err(403), "{other}");
    }
    // Another port of ours needs no further permission, which is for the address.
    assert_eq!(talk.bind(0x4000, "10.0.0.1:22"), Err(403));
    talk.about_peer(CREATE_PERMISSION, "10.0.0.1:22", &[]).unwrap();
    let other_port = talk.indication("10.0.0.1:22", b"ssh");
    assert_eq!(talk.hand_in(&other_port), Handled::Nothing);
    assert_eq!(talk.about_peer(CREATE_PERMISSION, "[2001:db8::1]:7", &[]), Err(443));
    talk.client = Talk::client(2);
    talk.ask(ALLOCATE, &[&RequestedTransport::new(17), &RequestedAddressFamily::new(AddressFamily::IPV6)]).unwrap();
    talk.bind(0x4000, "[2001:db8::1]:7").unwrap();
}

#[test]
fn who_does_not_know_the_password_gets_nothing() {
    let mut talk = Talk::new();
    talk.credentials.password.push('x');
    assert_eq!(talk.allocate(), Err(401));
    talk.credentials = Credentials::mint(b"other", "anna", NOW, Duration::from_secs(300));
    assert_eq!(talk.allocate(), Err(401));
    talk.credentials = Credentials::mint(SECRET, "anna", NOW - 301, Duration::from_secs(300));
    assert_eq!(talk.allocate(), Err(401));
    talk.credentials = Credentials { username: "anna".to_owned(), password: String::new() };
    assert_eq!(talk.allocate(), Err(401));
    talk.credentials = Credentials::mint(SECRET, "anna", NOW, Duration::from_secs(300));
    talk.nonce = "nonsense".to_owned();
    assert_eq!(talk.allocate(), Err(438));
    talk.allocate().unwrap();
}

#[test]
fn another_user_cannot_change_an_allocation() {
    let mut talk = Talk::allocated();
    talk.credentials = Credentials::mint(SECRET, "hans", NOW, Duration::from_secs(300));
    assert_eq!(talk.ask(REFRESH, &[&Lifetime::new(0)]), Err(441));
}

#[test]
fn an_allocation_outlives_its_user_name_while_media_flow() {
    let mut talk = Talk::new();
    let relay = talk.allocate().unwrap();
    talk.about_peer(CREATE_PERMISSION, "10.0.0.1:7", &[]).unwrap();
    talk.later(290);
    talk.about_peer(CREATE_PERMISSION, "10.0.0.1:7", &[]).unwrap();
    talk.later(200);
    talk.server.for_client(talk.now, relay, address("10.0.0.1:7"), b"media").unwrap();
    talk.ask(REFRESH, &[]).unwrap();
    talk.later(100);
    assert_eq!(talk.ask(REFRESH, &[]), Err(401));
}

#[test]
fn an_allocation_ends_when_it_is_given_back_or_not_refreshed_or_its_connection_goes() {
    let mut talk = Talk::allocated();
    assert_eq!(talk.allocate(), Err(437));
    talk.ask(REFRESH, &[&Lifetime::new(0)]).unwrap();
    assert_eq!(talk.ask(REFRESH, &[]), Err(437));
    let relay = talk.allocate().unwrap();
    talk.later(601);
    assert!(talk.server.allocations.is_empty());
    assert!(talk.server.for_client(talk.now, relay, address("10.0.0.1:7"), b"x").is_none());

    let mut talk = Talk::allocated();
    talk.server.closed(talk.client);
    assert!(talk.server.allocations.is_empty());
}

#[test]
fn a_request_that_comes_again_gets_the_same_answer() {
    let mut talk = Talk::new();
    let request = talk.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    let first = talk.answer_to(&request).unwrap();
    assert_eq!(talk.answer_to(&request).unwrap(), first);
}

#[test]
fn strange_wishes_are_refused_with_their_reason() {
    let mut talk = Talk::new();
    assert_eq!(talk.ask(ALLOCATE, &[]), Err(400));
    assert_eq!(talk.ask(ALLOCATE, &[&RequestedTransport::new(6)]), Err(442));
    let pair = EvenPort::new(true);
    assert_eq!(talk.ask(ALLOCATE, &[&RequestedTransport::new(17), &pair]), Err(508));
    talk.ask(ALLOCATE, &[&RequestedTransport::new(17), &Lifetime::new(u32::MAX)]).unwrap();
    let lives = talk.server.allocations.values().next().unwrap().ends_at - talk.now;
    assert_eq!(lives, Duration::from_secs(3600));
    assert_eq!(talk.bind(0x3fff, "10.0.0.1:7"), Err(400));
    assert_eq!(talk.bind(0x8000, "10.0.0.1:7"), Err(400));
    talk.bind(0x4000, "10.0.0.1:7").unwrap();
    assert_eq!(talk.bind(0x4000, "203.0.113.1:7"), Err(400));
    assert_eq!(talk.ask(Method::new(0x00a), &[]), Err(400));
    assert_eq!(talk.hand_in(&[0x4f, 0xff, 0, 0]), Handled::Nothing);
}

#[test]
fn one_user_gets_a_dozen_and_all_together_have_an_end() {
    let mut talk = Talk::new();
    for port in 1..=12 {
        talk.client = Talk::client(port);
        talk.allocate().unwrap();
    }
    talk.client = Talk::client(13);
    assert_eq!(talk.allocate(), Err(486));
    assert!(talk.server.allocations.len() < MAX_ALLOCATIONS);
}

#[test]
fn where_a_client_is_can_be_asked_by_all_clients() {
    let mut talk = Talk::new();
    talk.nonce.clear();
    talk.ask(BINDING, &[]).unwrap();
}

/// Valid messages, mutated at random: each result is an answer and not a panic.
#[test]
fn thousands_of_damaged_messages_do_no_harm() {
    let mut talk = Talk::allocated();
    talk.bind(0x4000, "10.0.0.1:7").unwrap();
    let seeds = [
        talk.request(ALLOCATE, &[&RequestedTransport::new(17)]),
        talk.request(REFRESH, &[&Lifetime::new(600)]),
        talk.indication("10.0.0.1:7", b"check"),
        vec![0x40, 0, 0, 4, 1, 2, 3, 4],
        talk.request(BINDING, &[]),
    ];
    let mut random = Random::new(0x7124);
    for round in 0..20_000 {
        let bytes = random.mutate(&seeds[round % seeds.len()]);
        talk.client = Talk::client((round % 7) as u16 + 1);
        let _ = talk.hand_in(&bytes);
    }
    talk.client = Talk::client(1);
    talk.ask(REFRESH, &[]).unwrap();
}
