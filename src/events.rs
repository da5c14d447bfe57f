//! Events on their way from the engine's threads to JS: one queue, one wake-up for any number of them.

use std::collections::VecDeque;
use std::sync::Weak;

use engine::{Event, EventSink, Reply};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::env::Hub;

/// Name under which the answer to a promise method travels.
const REPLY: &str = "__reply";

/// Events in the order in which they happened.
#[derive(Default)]
pub struct EventQueue(Mutex<VecDeque<(&'static str, Value)>>);

impl EventQueue {
    /// Whether JS has fetched everything.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Everything that waits, as the text of a JSON array of `[name, payload]` pairs: one string crosses to JS faster
    /// than its objects would, field by field.
    pub fn drain(&self) -> String {
        let events = std::mem::take(&mut *self.0.lock());
        serde_json::to_string(&events).unwrap_or_else(|_| "[]".to_owned())
    }

    fn push(&self, name: &'static str, payload: Value) {
        self.0.lock().push_back((name, payload));
    }
}

/// The engine's way to the queue of its environment.
pub struct EventsToHub(pub Weak<Hub>);

impl EventSink for EventsToHub {
    fn emit(&self, event: Event) {
        if let Some(hub) = self.0.upgrade() {
            hub.events.push(event.name, event.payload);
            hub.nudge();
        }
    }
}

/// The way back for a promise method that JS knows by `id`.
pub fn reply(hub: Weak<Hub>, id: u32) -> Reply {
    Box::new(move |value| {
        if let Some(hub) = hub.upgrade() {
            hub.events.push(REPLY, json!({ "id": id, "value": value }));
            hub.nudge();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_order_and_once() {
        let queue = EventQueue::default();
        queue.push("onRoomStateUpdate", json!({"roomID": "r"}));
        queue.push(REPLY, json!({"id": 1, "value": {"errorCode": 0}}));
        let text = queue.drain();
        assert_eq!(text, r#"[["onRoomStateUpdate",{"roomID":"r"}],["__reply",{"id":1,"value":{"errorCode":0}}]]"#);
        assert_eq!(queue.drain(), "[]");
    }
}
