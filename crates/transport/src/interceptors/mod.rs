//! Our interceptors in the stack's chain, and the chain itself.
//!
//! From the wire to the application: the send interceptor (pacing, numbering, retransmission, bandwidth estimation), the
//! observer of the sent streams, the stack's reporters of arrivals (TWCC, RTCP), and last the receive interceptor, which
//! takes the media out of the stack. No interceptor behind it sees RTP.

mod inbound;
mod outbound;
mod retransmitter;
#[cfg(test)]
mod robustness;
mod send_interceptor;
mod ssrc_table;

pub(crate) use inbound::{AudioPipeline, InboundStream, InboundStreams, VideoPipeline};
pub(crate) use outbound::{OutboundStream, OutboundStreams};
pub(crate) use send_interceptor::START_BITRATE;

use crate::budget::Budgets;
use crate::error::TransportError;
use crate::event::{EventSender, PeerEvent};
use crate::rtt::SharedRtt;
use rtc::interceptor::{ReceiverReportBuilder, Registry, SenderReportBuilder, Slot};
use rtc::peer_connection::configuration::interceptor_registry::configure_twcc_receiver_only;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Behind the send interceptor: sees what the reporters write.
const OUTBOUND_SLOT: usize = 3_500;
/// Behind all that records arrivals.
const INBOUND_SLOT: usize = 13_500;
/// Interval of RTCP reports: short enough to keep the round-trip time fresh, at the cost of a few bytes.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// State that the interceptors share with the peer.
#[derive(Debug)]
pub(crate) struct InterceptorState {
    pub(crate) inbound: InboundStreams,
    pub(crate) outbound: OutboundStreams,
    pub(crate) budgets: Budgets,
    pub(crate) rtt: SharedRtt,
    pub(crate) events: EventSender,
    /// Packets of any kind that were received.
    pub(crate) arrivals: AtomicU64,
    /// Answered checks of ICE, as far as they were read.
    pub(crate) checks_answered: AtomicU64,
}

impl InterceptorState {
    pub(crate) fn new(events: EventSender) -> Self {
        Self {
            inbound: InboundStreams::default(),
            outbound: OutboundStreams::default(),
            budgets: Budgets::new(START_BITRATE),
            rtt: SharedRtt::default(),
            events,
            arrivals: AtomicU64::new(0),
            checks_answered: AtomicU64::new(0),
        }
    }

    /// Requests a key frame of a sent video stream from its encoder.
    fn request_keyframe(&self, ssrc: u32) {
        if let Some((track_id, layer)) = self.outbound.layer(ssrc) {
            self.events.emit(PeerEvent::KeyframeRequested { track_id, layer });
        }
    }
}

/// Builds the interceptor chain and registers the header extensions and feedback that it needs.
pub(crate) fn registry(state: &Arc<InterceptorState>, engine: &mut MediaEngine) -> Result<Registry, TransportError> {
    let registry = configure_twcc_receiver_only(Registry::new(), engine)
        .map_err(TransportError::during("setting up transport-wide feedback"))?;
    Ok(registry
        .with(Slot::Pacer, send_interceptor::SendInterceptor::new(Arc::clone(state)))
        .with(Slot::from(OUTBOUND_SLOT), outbound::OutboundObserver::new(Arc::clone(state)))
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::SenderReport, SenderReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::from(INBOUND_SLOT), inbound::ReceiveInterceptor::new(Arc::clone(state))))
}
