//! RTCP, parsed and written by `rtc-rtcp`.

pub mod arrivals;
pub mod feedback;
pub mod sender_reports;
