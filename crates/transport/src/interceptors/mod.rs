//! Our interceptors in the stack's chain, and the chain itself.
//!
//! From the wire to the application: the send interceptor (pacing, numbering, retransmission, bandwidth estimation), the
//! observer of the sent streams, the stack's reporters of arrivals (TWCC, RTCP), and last the receive interceptor, which
//! takes the media out of the stack. No interceptor behind it sees RTP.

mod inbound_stream;
mod receive_interceptor;
mod receive_state;
mod retransmitter;
#[cfg(test)]
mod robustness;
mod send_interceptor;
mod send_observer;
mod send_state;
mod ssrc_table;

pub(crate) use inbound_stream::{AudioPipeline, InboundStream, VideoPipeline};
pub(crate) use receive_state::ReceiveState;
pub(crate) use send_state::{OutboundStream, SendState};

use crate::error::TransportError;
use rtc::interceptor::{ReceiverReportBuilder, Registry, SenderReportBuilder, Slot};
use rtc::peer_connection::configuration::interceptor_registry::configure_twcc_receiver_only;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use std::sync::Arc;
use std::time::Duration;

/// Behind the send interceptor: sees what the reporters write.
const OBSERVER_SLOT: usize = 3_500;
/// Behind all that records arrivals.
const RECEIVE_SLOT: usize = 13_500;
/// Interval of RTCP reports: short enough to keep the round-trip time fresh, at the cost of a few bytes.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// Builds the interceptor chain and registers the header extensions and feedback that it needs.
pub(crate) fn registry(
    sending: &Arc<SendState>,
    receiving: &Arc<ReceiveState>,
    engine: &mut MediaEngine,
) -> Result<Registry, TransportError> {
    let registry = configure_twcc_receiver_only(Registry::new(), engine)
        .map_err(TransportError::during("setting up transport-wide feedback"))?;
    Ok(registry
        .with(Slot::Pacer, send_interceptor::SendInterceptor::new(Arc::clone(sending)))
        .with(Slot::from(OBSERVER_SLOT), send_observer::SendObserver::new(Arc::clone(sending)))
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::SenderReport, SenderReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::from(RECEIVE_SLOT), receive_interceptor::ReceiveInterceptor::new(Arc::clone(receiving))))
}
