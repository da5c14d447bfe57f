//! Room messages in data packets, and how many may be sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use protocol::conventions::{TOPIC_BARRAGE, TOPIC_BROADCAST, TOPIC_COMMAND};
use protocol::limits::MAX_MESSAGE_TEXT;
use protocol::messages::{DataPacket, UserPacket, data_packet};

use crate::error::code;

/// Broadcast messages of one user in a second.
const BROADCASTS_PER_SECOND: usize = 2;

/// A received room message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RoomMessage {
    Broadcast { from: String, text: String, id: u64, sent_at_ms: u64 },
    Barrage { from: String, text: String, id: String, sent_at_ms: u64 },
    Command { from: String, text: String },
}

/// The code for a text that may not be sent, if any.
pub(crate) fn check_text(text: &str) -> Result<(), i32> {
    match text.len() {
        0 => Err(code::IM_CONTENT_NULL),
        1..=MAX_MESSAGE_TEXT => Ok(()),
        _ => Err(code::IM_CONTENT_TOO_LONG),
    }
}

/// A broadcast message for everyone in the room. The text is the payload as it is, so that stock clients can read it.
pub(crate) fn broadcast_packet(text: &str, id: u64, now_ms: u64) -> DataPacket {
    packet(TOPIC_BROADCAST, text, Some(id.to_string()), Some(now_ms), Vec::new())
}

/// A barrage message for everyone in the room.
pub(crate) fn barrage_packet(text: &str, id: &str, now_ms: u64) -> DataPacket {
    packet(TOPIC_BARRAGE, text, Some(id.to_owned()), Some(now_ms), Vec::new())
}

/// A command for the users named; for everyone if none is.
pub(crate) fn command_packet(text: &str, to: Vec<String>) -> DataPacket {
    packet(TOPIC_COMMAND, text, None, None, to)
}

fn packet(topic: &str, text: &str, id: Option<String>, at: Option<u64>, to: Vec<String>) -> DataPacket {
    let user = UserPacket {
        payload: text.as_bytes().to_vec(),
        topic: Some(topic.to_owned()),
        id,
        start_time: at,
        ..UserPacket::default()
    };
    DataPacket { destination_identities: to, value: Some(data_packet::Value::User(user)), ..DataPacket::default() }
}

/// Reads a packet; `None` for other topics. `now_ms` replaces the time that a stock client left out.
pub(crate) fn read_packet(packet: DataPacket, now_ms: u64) -> Option<RoomMessage> {
    let Some(data_packet::Value::User(user)) = packet.value else { return None };
    let from = packet.participant_identity;
    let text = String::from_utf8_lossy(&user.payload).into_owned();
    match user.topic.as_deref() {
        Some(TOPIC_BROADCAST) => {
            let sent_at_ms = user.start_time.unwrap_or(now_ms);
            let id = user.id.and_then(|id| id.parse().ok()).unwrap_or(sent_at_ms);
            Some(RoomMessage::Broadcast { from, text, id, sent_at_ms })
        }
        Some(TOPIC_BARRAGE) => {
            let sent_at_ms = user.start_time.unwrap_or(now_ms);
            let id = user.id.unwrap_or_else(|| sent_at_ms.to_string());
            Some(RoomMessage::Barrage { from, text, id, sent_at_ms })
        }
        Some(TOPIC_COMMAND) => Some(RoomMessage::Command { from, text }),
        _ => None,
    }
}

/// Sliding window over one second. The clock is an argument.
#[derive(Debug, Default)]
pub(crate) struct BroadcastLimit {
    sent: VecDeque<Instant>,
}

impl BroadcastLimit {
    /// Whether one more broadcast may go now; if so it counts.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            self.sent.pop_front();
        }
        let free = self.sent.len() < BROADCASTS_PER_SECOND;
        if free {
            self.sent.push_back(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_broadcast_within_a_second_is_one_too_many() {
        let mut limit = BroadcastLimit::default();
        let start = Instant::now();
        assert!(limit.take(start));
        assert!(limit.take(start + Duration::from_millis(300)));
        assert!(!limit.take(start + Duration::from_millis(900)));
        assert!(limit.take(start + Duration::from_millis(1000)));
    }

    #[test]
    fn a_text_of_1024_bytes_is_sent_and_a_longer_one_is_not() {
        assert_eq!(check_text(&"x".repeat(1024)), Ok(()));
        assert_eq!(check_text(&"x".repeat(1025)), Err(code::IM_CONTENT_TOO_LONG));
        assert_eq!(check_text(""), Err(code::IM_CONTENT_NULL));
    }

    #[test]
    fn a_broadcast_arrives_as_it_was_sent() {
        let mut packet = broadcast_packet("你好", 77, 1000);
        packet.participant_identity = "bob".into();
        let expected = RoomMessage::Broadcast { from: "bob".into(), text: "你好".into(), id: 77, sent_at_ms: 1000 };
        assert_eq!(read_packet(packet, 5), Some(expected));
    }

    #[test]
    fn a_barrage_message_arrives_as_it_was_sent() {
        let mut packet = barrage_packet("♥", "1-a", 1000);
        packet.participant_identity = "bob".into();
        let expected =
            RoomMessage::Barrage { from: "bob".into(), text: "♥".into(), id: "1-a".into(), sent_at_ms: 1000 };
        assert_eq!(read_packet(packet, 5), Some(expected));
    }

    #[test]
    fn a_stock_clients_message_gets_the_time_of_its_arrival() {
        let user = UserPacket { payload: b"hi".to_vec(), topic: Some(TOPIC_BROADCAST.into()), ..Default::default() };
        let packet = DataPacket { value: Some(data_packet::Value::User(user)), ..Default::default() };
        let Some(RoomMessage::Broadcast { id, sent_at_ms, .. }) = read_packet(packet, 5) else {
            panic!("no broadcast")
        };
        assert_eq!((id, sent_at_ms), (5, 5));
    }

    #[test]
    fn other_topics_are_not_ours() {
        let user = UserPacket { topic: Some("chat".into()), ..Default::default() };
        let packet = DataPacket { value: Some(data_packet::Value::User(user)), ..Default::default() };
        assert_eq!(read_packet(packet, 0), None);
    }
}
