//! The addon: the N-API face of the engine. Converts values, owns what belongs to a JS environment and how that goes,
//! and holds no logic. The only crate that knows JS.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod bench_source;
mod engine;
mod env;
mod events;
mod frame_ring;
mod network;
mod pictures;
mod screen;
mod sound;
mod tile;
mod values;
mod view;
mod view_stats;
