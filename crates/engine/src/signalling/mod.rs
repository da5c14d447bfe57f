//! LiveKit signalling v0 over one WebSocket: frames in and out, and how a refused connection becomes a reason.

mod answer;
mod client;
mod query;

pub(crate) use client::{ConnectError, Connection, connect, resume};
pub(crate) use query::vendor_query;
