//! The room server's report to a publisher about its subscribers' downlinks: a report of metrics on the reliable data channel,
//! the protocol's own slot for numbers, which stock clients ignore.

use crate::messages::{DataPacket, MetricSample, MetricsBatch, TimeSeriesMetric, data_packet};

/// First index that names an entry of a batch's own list of names.
const OWN_NAMES_FROM: u32 = 4096;
/// Names of the two numbers.
const LOSS: &str = "zg.listener_loss";
const KBPS: &str = "zg.listener_kbps";

/// The worst values of all subscribers of a publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ListenerReport {
    /// Share of packets lost on the downlink, 0 to 1, before any repair.
    pub loss: f32,
    /// What the downlink carries for this publisher's video, kbit/s; 0 if unknown.
    pub kbps: u32,
}

impl ListenerReport {
    /// The packet to the publisher. `now_ms` is the server's clock, milliseconds since the Unix epoch.
    pub fn to_packet(self, now_ms: i64) -> DataPacket {
        let metric = |label: u32, value: f32| TimeSeriesMetric {
            label: OWN_NAMES_FROM + label,
            samples: vec![MetricSample { timestamp_ms: now_ms, value, ..MetricSample::default() }],
            ..TimeSeriesMetric::default()
        };
        let batch = MetricsBatch {
            timestamp_ms: now_ms,
            str_data: vec![LOSS.to_owned(), KBPS.to_owned()],
            time_series: vec![metric(0, self.loss), metric(1, self.kbps as f32)],
            ..MetricsBatch::default()
        };
        DataPacket { value: Some(data_packet::Value::Metrics(batch)), ..DataPacket::default() }
    }

    /// Parses a packet; `None` if it is no such report. A participant cannot send one: the server writes the sender into every
    /// packet that it forwards, and none into its own.
    pub fn from_packet(packet: &DataPacket) -> Option<Self> {
        let Some(data_packet::Value::Metrics(batch)) = &packet.value else { return None };
        if !packet.participant_identity.is_empty() || !packet.participant_sid.is_empty() {
            return None;
        }
        let value = |name: &str| {
            let index = u32::try_from(batch.str_data.iter().position(|it| it == name)?).ok()?;
            let label = index.checked_add(OWN_NAMES_FROM)?;
            let metric = batch.time_series.iter().find(|metric| metric.label == label)?;
            metric.samples.last().map(|sample| sample.value).filter(|value| value.is_finite())
        };
        // Both are within their ranges, whatever was sent.
        Some(Self { loss: value(LOSS)?.clamp(0.0, 1.0), kbps: value(KBPS).unwrap_or(0.0).clamp(0.0, 1e6) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_arrives_as_it_was_sent() {
        let report = ListenerReport { loss: 0.05, kbps: 900 };
        assert_eq!(ListenerReport::from_packet(&report.to_packet(7)), Some(report));
    }

    #[test]
    fn a_participant_cannot_report_for_the_server() {
        let packet = ListenerReport { loss: 1.0, kbps: 1 }.to_packet(7);
        let of = |packet: DataPacket| ListenerReport::from_packet(&packet);
        assert_eq!(of(DataPacket { participant_identity: "eve".into(), ..packet.clone() }), None);
        assert_eq!(of(DataPacket { participant_sid: "PA_1".into(), ..packet }), None);
    }

    #[test]
    fn nonsense_is_no_report_or_one_within_bounds() {
        assert_eq!(ListenerReport::from_packet(&DataPacket::default()), None);
        for loss in [f32::NAN, f32::INFINITY] {
            assert_eq!(ListenerReport::from_packet(&ListenerReport { loss, kbps: 1 }.to_packet(7)), None);
        }
        let far = ListenerReport { loss: 70.0, kbps: u32::MAX }.to_packet(7);
        assert_eq!(ListenerReport::from_packet(&far), Some(ListenerReport { loss: 1.0, kbps: 1_000_000 }));
    }
}
