//! Retransmission of DTLS handshake flights, independent of the stack's own timer. Sans-IO.
//!
//! RFC 6347, section 4.2.4: an endpoint that waits repeats its last flight, by a timer and whenever the other end repeats
//! its own. The stack (`rtc-dtls` 0.21) stops its timer when anything arrives, repetitions included, and never starts it
//! again: after a loss of our flight, a repetition from the other end leaves both ends waiting for ever. So repetitions of
//! the other end are kept from the stack and answered with our last flight as it was sent. A timer repeats it as well,
//! starting well below the stack's second.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Time to the first repetition of a flight; each further one takes twice as long.
const MIN_REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// Longest time between repetitions.
const MAX_REPEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Shortest time between two answers to repetitions of the other end.
const MIN_ANSWER_INTERVAL: Duration = Duration::from_millis(20);
/// Datagrams that follow each other within this time belong to one flight.
const FLIGHT_GAP: Duration = Duration::from_millis(50);
/// Number of repetitions of a flight; what arrives after them is not meant for us.
const MAX_REPETITIONS: u32 = 20;
/// Datagrams of a flight that are kept.
const MAX_FLIGHT_DATAGRAMS: usize = 16;
/// Messages of the other end that are remembered.
const MAX_HEARD_MESSAGES: usize = 256;

/// Length of a record's header (RFC 6347, section 4.1).
const RECORD_HEADER: usize = 13;
/// Content type of ChangeCipherSpec.
const CHANGE_CIPHER_SPEC: u8 = 20;
/// Content type of handshake messages.
const HANDSHAKE: u8 = 22;
/// Content type of application data.
const APPLICATION_DATA: u8 = 23;

/// Whether a datagram is DTLS (RFC 7983, section 7).
pub(crate) fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// What to do with a received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Pass it to the stack.
    Pass,
    /// Drop it: it is a repetition that the stack has answered.
    Repeated,
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

/// The records of a datagram, up to the first malformed one.
fn records(mut rest: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (&[kind, _, _, epoch_high, epoch_low, .., length_high, length_low], after) =
            rest.split_first_chunk::<RECORD_HEADER>()?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (body, after) = after.split_at_checked(length)?;
        rest = after;
        Some(Record { kind, epoch: u16::from_be_bytes([epoch_high, epoch_low]), body })
    })
}

/// The handshake flights of one socket.
#[derive(Default)]
pub(crate) struct DtlsFlights {
    /// Our last flight.
    flight: Vec<(Vec<u8>, SocketAddr)>,
    last_sent: Option<Instant>,
    repetitions: u32,
    repeat_at: Option<Instant>,
    /// Hashes of the handshake messages received.
    received: HashSet<u64>,
    /// A new message was received since our last flight.
    is_answer_due: bool,
    is_over: bool,
}

impl DtlsFlights {
    /// Notes a datagram that the stack sends.
    pub(crate) fn on_sent(&mut self, now: Instant, datagram: &[u8], to: SocketAddr) {
        let is_handshake = matches!(datagram.first(), Some(&(CHANGE_CIPHER_SPEC | HANDSHAKE)));
        if self.is_over || !is_handshake {
            return;
        }
        let is_other = self.last_sent.is_none_or(|last| now.saturating_duration_since(last) > FLIGHT_GAP);
        if self.is_answer_due || is_other {
            self.flight.clear();
            self.repetitions = 0;
        }
        self.is_answer_due = false;
        if self.flight.len() < MAX_FLIGHT_DATAGRAMS {
            self.flight.push((datagram.to_vec(), to));
        }
        self.last_sent = Some(now);
        self.repeat_at = Some(now + self.wait());
    }

    /// Notes a received datagram and decides what to do with it.
    pub(crate) fn on_received(&mut self, now: Instant, datagram: &[u8]) -> Decision {
        if self.is_over {
            return Decision::Pass;
        }
        let (mut is_new, mut messages) = (false, 0);
        for record in records(datagram) {
            if record.epoch > 0 {
                // The other end has finished, so it has received our flights; the stack can do the rest.
                self.is_over |= matches!(record.kind, HANDSHAKE | APPLICATION_DATA);
                is_new = true;
            } else if record.kind == HANDSHAKE {
                messages += 1;
                is_new |= self.is_first(record.body);
            } else if record.kind != CHANGE_CIPHER_SPEC {
                is_new = true;
            }
        }
        if self.is_over {
            (self.flight, self.received, self.repeat_at) = Default::default();
        }
        self.is_answer_due |= is_new;
        // The stack may have dropped what it has not answered: its DTLS begins after its ICE.
        if self.is_answer_due || self.flight.is_empty() || messages == 0 {
            return Decision::Pass;
        }
        let earliest = self.last_sent.map_or(now, |last| last + MIN_ANSWER_INTERVAL);
        self.repeat_at = self.repeat_at.map(|planned| planned.min(earliest.max(now)));
        Decision::Repeated
    }

    fn is_first(&mut self, message: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        self.received.len() >= MAX_HEARD_MESSAGES || self.received.insert(hasher.finish())
    }

