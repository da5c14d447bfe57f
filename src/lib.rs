//! The addon: the N-API binding of the engine. It converts values, draws frames into memory of a JS environment, and tears
//! both down together with the environment. The only crate that knows JS.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

#[cfg(feature = "bench")]
mod bench_source;
mod conversions;
mod engine;
mod environment;
mod errors;
mod events;
mod frame_ring;
#[rustfmt::skip]
mod generated;
mod ring_memory;
mod tile;
mod view;
mod view_calls;
mod view_lease;
mod view_stats;
