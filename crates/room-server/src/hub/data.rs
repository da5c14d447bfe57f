//! Data messages between participants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::limits::DATA_PAYLOAD_MAX;
use protocol::messages::request_response::Reason;
use protocol::messages::{DataChannelReceiveState, DataPacket, ProtoMessage, RequestResponse, Response, data_packet};

use super::Hub;
use super::ids::{ParticipantId, RoomKey};
use super::participant::Participant;
use crate::forwarding::core::DataKind;

/// Room for the fields around the payload.
const OVERHEAD_MAX: usize = 2048;
/// Clients are told at most this often that their data are refused.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);
/// Reliable packets are kept this long for those who take up a lost connection, and at most so many bytes of them per
/// sender.
const KEPT_FOR: Duration = Duration::from_secs(20);
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The last reliable packets of one sender that have a sequence number.
#[derive(Debug, Default)]
pub struct SentData {
    packets: VecDeque<SentPacket>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct SentPacket {
    sequence: u32,
    at: Instant,
    destinations: Vec<String>,
    encoded: Bytes,
}

impl SentData {
    fn push(&mut self, packet: SentPacket) {
        let now = packet.at;
        self.bytes += packet.encoded.len();
        self.packets.push_back(packet);
        while let Some(oldest) = self.packets.front() {
            if self.bytes <= KEPT_BYTES_MAX && now.saturating_duration_since(oldest.at) <= KEPT_FOR {
                break;
            }
            self.bytes -= oldest.encoded.len();
            self.packets.pop_front();
        }
    }
}

impl Hub {
    /// Passes a message on to those it is for, or to everybody else in the room. Who sent it is what we know, not
    /// what the message says.
    pub(super) fn data_received(&mut self, now: Instant, from: ParticipantId, kind: DataKind, bytes: &[u8]) {
        let Some(sender) = self.participants.get_mut(&from) else { return };
        if !sender.permission.publish_data {
            sender.refuse_data(now, Reason::NotAllowed, "the token does not allow to send data".to_owned());
            return;
        }
        if bytes.len() > DATA_PAYLOAD_MAX + OVERHEAD_MAX {
            let message = format!("a data packet of {} bytes is too long, {DATA_PAYLOAD_MAX} may be", bytes.len());
            sender.refuse_data(now, Reason::LimitExceeded, message);
            return;
        }
        let Ok(mut packet) = DataPacket::decode(bytes) else { return };
        if kind == DataKind::Reliable && packet.sequence != 0 {
            // After a resume the client repeats what it is not sure of.
            if packet.sequence <= sender.last_data_sequence {
                return;
            }
            sender.last_data_sequence = packet.sequence;
        }
        packet.participant_identity.clone_from(&sender.identity);
        packet.participant_sid.clone_from(&sender.sid);
        let room = sender.room.clone();
        let destinations = take_destinations(&mut packet, &sender.identity, &sender.sid);
        let encoded = Bytes::from(packet.encode_to_vec());
        if kind == DataKind::Reliable && packet.sequence != 0 {
            let (destinations, encoded) = (destinations.clone(), encoded.clone());
            sender.sent_data.push(SentPacket { sequence: packet.sequence, at: now, destinations, encoded });
        }
        self.send_data_to(now, &room, Some(from), kind, &destinations, &encoded);
    }

    /// Sends an encoded packet to those members of a room who are in `destinations`, or to all if that is empty.
    pub(super) fn send_data_to(
        &mut self,
        now: Instant,
        room: &RoomKey,
        except: Option<ParticipantId>,
        kind: DataKind,
        destinations: &[String],
        encoded: &[u8],
    ) {
        for member in self.members_of(room) {
            let Some(participant) = self.participants.get(&member).filter(|_| Some(member) != except) else { continue };
            // The connection of who has just joined keeps reliable packets until it is up; what is missed later, in an
            // outage, is repeated after the resume.
            let takes = participant.subscriber_up || (kind == DataKind::Reliable && !participant.is_active);
            if takes && is_addressed(participant, destinations) {
                let leg = participant.subscriber;
                let sent = self.legs.act(leg, now, |connection| connection.send_data(now, kind, encoded));
                if sent == Some(false) {
                    tracing::debug!(?member, ?kind, "data dropped");
                }
            }
        }
    }

    /// After a resume: repeats what the client did not get, by its own account of the last packet of each sender. Of a
    /// sender that it does not name it gets what was sent while it was away. Clients drop what they know.
    pub(super) fn repeat_data(&mut self, now: Instant, id: ParticipantId, states: &[DataChannelReceiveState]) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let away_since = participant.missed_since.take();
        let leg = participant.subscriber;
        let Some(participant) = self.participants.get(&id) else { return };
        let mut missed = Vec::new();
        for member in self.members_of(&participant.room) {
            let Some(sender) = self.participants.get(&member).filter(|_| member != id) else { continue };
            let known = states.iter().find(|state| state.publisher_sid == sender.sid);
            let is_missed = |packet: &&SentPacket| match known {
                Some(state) => packet.sequence > state.last_seq,
                None => away_since.is_some_and(|since| packet.at >= since),
            };
            let packets = sender.sent_data.packets.iter().filter(is_missed);
            missed.extend(packets.filter(|packet| is_addressed(participant, &packet.destinations)).cloned());
        }
        missed.sort_by_key(|packet| packet.at);
        for packet in missed {
            self.legs.act(leg, now, |connection| connection.send_data(now, DataKind::Reliable, &packet.encoded));
        }
    }
}

impl Participant {
    /// Tells the client, but not for each packet of a flood.
    fn refuse_data(&mut self, now: Instant, reason: Reason, message: String) {
        let told = self.data_refused_at.is_some_and(|at| now.saturating_duration_since(at) < REFUSAL_INTERVAL);
        if told {
            return;
        }
        tracing::info!(identity = self.identity, message, "data refused");
        self.data_refused_at = Some(now);
        self.send(Response::RequestResponse(RequestResponse {
            reason: reason as i32,
            message,
            ..RequestResponse::default()
        }));
    }
}

fn is_addressed(participant: &Participant, destinations: &[String]) -> bool {
    destinations.is_empty() || destinations.contains(&participant.identity) || destinations.contains(&participant.sid)
}

/// Takes the identities that a packet is for out of it; older clients write them, and the sender, into the user
/// packet.
#[allow(deprecated)]
fn take_destinations(packet: &mut DataPacket, identity: &str, sid: &str) -> Vec<String> {
    let mut destinations = packet.destination_identities.clone();
    if let Some(data_packet::Value::User(user)) = &mut packet.value {
        user.participant_identity = identity.to_owned();
        user.participant_sid = sid.to_owned();
        destinations.extend(user.destination_identities.iter().chain(&user.destination_sids).cloned());
    }
    destinations
}
