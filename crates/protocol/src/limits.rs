//! Limits on identifiers and message sizes, as the vendor documents them.

use thiserror::Error;

/// Longest room ID in bytes. All these are inclusive.
pub const MAX_ROOM_ID: usize = 128;
/// Longest user ID in bytes.
pub const MAX_USER_ID: usize = 64;
/// Longest user name in bytes.
pub const MAX_USER_NAME: usize = 256;
/// Longest ID in bytes of a stream that we publish.
pub const MAX_STREAM_ID: usize = 256;

/// Longest text of a broadcast, barrage or custom command in bytes.
pub const MAX_MESSAGE_TEXT: usize = 1024;
/// Longest payload of one data packet in bytes, before it is split into SCTP chunks.
pub const MAX_DATA_PAYLOAD: usize = 64_000;
/// Longest signalling message in bytes that a server reads.
pub const MAX_SIGNAL_MESSAGE: usize = 2 * 1024 * 1024;
/// Read buffer of a signalling connection, in bytes. The WebSocket library keeps and clears that much for each connection
/// whenever it looks for a message; its default of 128 KiB was a third of an idle participant's memory.
pub const SIGNAL_READ_BUFFER: usize = 8 * 1024;
/// Longest identity or room name in bytes that a server accepts from a stock client.
pub const MAX_WIRE_NAME: usize = 256;
/// Upper bound of a participant's metadata, and of its attributes' names and values together, in bytes.
pub const MAX_METADATA: usize = 64 * 1024;

/// Why an identifier was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// It has no characters.
    #[error("the identifier is empty")]
    Empty,
    /// It has a character that the vendor does not allow.
    #[error("the identifier has a character that is not allowed")]
    BadCharacter,
    /// It has more bytes than allowed.
    #[error("the identifier is too long")]
    TooLong,
}

/// Checks a room ID: 1 to [`MAX_ROOM_ID`] bytes of letters, digits and the vendor's punctuation.
pub fn validate_room_id(id: &str) -> Result<(), IdError> {
    validate(id, MAX_ROOM_ID, is_name_character)
}

/// Checks a user ID: 1 to [`MAX_USER_ID`] bytes of letters, digits and the vendor's punctuation.
pub fn validate_user_id(id: &str) -> Result<(), IdError> {
    validate(id, MAX_USER_ID, is_name_character)
}

/// Checks a user name: 1 to [`MAX_USER_NAME`] bytes. People read it and write it as they are called, so it has no alphabet.
pub fn validate_user_name(name: &str) -> Result<(), IdError> {
    validate(name, MAX_USER_NAME, |_| true)
}

/// Checks the ID of a stream that is to be published: 1 to [`MAX_STREAM_ID`] bytes of letters, digits, `-` and `_`.
pub fn validate_stream_id(id: &str) -> Result<(), IdError> {
    validate(id, MAX_STREAM_ID, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn validate(id: &str, max_bytes: usize, allowed: impl Fn(char) -> bool) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > max_bytes {
        return Err(IdError::TooLong);
    }
    if !id.chars().all(allowed) {
        return Err(IdError::BadCharacter);
    }
    Ok(())
}

/// The vendor's documents show a typographic apostrophe where a keyboard has the straight one; both are accepted.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "~!@#$%^&*()_+=-`;'’,.<>\\".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_id_is_refused() {
        assert_eq!(validate_room_id(""), Err(IdError::Empty));
        assert_eq!(validate_stream_id(""), Err(IdError::Empty));
    }

    #[test]
    fn the_longest_ids_pass_and_one_byte_more_does_not() {
        for (max, check) in [
            (128, validate_room_id as fn(&str) -> Result<(), IdError>),
            (64, validate_user_id),
            (256, validate_user_name),
            (256, validate_stream_id),
        ] {
            assert_eq!(check(&"a".repeat(max)), Ok(()));
            assert_eq!(check(&"a".repeat(max + 1)), Err(IdError::TooLong));
        }
    }

    #[test]
    fn people_are_called_as_they_are_called() {
        for name in ["张三 李", "José", "O'Neil", "John Smith", "😀", "a/b", " ", "\u{200f}شيماء"] {
            assert_eq!(validate_user_name(name), Ok(()), "{name}");
        }
        // Bytes count, not characters.
        assert_eq!(validate_user_name(&"三".repeat(85)), Ok(()));
        assert_eq!(validate_user_name(&"三".repeat(86)), Err(IdError::TooLong));
        assert_eq!(validate_user_name(""), Err(IdError::Empty));
    }

    #[test]
    fn documented_punctuation_is_taken_and_a_space_is_not() {
        assert_eq!(validate_room_id("~!@#$%^&*()_+=-`;'’,.<>\\"), Ok(()));
        assert_eq!(validate_room_id("a b"), Err(IdError::BadCharacter));
        assert_eq!(validate_user_id("a/b"), Err(IdError::BadCharacter));
    }

    #[test]
    fn a_stream_id_takes_only_letters_digits_dash_and_underscore() {
        assert_eq!(validate_stream_id("cam-1_B"), Ok(()));
        assert_eq!(validate_stream_id("cam.1"), Err(IdError::BadCharacter));
        assert_eq!(validate_stream_id("strömung"), Err(IdError::BadCharacter));
    }
}
