//! From a publisher's packets to its subscribers' packets.

pub mod allocator;
pub mod capture_clock;
mod client_routes;
pub mod core;
pub mod datagram;
pub mod down_track;
pub mod downlink;
pub mod dtls_keys;
pub mod dynacast;
pub mod forwarder;
pub mod keyframe_requests;
pub mod layer_selector;
pub mod loss_based_layer_cap;
pub mod probe_timer;
pub mod rate_meter;
pub mod red;
#[cfg(test)]
mod robustness;
pub mod str0m_core;
mod str0m_terms;
pub mod unrecoverable_loss;
pub mod vp8_descriptor;
