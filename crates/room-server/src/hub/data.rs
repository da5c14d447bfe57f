//! Data messages between participants.

use std::time::Instant;

use protocol::limits::DATA_PAYLOAD_MAX;
use protocol::messages::{DataPacket, ProtoMessage, data_packet};

use super::Hub;
use super::ids::ParticipantId;
use crate::forwarding::core::DataKind;

/// Room for the fields around the payload.
const OVERHEAD_MAX: usize = 2048;

impl Hub {
    /// Passes a message on to those it is for, or to everybody else in the room. Who sent it is what we know, not
    /// what the message says.
    pub(super) fn data_received(&mut self, now: Instant, from: ParticipantId, kind: DataKind, bytes: &[u8]) {
        let Some(sender) = self.participants.get_mut(&from) else { return };
        if !sender.permission.publish_data || bytes.len() > DATA_PAYLOAD_MAX + OVERHEAD_MAX {
            tracing::debug!(identity = sender.identity, length = bytes.len(), "data refused");
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
        let bytes = packet.encode_to_vec();
        for member in self.members_of(&room) {
            let Some(participant) = self.participants.get(&member).filter(|_| member != from) else { continue };
            let addressed = destinations.is_empty()
                || destinations.contains(&participant.identity)
                || destinations.contains(&participant.sid);
            if addressed && participant.subscriber_up {
                let leg = participant.subscriber;
                let sent = self.legs.act(leg, now, |connection| connection.send_data(now, kind, &bytes));
                if sent == Some(false) {
                    tracing::debug!(?member, ?kind, "data dropped");
                }
            }
        }
    }
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
