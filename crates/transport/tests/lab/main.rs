//! The lab: our sending and receiving halves over an emulated link, faster than real time and the same in
//! every run. What is checked is what a caller would see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bandwidth;
mod call;
mod link;
mod measure;
mod recovery;
mod rng;
