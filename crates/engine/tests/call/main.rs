//! Whole calls: real engines against a real room server on loopback, with fake devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod audio;
mod certificates;
mod clocks;
mod devices;
mod endings;
mod extra_info;
mod harness;
mod http_ingress;
mod layers;
mod link;
mod lossy_joining;
mod media_flow;
mod media_routes;
mod messages;
mod misuse;
mod neighbours;
mod plugging;
mod publishing;
mod reaching_the_server;
mod reconnect;
mod relay;
mod resume;
mod room;
mod rooms;
mod scripted_server;
mod sei_and_snapshots;
mod server_requests;
mod settings;
mod speed_test;
mod stats_against_truth;
mod stock_server;
mod surface;
mod timing;
mod tokens;
mod traffic_control;
