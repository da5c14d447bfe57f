//! How much of everything a client may bring along. Defaults and names are those of LiveKit's server.

use std::collections::BTreeMap;

use protocol::limits::{MAX_METADATA, MAX_WIRE_NAME};
use thiserror::Error;

/// Longest texts, in bytes; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Metadata of a room or participant.
    pub metadata: usize,
    /// Names and values of a participant's attributes together.
    pub attributes: usize,
    /// Name of a room.
    pub room_name: usize,
    /// Identity of a participant.
    pub identity: usize,
    /// Display name of a participant.
    pub participant_name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata: MAX_METADATA,
            attributes: MAX_METADATA,
            room_name: MAX_WIRE_NAME,
            identity: MAX_WIRE_NAME,
            participant_name: MAX_WIRE_NAME,
        }
    }
}

/// Which value is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} is longer than {max} bytes")]
pub struct TooLong {
    what: &'static str,
    max: usize,
}

impl Limits {
    /// Checks the name of a room.
    pub fn check_room_name(&self, text: &str) -> Result<(), TooLong> {
        check("the name of the room", text.len(), self.room_name)
    }

    /// Checks an identity.
    pub fn check_identity(&self, text: &str) -> Result<(), TooLong> {
        check("the identity", text.len(), self.identity)
    }

    /// Checks a display name.
    pub fn check_participant_name(&self, text: &str) -> Result<(), TooLong> {
        check("the name", text.len(), self.participant_name)
    }

    /// Checks metadata of a room or participant.
    pub fn check_metadata(&self, text: &str) -> Result<(), TooLong> {
        check("the metadata", text.len(), self.metadata)
    }

    /// Checks all attributes of a participant together.
    pub fn check_attributes(&self, attributes: &BTreeMap<String, String>) -> Result<(), TooLong> {
        let length = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        check("the attributes", length, self.attributes)
    }
}

fn check(what: &'static str, length: usize, max: usize) -> Result<(), TooLong> {
    if max > 0 && length > max { Err(TooLong { what, max }) } else { Ok(()) }
}

/// `present` with a client's changes: an empty value removes an attribute.
pub fn merged<'a>(
    present: &BTreeMap<String, String>,
    changes: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<String, String> {
    let mut merged = present.clone();
    for (name, value) in changes {
        if value.is_empty() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_longest_text_passes_and_one_byte_more_is_named() {
        let limits = Limits::default();
        assert_eq!(limits.check_identity(&"a".repeat(256)), Ok(()));
        let error = limits.check_identity(&"a".repeat(257)).unwrap_err();
        assert_eq!(error.to_string(), "the identity is longer than 256 bytes");
    }

    #[test]
    fn attributes_count_together_with_their_names() {
        let limits = Limits { attributes: 6, ..Limits::default() };
        assert_eq!(limits.check_attributes(&attributes(&[("a", "12"), ("b", "34")])), Ok(()));
        assert!(limits.check_attributes(&attributes(&[("a", "12"), ("b", "345")])).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits { metadata: 0, ..Limits::default() };
        assert_eq!(limits.check_metadata(&"m".repeat(1_000_000)), Ok(()));
    }

    #[test]
    fn an_empty_value_takes_an_attribute_away() {
        let changes = attributes(&[("a", ""), ("c", "3")]);
        let present = attributes(&[("a", "1"), ("b", "2")]);
        assert_eq!(merged(&present, &changes), attributes(&[("b", "2"), ("c", "3")]));
    }
}
