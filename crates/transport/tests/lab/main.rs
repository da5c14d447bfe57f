//! The lab: our sending and receiving halves over an emulated link, faster than real time and reproducible. The tests check
//! what a user would see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bandwidth;
mod call;
mod measure;
mod recovery;
