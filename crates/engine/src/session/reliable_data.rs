//! Reliable data over a resume: sent packets that the server missed are repeated, received duplicates are dropped, by
//! sequence numbers as LiveKit's clients do it. Pure: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use protocol::messages::{DataChannelReceiveState, DataPacket};
use tokio::time::Instant;

/// How long sent packets are kept, below the limit of bytes: a resume succeeds sooner or not at all.
const KEPT_FOR: Duration = Duration::from_secs(30);
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Our side of the reliable channel.
#[derive(Debug, Default)]
pub(super) struct ReliableData {
    last_sent: u32,
    kept: VecDeque<(u32, Instant, Bytes)>,
    kept_bytes: usize,
    /// Last sequence number by the sender's sid.
    received: HashMap<String, u32>,
}

impl ReliableData {
    /// Numbers a packet that is about to be sent; returns its bytes.
    pub(super) fn send(&mut self, mut packet: DataPacket, now: Instant) -> Bytes {
        self.last_sent = self.last_sent.wrapping_add(1);
        packet.sequence = self.last_sent;
        let bytes = Bytes::from(packet.encode_to_vec());
        self.kept_bytes += bytes.len();
        self.kept.push_back((self.last_sent, now, bytes.clone()));
        while let Some((_, at, oldest)) = self.kept.front() {
            if self.kept_bytes <= MAX_KEPT_BYTES && now.duration_since(*at) <= KEPT_FOR {
                break;
            }
            self.kept_bytes -= oldest.len();
            self.kept.pop_front();
        }
        bytes
    }

    /// The packets to send again if the server's last packet from us is number `last_seen`.
    pub(super) fn missed(&self, last_seen: u32) -> impl Iterator<Item = Bytes> + '_ {
        self.kept.iter().filter(move |(sequence, ..)| *sequence > last_seen).map(|(.., bytes)| bytes.clone())
    }

    /// Whether a packet is new. Packets without a number, from older clients and servers, always are.
    pub(super) fn receive(&mut self, packet: &DataPacket) -> bool {
        if packet.sequence == 0 || packet.participant_sid.is_empty() {
            return true;
        }
        match self.received.get_mut(&packet.participant_sid) {
            Some(last) if packet.sequence <= *last => return false,
            Some(last) => *last = packet.sequence,
            None => {
                self.received.insert(packet.participant_sid.clone(), packet.sequence);
            }
        }
        true
    }

    /// The last packet of each sender that was received.
    pub(super) fn receive_states(&self) -> Vec<DataChannelReceiveState> {
        let state =
            |(sid, last): (&String, &u32)| DataChannelReceiveState { publisher_sid: sid.clone(), last_seq: *last };
        self.received.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(sid: &str, sequence: u32) -> DataPacket {
        DataPacket { participant_sid: sid.into(), sequence, ..DataPacket::default() }
    }

    #[test]
    fn packets_that_the_server_missed_are_sent_again() {
        let mut data = ReliableData::default();
        let now = Instant::now();
        let sent: Vec<Bytes> = (0..3).map(|_| data.send(DataPacket::default(), now)).collect();
        assert_eq!(data.missed(1).collect::<Vec<_>>(), sent[1..]);
        assert_eq!(data.missed(3).count(), 0);
    }

    #[test]
    fn old_packets_are_not_kept() {
        let mut data = ReliableData::default();
        let now = Instant::now();
        data.send(DataPacket::default(), now);
        data.send(DataPacket::default(), now + Duration::from_secs(31));
        assert_eq!(data.missed(0).count(), 1);
    }

    #[test]
    fn a_repeated_packet_is_dropped_but_not_one_of_another_sender_or_without_a_number() {
        let mut data = ReliableData::default();
        assert!(data.receive(&from("PA_a", 4)));
        assert!(!data.receive(&from("PA_a", 4)));
        assert!(!data.receive(&from("PA_a", 3)));
        assert!(data.receive(&from("PA_b", 1)));
        assert!(data.receive(&from("PA_a", 0)));
        assert!(data.receive(&from("PA_a", 5)));
        let states = data.receive_states();
        assert!(states.contains(&DataChannelReceiveState { publisher_sid: "PA_a".into(), last_seq: 5 }));
    }
}
