//! Names and numbers.

use rand::Rng;
use rand::distr::Alphanumeric;

/// Number of a participant's stay in a room, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub u64);

/// Number of a signalling connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// A room of an app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomKey {
    /// API key of the app.
    pub app: String,
    /// Name of the room within the app.
    pub room: String,
}

/// Random characters after the prefix of an id.
const SID_LENGTH: usize = 12;

/// A new id for the wire: `PA` for participants, `TR` for tracks, `RM` for rooms.
pub fn new_sid(prefix: &str) -> String {
    let random: String = rand::rng().sample_iter(Alphanumeric).take(SID_LENGTH).map(char::from).collect();
    format!("{prefix}_{random}")
}
