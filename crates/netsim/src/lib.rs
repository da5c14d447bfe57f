//! Seeded networks and damaged input, for tests and benches only: one seed is one run, and time is an argument.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod link;
pub mod loss;
pub mod mutation;
pub mod random;

pub use link::{Link, LinkConfig, LinkStats};
pub use loss::{Loss, LossProcess};
pub use random::Random;
