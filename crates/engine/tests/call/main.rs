//! Whole calls: real engines against a real room server on loopback, with fake devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod devices;
mod harness;
mod media_flow;
mod messages;
mod misuse;
mod publishing;
mod reconnect;
mod room;
