//! Our own links in the stack's packet chain, and the chain itself.
//!
//! From the wire to the application: the sending end (paces, numbers, repeats, estimates), the observer of the
//! sent side, the reporters of arrivals (TWCC, RTCP), and last the received side takes the media out of the
//! stack. Nothing behind it sees RTP.

mod inbound;
mod outbound;
mod resending;
#[cfg(test)]
mod robustness;
mod sending;
mod ssrc_table;

pub(crate) use inbound::{AudioPipeline, InboundStream, InboundStreams, VideoPipeline};
pub(crate) use outbound::{OutboundStream, OutboundStreams};
pub(crate) use sending::START_BPS;

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

/// Behind the sending end: sees what the reporters write.
const OUTBOUND_SLOT: usize = 3_500;
/// Behind everything that records arrivals.
const INBOUND_SLOT: usize = 13_500;
/// Twice a second keeps the round-trip time fresh at a few bytes' cost.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// State the chain shares with the shell.
#[derive(Debug)]
pub(crate) struct InterceptorState {
    pub(crate) inbound: InboundStreams,
    pub(crate) outbound: OutboundStreams,
    pub(crate) budgets: Budgets,
    pub(crate) rtt: SharedRtt,
    pub(crate) events: EventSender,
    /// Packets of any kind that came in.
    pub(crate) arrivals: AtomicU64,
    /// Answers to ICE's own checks that came in, as far as read.
    pub(crate) checks_answered: AtomicU64,
}

impl InterceptorState {
    pub(crate) fn new(events: EventSender) -> Self {
        Self {
            inbound: InboundStreams::default(),
            outbound: OutboundStreams::default(),
            budgets: Budgets::new(START_BPS as u64),
            rtt: SharedRtt::default(),
            events,
            arrivals: AtomicU64::new(0),
            checks_answered: AtomicU64::new(0),
        }
    }

    /// The pictures of a stream have to begin anew.
    fn request_keyframe(&self, ssrc: u32) {
        if let Some((track_id, layer)) = self.outbound.layer(ssrc) {
            self.events.emit(PeerEvent::KeyframeRequested { track_id, layer });
        }
    }
}

/// Builds the chain and registers the header extensions and feedback it needs.
pub(crate) fn registry(state: &Arc<InterceptorState>, engine: &mut MediaEngine) -> Result<Registry, TransportError> {
    let registry = configure_twcc_receiver_only(Registry::new(), engine)
        .map_err(TransportError::during("setting up transport-wide feedback"))?;
    Ok(registry
        .with(Slot::Pacer, sending::SendInterceptor::new(Arc::clone(state)))
        .with(Slot::from(OUTBOUND_SLOT), outbound::OutboundObserver::new(Arc::clone(state)))
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::SenderReport, SenderReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::from(INBOUND_SLOT), inbound::ReceiveInterceptor::new(Arc::clone(state))))
}
