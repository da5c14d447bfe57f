//! From a publisher's packets to its subscribers' packets.

pub mod core;
pub mod down_track;
pub mod dynacast;
pub mod gap_watch;
pub mod keyframe;
pub mod keyframe_requests;
pub mod layer_selector;
pub mod loss_ladder;
pub mod picture_ids;
pub mod str0m_core;
