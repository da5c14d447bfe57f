//! Arrival times in transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::Duration;

use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};

/// Unit of the reference time.
const REFERENCE_MICROS: i64 = 64_000;

/// What a receiver says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStatus {
    /// Transport-wide sequence number.
    pub sequence: u16,
    /// Arrival on the receiver's clock, whose zero is unknown; `None` if the packet has not arrived.
    pub arrival: Option<Duration>,
}

/// The status of each packet that the feedback covers. Packets that arrived without a time are left out: they say nothing
/// about the path.
#[must_use]
pub fn packet_statuses(feedback: &TransportLayerCc) -> Vec<PacketStatus> {
    let mut micros = i64::from(feedback.reference_time) * REFERENCE_MICROS;
    let mut deltas = feedback.recv_deltas.iter();
    // The last chunk may be filled up with symbols beyond the count, which are no packets.
    let symbols = feedback.packet_chunks.iter().flat_map(symbols).take(feedback.packet_status_count.into());
    let mut statuses = Vec::with_capacity(feedback.packet_status_count.into());
    let mut sequence = feedback.base_sequence_number;
    for symbol in symbols {
        let arrival = match symbol {
            SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                deltas.next().map(|delta| {
                    micros = micros.saturating_add(delta.delta);
                    Some(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
                })
            }
            SymbolTypeTcc::PacketNotReceived => Some(None),
            SymbolTypeTcc::PacketReceivedWithoutDelta => None,
        };
        statuses.extend(arrival.map(|arrival| PacketStatus { sequence, arrival }));
        sequence = sequence.wrapping_add(1);
    }
    statuses
}

fn symbols(chunk: &PacketStatusChunk) -> Box<dyn Iterator<Item = SymbolTypeTcc> + '_> {
    match chunk {
        PacketStatusChunk::RunLengthChunk(run) => {
            Box::new(std::iter::repeat_n(run.packet_status_symbol, run.run_length.into()))
        }
        PacketStatusChunk::StatusVectorChunk(vector) => Box::new(vector.symbol_list.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
        RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    };

    #[test]
    fn padding_of_the_last_chunk_is_no_loss() {
        use SymbolTypeTcc::{PacketNotReceived, PacketReceivedSmallDelta};
        let mut symbol_list = vec![PacketReceivedSmallDelta, PacketNotReceived, PacketReceivedSmallDelta];
        symbol_list.resize(14, PacketNotReceived);
        let delta = RecvDelta { type_tcc_packet: PacketReceivedSmallDelta, delta: 250 };
        let feedback = TransportLayerCc {
            base_sequence_number: 10,
            packet_status_count: 3,
            packet_chunks: vec![PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::OneBit,
                symbol_list,
            })],
            recv_deltas: vec![delta.clone(), delta],
            ..TransportLayerCc::default()
        };
        let statuses = packet_statuses(&feedback);
        let seen: Vec<_> = statuses.iter().map(|status| (status.sequence, status.arrival.is_some())).collect();
        assert_eq!(seen, [(10, true), (11, false), (12, true)]);
    }

    #[test]
    fn a_packet_without_a_time_says_nothing() {
        let feedback = TransportLayerCc {
            packet_status_count: 3,
            packet_chunks: vec![PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                type_tcc: StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: SymbolTypeTcc::PacketReceivedWithoutDelta,
                run_length: 3,
            })],
            ..TransportLayerCc::default()
        };
        assert_eq!(packet_statuses(&feedback), []);
    }
}
