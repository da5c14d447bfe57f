//! Whole calls: real engines against a real room server on loopback, with fake devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod audio;
mod certificates;
mod clocks;
mod devices;
mod door;
mod endings;
mod extra_info;
mod harness;
mod layers;
mod link;
mod lossy_joining;
mod media_flow;
mod messages;
mod misuse;
mod neighbours;
mod numbers;
mod obedience;
mod pictures;
mod plugging;
mod publishing;
mod reconnect;
mod relay;
mod resume;
mod room;
mod rooms;
mod scripted_server;
mod settings;
mod speed_test;
mod stock_server;
mod surface;
mod timing;
mod tokens;
mod traffic_control;
mod ways;
mod ways_in;
