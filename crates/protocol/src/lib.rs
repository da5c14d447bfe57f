//! The agreement of both ends of the wire: messages, access tokens, the vendor's `04` tokens, the `zg.*` conventions and the
//! limits of identifiers. No I/O.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod conventions;
pub mod limits;
pub mod listeners;
pub mod messages;
pub mod proof;
pub mod refusal;
pub mod token;
pub mod token04;
