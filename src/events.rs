//! Events from the engine's threads to JS: one queue, and one wake-up for any number of events.

use std::collections::VecDeque;
use std::sync::Weak;

use engine::{Event, EventSink, Reply};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::environment::JsEnvironment;

/// Event name of the reply to a promise method.
const REPLY: &str = "__reply";

/// Events in order of occurrence.
#[derive(Default)]
pub struct EventQueue(Mutex<VecDeque<(&'static str, Value)>>);

impl EventQueue {
    /// Whether JS has fetched all events.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Takes all queued events as the text of a JSON array of `[name, payload]` pairs: one string crosses to JS faster
    /// than objects would, field by field.
    pub fn drain(&self) -> String {
        let events = std::mem::take(&mut *self.0.lock());
        serde_json::to_string(&events).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Adds an event.
    pub fn push(&self, name: &'static str, payload: Value) {
        self.0.lock().push_back((name, payload));
    }
}

/// Event sink of the engine: the queue of its environment.
pub struct EventsToJs(pub Weak<JsEnvironment>);

impl EventSink for EventsToJs {
    fn emit(&self, event: Event) {
        if let Some(environment) = self.0.upgrade() {
            environment.events.push(event.name, event.payload);
            environment.request_wake_up();
        }
    }
}

/// The reply of a promise method, which JS identifies by `id`.
pub fn reply(environment: Weak<JsEnvironment>, id: u32) -> Reply {
    Box::new(move |value| {
        if let Some(environment) = environment.upgrade() {
            environment.events.push(REPLY, json!({ "id": id, "value": value }));
            environment.request_wake_up();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_drained_in_order_and_once() {
        let queue = EventQueue::default();
        queue.push("onRoomStateUpdate", json!({"roomID": "r"}));
        queue.push(REPLY, json!({"id": 1, "value": {"errorCode": 0}}));
        let text = queue.drain();
        assert_eq!(text, r#"[["onRoomStateUpdate",{"roomID":"r"}],["__reply",{"id":1,"value":{"errorCode":0}}]]"#);
        assert_eq!(queue.drain(), "[]");
    }
}
