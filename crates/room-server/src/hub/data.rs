//! Data messages between participants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::limits::MAX_DATA_PAYLOAD;
use protocol::messages::request_response::Reason;
use protocol::messages::{DataChannelReceiveState, DataPacket, ProtoMessage, RequestResponse, Response, data_packet};

use super::Hub;
use super::ids::{ParticipantId, RoomKey};
use super::participant::Participant;
use crate::forwarding::core::DataKind;

/// Room for the fields around the payload.
const MAX_OVERHEAD: usize = 2048;
/// Minimum interval of refusals of data.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);
/// Reliable packets are kept this long for participants that resume, up to a number of bytes for each sender.
const KEPT_FOR: Duration = Duration::from_secs(20);
const MAX_KEPT_BYTES: usize = 1024 * 1024;

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
            if self.bytes <= MAX_KEPT_BYTES && now.saturating_duration_since(oldest.at) <= KEPT_FOR {
                break;
            }
            self.bytes -= oldest.encoded.len();
            self.packets.pop_front();
        }
    }
}

impl Hub {
    /// Forwards a message to its destinations, or to all other participants of the room. Its sender is the one known here,
    /// not the one in the message.
    pub(super) fn data_received(&mut self, now: Instant, from: ParticipantId, kind: DataKind, bytes: &[u8]) {
        let Some(sender) = self.participants.get_mut(&from) else { return };
        if !sender.permission.publish_data {
            sender.refuse_data(now, Reason::NotAllowed, "the token does not allow to send data".to_owned());
            return;
        }
        if bytes.len() > MAX_DATA_PAYLOAD + MAX_OVERHEAD {
            let message = format!("a data packet of {} bytes is too long, {MAX_DATA_PAYLOAD} may be", bytes.len());
            sender.refuse_data(now, Reason::LimitExceeded, message);
            return;
        }
        let Ok(mut packet) = DataPacket::decode(bytes) else { return };
        if kind == DataKind::Reliable && packet.sequence != 0 {
            // After a resume the client repeats packets of which it is not sure.
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

    /// Sends an encoded packet to the participants of a room in `destinations`, or to all if that is empty.
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
            // A participant that has just joined gets reliable packets once its connection is up; those of a later outage are
            // repeated after the resume.
            let takes = participant.subscriber_up || (kind == DataKind::Reliable && !participant.is_active);
            if takes && is_addressed(participant, destinations) {
                let peer = participant.subscriber;
                let sent = self.peers.act(peer, now, |connection| connection.send_data(now, kind, encoded));
                if sent == Some(false) {
                    tracing::debug!(?member, ?kind, "data dropped");
                }
            }
        }
    }

    /// After a resume: repeats the packets that the client missed, by its list of the last packet of each sender. Of a sender
    /// that is not in the list it gets the packets of the outage. Clients drop duplicates.
    pub(super) fn repeat_data(&mut self, now: Instant, id: ParticipantId, states: &[DataChannelReceiveState]) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let away_since = participant.missed_since.take();
        let peer = participant.subscriber;
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
            self.peers.act(peer, now, |connection| connection.send_data(now, DataKind::Reliable, &packet.encoded));
        }
    }
}

impl Participant {
    /// Notifies the client, but not for each packet of a flood.
    fn refuse_data(&mut self, now: Instant, reason: Reason, message: String) {
        let last_sent = self.data_refused_at.is_some_and(|at| now.saturating_duration_since(at) < REFUSAL_INTERVAL);
        if last_sent {
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

/// Takes the destination identities out of a packet; older clients write them, and the sender, into the user packet.
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
