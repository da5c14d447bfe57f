//! Extra info of a room: a small table that all users see. Pure.
//!
//! It is kept in the room's metadata, as JSON by key. Our own server moves it there; on other servers users with the appSign
//! write it. A user who has only a token keeps the value in an attribute; the newest value of a key counts, and the others
//! remember it when its owner leaves.

use std::collections::{BTreeMap, BTreeSet};

use protocol::conventions;
use protocol::messages::ParticipantInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::User;
use crate::error::code;

/// Key and value have fewer bytes than this.
const LENGTH_LIMIT: usize = 128;
/// Keys of one room.
const MAX_KEYS: usize = 1;

/// One value, as it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    /// The value.
    pub(crate) v: String,
    /// Unix milliseconds of its setting.
    pub(crate) t: u64,
    /// The user who set it; an attribute's owner need not be named.
    pub(crate) u: User,
}

impl Entry {
    /// The text of an attribute.
    pub(crate) fn to_text(&self) -> String {
        json!(self).to_string()
    }
}

/// The table of one room.
#[derive(Debug, Default)]
pub(crate) struct RoomInfo {
    entries: BTreeMap<String, Entry>,
    /// Times of what this user set: remote users get the event, the author does not.
    set_here: BTreeMap<String, u64>,
    /// The room's metadata at the last update.
    metadata: String,
}

impl RoomInfo {
    /// The code for a key or value that may not be set, if any.
    pub(crate) fn check(&self, key: &str, value: &str) -> Result<(), i32> {
        if key.is_empty() {
            return Err(code::ROOM_EXTRA_INFO_KEY_EMPTY);
        }
        if key.len() >= LENGTH_LIMIT {
            return Err(code::ROOM_EXTRA_INFO_KEY_TOO_LONG);
        }
        if value.len() >= LENGTH_LIMIT {
            return Err(code::ROOM_EXTRA_INFO_VALUE_TOO_LONG);
        }
        // What was set here counts before it comes back from the server.
        let keys: BTreeSet<&String> = self.entries.keys().chain(self.set_here.keys()).collect();
        if keys.len() >= MAX_KEYS && !keys.iter().any(|known| *known == key) {
            return Err(code::ROOM_EXTRA_INFO_EXCEED_KEYS);
        }
        Ok(())
    }

    /// The time to set a key at, so that the value counts even if the clock of an earlier user was ahead of ours.
    pub(crate) fn next_time(&self, key: &str, now_ms: u64) -> u64 {
        self.entries.get(key).map_or(now_ms, |entry| now_ms.max(entry.t + 1))
    }

    /// This entry is about to be set from here.
    pub(crate) fn note_own_setting(&mut self, key: &str, entry: &Entry) {
        self.set_here.insert(key.to_owned(), entry.t);
    }

    /// The room's metadata with this entry in it; `None` where they are in another application's own format.
    pub(crate) fn metadata_with(&self, key: &str, entry: &Entry) -> Option<String> {
        let mut table: BTreeMap<String, Value> = match self.metadata.as_str() {
            "" => BTreeMap::new(),
            text => serde_json::from_str(text).ok()?,
        };
        table.insert(conventions::room_info_attribute(key), json!(entry));
        Some(json!(table).to_string())
    }

    /// Applies the room's metadata; returns the new entries. Metadata of other applications are ignored.
    pub(crate) fn apply_metadata(&mut self, metadata: &str) -> Vec<Value> {
        metadata.clone_into(&mut self.metadata);
        let table = serde_json::from_str::<BTreeMap<String, Value>>(metadata).unwrap_or_default();
        let entries = table.into_iter().filter_map(|(name, value)| {
            let key = conventions::key_of_room_info(&name)?.to_owned();
            Some((key, serde_json::from_value(value).ok()?))
        });
        self.take(entries.collect())
    }

    /// Applies the participants' attributes; returns the new entries.
    pub(crate) fn apply_participants(&mut self, participants: &[ParticipantInfo]) -> Vec<Value> {
        let mut entries = Vec::new();
        for info in participants {
            for (name, text) in &info.attributes {
                let Some(key) = conventions::key_of_room_info(name) else { continue };
                let Ok(mut entry) = serde_json::from_str::<Entry>(text) else { continue };
                let name = if info.name.is_empty() { &info.identity } else { &info.name };
                entry.u = User { id: info.identity.clone(), name: name.clone() };
                entries.push((key.to_owned(), entry));
            }
        }
        self.take(entries)
    }