    /// When [`Self::poll_due`] has something to repeat.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.repeat_at
    }

    /// The flight to repeat now; empty if none is due.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Vec<(Vec<u8>, SocketAddr)> {
        if self.repeat_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let next = now + self.wait();
        self.repetitions += 1;
        self.last_sent = Some(now);
        self.repeat_at = (self.repetitions < MAX_REPETITIONS).then_some(next);
        self.flight.clone()
    }

    fn wait(&self) -> Duration {
        MIN_REPEAT_INTERVAL.saturating_mul(1 << self.repetitions).min(MAX_REPEAT_INTERVAL)
    }

    /// Whether the handshake is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7);
    const MS: Duration = Duration::from_millis(1);

    fn record(kind: u8, epoch: u16, sequence: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 254, 253];
        record.extend(epoch.to_be_bytes());
        record.extend([0, 0, 0, 0, 0, sequence]);
        record.extend((body.len() as u16).to_be_bytes());
        record.extend(body);
        record
    }

    fn hello(sequence: u8) -> Vec<u8> {
        record(HANDSHAKE, 0, sequence, b"hello")
    }

    #[test]
    fn a_flight_is_repeated_until_the_other_end_has_finished() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        flights.on_sent(start, &hello(0), TO);
        flights.on_sent(start + MS, &hello(1), TO);
        assert_eq!(flights.poll_due(start + 99 * MS), vec![]);
        assert_eq!(flights.poll_due(start + 101 * MS), vec![(hello(0), TO), (hello(1), TO)]);
        assert_eq!(flights.next_timeout(), Some(start + 201 * MS));
        assert_eq!(flights.poll_due(start + 201 * MS).len(), 2);
        assert_eq!(flights.next_timeout(), Some(start + 401 * MS));
        let finished = record(HANDSHAKE, 1, 0, b"secret");
        assert_eq!(flights.on_received(start + 250 * MS, &finished), Decision::Pass);
        assert!(flights.is_over());
        assert_eq!((flights.next_timeout(), flights.poll_due(start + 900 * MS).len()), (None, 0));
    }

    #[test]
    fn a_repetition_is_kept_from_the_stack_and_answered_soon() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        let theirs = [record(HANDSHAKE, 0, 0, b"one"), record(HANDSHAKE, 0, 1, b"two")].concat();
        assert_eq!(flights.on_received(start, &theirs), Decision::Pass);
        flights.on_sent(start + MS, &hello(0), TO);
        // As it is repeated: the same messages under other record numbers.
        let again = [record(HANDSHAKE, 0, 2, b"one"), record(HANDSHAKE, 0, 3, b"two")].concat();
        assert_eq!(flights.on_received(start + 40 * MS, &again), Decision::Repeated);
        assert_eq!(flights.poll_due(start + 40 * MS), vec![(hello(0), TO)]);
        assert_eq!(flights.on_received(start + 41 * MS, &again), Decision::Repeated);
        assert_eq!(flights.poll_due(start + 41 * MS).len(), 0);
        assert_eq!(flights.poll_due(start + 60 * MS).len(), 1);
    }

    #[test]
    fn the_missing_part_of_a_flight_reaches_the_stack() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        assert_eq!(flights.on_received(start, &record(HANDSHAKE, 0, 0, b"one")), Decision::Pass);
        let both = [record(HANDSHAKE, 0, 2, b"one"), record(HANDSHAKE, 0, 3, b"two")].concat();
        assert_eq!(flights.on_received(start, &both), Decision::Pass);
    }

    #[test]
    fn a_new_flight_replaces_the_one_before() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        flights.on_sent(start, &hello(0), TO);
        flights.on_received(start + 5 * MS, &record(HANDSHAKE, 0, 0, b"verify"));
        flights.on_sent(start + 6 * MS, &hello(1), TO);
        assert_eq!(flights.poll_due(start + 200 * MS), vec![(hello(1), TO)]);
    }

    #[test]
    fn an_unanswered_flight_reaches_the_stack_again() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        let theirs = record(HANDSHAKE, 0, 0, b"verify");
        // Before it has sent anything: it may not have listened yet.
        assert_eq!([1, 2].map(|ms| flights.on_received(start + ms * MS, &theirs)), [Decision::Pass; 2]);
        flights.on_sent(start + 3 * MS, &hello(0), TO);
        assert_eq!(flights.on_received(start + 50 * MS, &theirs), Decision::Repeated);
        let next = record(HANDSHAKE, 0, 1, b"part of the next");
        assert_eq!([51, 52].map(|ms| flights.on_received(start + ms * MS, &next)), [Decision::Pass; 2]);
        assert_eq!(flights.poll_due(start + 52 * MS), vec![(hello(0), TO)], "planned before");
        assert_eq!(flights.poll_due(start + 120 * MS), vec![]);
    }

    #[test]
    fn records_after_the_end_do_not_restart_the_handshake() {
        let mut flights = DtlsFlights::default();
        let both = [record(HANDSHAKE, 1, 0, b"finished"), record(21, 1, 1, b"alert")].concat();
        flights.on_received(Instant::now(), &both);
        assert!(flights.is_over());
    }

    #[test]
    fn repetitions_are_not_answered_forever() {
        let start = Instant::now();
        let mut flights = DtlsFlights::default();
        flights.on_received(start, &hello(0));
        flights.on_sent(start, &hello(9), TO);
        let mut sent = 0;
        for tick in 1..100_000 {
            flights.on_received(start + tick * MS, &hello(1));
            sent += flights.poll_due(start + tick * MS).len();
        }
        assert_eq!(sent, MAX_REPETITIONS as usize);
    }

    #[test]
    fn malformed_datagrams_pass_and_leave_no_state() {
        let mut random = netsim::Random::new(0x7e57);
        let mut flights = DtlsFlights::default();
        let start = Instant::now();
        for _ in 0..10_000 {
            let length = random.index(60);
            let datagram: Vec<u8> = (0..length).map(|_| 20 + random.below(4) as u8).collect();
            flights.on_received(start, &datagram);
        }
        let cut = &hello(0)[..10];
        assert_eq!(DtlsFlights::default().on_received(start, cut), Decision::Pass);
        assert!(flights.received.len() <= MAX_HEARD_MESSAGES);
    }
}
