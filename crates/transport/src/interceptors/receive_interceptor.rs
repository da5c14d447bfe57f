//! Takes received RTP out of the stack, passes it to its stream, and sends the NACKs and key frame requests of the streams.

use super::receive_state::ReceiveState;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A consumer's request for a key frame is noticed with the next packet, or after this time. The stack's driver cannot
/// be woken from outside without sending something.
const HEARTBEAT: Duration = Duration::from_millis(25);

/// Interceptor for everything that is received.
pub(super) struct ReceiveInterceptor {
    state: Arc<ReceiveState>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
    heartbeat: Option<Instant>,
}

impl ReceiveInterceptor {
    /// Creates the interceptor of a connection.
    pub(super) fn new(state: Arc<ReceiveState>) -> Self {
        Self { state, reads: VecDeque::new(), writes: VecDeque::new(), heartbeat: None }
    }

    fn write_feedback(&mut self, now: Instant, packets: Vec<Box<dyn rtc::rtcp::Packet>>) {
        if !packets.is_empty() {
            let transport = TransportContext::default();
            let message = AttributedPacket::new(Packet::Rtcp(packets));
            self.writes.push_back(TaggedPacket { now, transport, message });
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for ReceiveInterceptor {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        let TaggedPacket { now, transport, message } = tagged;
        let AttributedPacket { attributes, packet } = message;
        self.state.packets.fetch_add(1, Ordering::Relaxed);
        match packet {
            Packet::Rtp(packet) => {
                let mut feedback = Vec::new();
                {
                    let mut table = self.state.streams.0.lock();
                    let repaired = table.repaired_by(packet.header.ssrc);
                    let ssrc = repaired.unwrap_or(packet.header.ssrc);
                    if let Some(stream) = table.streams.get_mut(&ssrc) {
                        match repaired {
                            Some(_) => stream.on_retransmission(packet, now, &self.state.rtt),
                            None => stream.on_packet(packet, now, &self.state.rtt),
                        }
                        stream.poll_feedback(ssrc, now, self.state.rtt.or_default(), &mut feedback);
                        if self.heartbeat.is_none() && stream.is_video() {
                            self.heartbeat = Some(now + HEARTBEAT);
                        }
                    }
                }
                self.write_feedback(now, feedback);
            }
            packet => {
                if let Packet::Rtcp(packets) = &packet {
                    let reports = packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<SenderReport>());
                    reports.for_each(|report| self.state.streams.on_sender_report(report));
                }
                let message = AttributedPacket { attributes, packet };
                self.reads.push_back(TaggedPacket { now, transport, message });
            }
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let rtt = self.state.rtt.or_default();
        let mut feedback = Vec::new();
        let mut any_video = false;
        for (ssrc, stream) in &mut self.state.streams.0.lock().streams {
            any_video |= stream.is_video();
            stream.poll_feedback(*ssrc, now, rtt, &mut feedback);
        }
        self.heartbeat = any_video.then(|| now + HEARTBEAT);
        self.write_feedback(now, feedback);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let rtt = self.state.rtt.or_default();
        let table = self.state.streams.0.lock();
        table.streams.values().filter_map(|stream| stream.next_timeout(rtt)).chain(self.heartbeat).min()
    }
}

impl Interceptor for ReceiveInterceptor {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