    fn take(&mut self, entries: Vec<(String, Entry)>) -> Vec<Value> {
        let mut news = BTreeMap::new();
        for (key, entry) in entries {
            if self.entries.get(&key).is_none_or(|known| entry.t > known.t) {
                // Of one value that is not ours and one that is, the newer counts.
                news.remove(&key);
                if self.set_here.get(&key) != Some(&entry.t) {
                    news.insert(key.clone(), item(&key, &entry));
                }
                self.entries.insert(key, entry);
            }
        }
        news.into_values().collect()
    }
}

/// `ZegoRoomExtraInfo`.
fn item(key: &str, entry: &Entry) -> Value {
    json!({"key": key, "value": entry.v, "updateUser": entry.u, "updateTime": entry.t})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier(identity: &str, key: &str, value: &str, t: u64) -> ParticipantInfo {
        let text = Entry { v: value.into(), t, ..Entry::default() }.to_text();
        ParticipantInfo {
            identity: identity.into(),
            attributes: [(conventions::room_info_attribute(key), text)].into(),
            ..ParticipantInfo::default()
        }
    }

    #[test]
    fn the_newest_value_counts_and_is_reported_once() {
        let mut info = RoomInfo::default();
        let news = info.apply_participants(&[carrier("a", "k", "old", 1), carrier("b", "k", "new", 2)]);
        assert_eq!(news.len(), 1);
        assert_eq!((&news[0]["value"], &news[0]["updateUser"]["userID"]), (&json!("new"), &json!("b")));
        assert!(info.apply_participants(&[carrier("a", "k", "old", 1), carrier("b", "k", "new", 2)]).is_empty());
    }

    #[test]
    fn the_author_of_a_value_gets_no_event_for_it() {
        let mut info = RoomInfo::default();
        info.note_own_setting("k", &Entry { v: "mine".into(), t: 5, ..Entry::default() });
        assert!(info.apply_participants(&[carrier("a", "k", "mine", 5)]).is_empty());
        assert_eq!(info.check("k", "other"), Ok(()), "it is known all the same");
        assert_eq!(info.apply_participants(&[carrier("b", "k", "theirs", 6)]).len(), 1);
    }

    #[test]
    fn the_rooms_metadata_count_and_foreign_ones_do_not() {
        let mut info = RoomInfo::default();
        let metadata = json!({"zg.r.k": {"v": "x", "t": 5, "u": {"userID": "a", "userName": "A"}}, "theme": "dark"});
        let news = info.apply_metadata(&metadata.to_string());
        assert_eq!(
            news,
            [json!({"key": "k", "value": "x", "updateUser": {"userID": "a", "userName": "A"}, "updateTime": 5})]
        );
        assert!(info.apply_metadata("dark").is_empty());
        assert!(info.apply_metadata("[1]").is_empty());
    }

    #[test]
    fn an_entry_keeps_the_other_metadata() {
        let mut info = RoomInfo::default();
        let entry = Entry { v: "x".into(), t: 5, ..Entry::default() };
        assert!(info.metadata_with("k", &entry).is_some_and(|text| text.starts_with(r#"{"zg.r.k":"#)));
        info.apply_metadata(r#"{"theme": "dark"}"#);
        let metadata = info.metadata_with("k", &entry).unwrap();
        assert!(metadata.contains(r#""theme":"dark""#), "{metadata}");
        assert_eq!(info.apply_metadata(&metadata).len(), 1);
        info.apply_metadata("dark");
        assert_eq!(info.metadata_with("k", &entry), None);
    }

    #[test]
    fn keys_and_values_have_their_limits() {
        let mut info = RoomInfo::default();
        assert_eq!(info.check("", "v"), Err(code::ROOM_EXTRA_INFO_KEY_EMPTY));
        assert_eq!(info.check(&"k".repeat(128), "v"), Err(code::ROOM_EXTRA_INFO_KEY_TOO_LONG));
        assert_eq!(info.check("k", &"v".repeat(128)), Err(code::ROOM_EXTRA_INFO_VALUE_TOO_LONG));
        assert_eq!(info.check(&"k".repeat(127), &"v".repeat(127)), Ok(()));
        info.apply_participants(&[carrier("a", "k", "v", 1)]);
        assert_eq!(info.check("k", "other"), Ok(()));
        assert_eq!(info.check("second", "v"), Err(code::ROOM_EXTRA_INFO_EXCEED_KEYS));
    }
}
