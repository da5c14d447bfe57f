//! The levels of `onNetworkQuality`. No clock and no I/O.

use protocol::messages::{ConnectionQuality, ConnectionQualityInfo};

use crate::quality;
use crate::stats::Network;

/// `ZegoStreamQualityLevel`.
const EXCELLENT: i32 = 0;
const GOOD: i32 = 1;
const MEDIUM: i32 = 2;
const BAD: i32 = 3;
const DIE: i32 = 4;
pub(crate) const UNKNOWN: i32 = 5;

/// Score from which the server's "good" is more than bearable; its scores are opinions, 1 to 5.
const GOOD_SCORE: f32 = 3.5;
/// Fewer packets say nothing about loss.
const MIN_PACKETS: u64 = 20;

/// The level of another user by the server's word.
pub(crate) fn of_remote(info: &ConnectionQualityInfo) -> i32 {
    match ConnectionQuality::try_from(info.quality) {
        Ok(ConnectionQuality::Excellent) => EXCELLENT,
        Ok(ConnectionQuality::Good) if info.score >= GOOD_SCORE => GOOD,
        Ok(ConnectionQuality::Good) => MEDIUM,
        Ok(ConnectionQuality::Poor) => BAD,
        Ok(ConnectionQuality::Lost) => DIE,
        Err(_) => UNKNOWN,
    }
}

/// The own quality levels, from the statistics of the own connections.
#[derive(Debug, Default)]
pub(crate) struct OwnQuality {
    before: Network,
}

impl OwnQuality {
    /// Upstream and downstream level since the last call.
    pub(crate) fn update(&mut self, network: &Network) -> (i32, i32) {
        let rtt = network.rtt_ms();
        let before = std::mem::replace(&mut self.before, network.clone());
        let up_loss = network.upstream_loss_since(&before);
        let upstream = if network.publisher.packets_sent == 0 { UNKNOWN } else { quality::level(rtt, up_loss) };
        let down_loss = network.downstream_loss_since(&before, MIN_PACKETS);
        (upstream, down_loss.map_or(UNKNOWN, |loss| quality::level(rtt, loss)))
    }
}

#[cfg(test)]
mod tests {
    use transport::PeerStats;

    use super::*;

    #[test]
    fn the_servers_word_is_translated() {
        let of = |quality: ConnectionQuality, score| {
            of_remote(&ConnectionQualityInfo { quality: quality as i32, score, ..Default::default() })
        };
        use ConnectionQuality::{Excellent, Good, Lost, Poor};
        assert_eq!([of(Excellent, 4.5), of(Good, 3.9), of(Good, 3.0), of(Poor, 2.0), of(Lost, 0.0)], [0, 1, 2, 3, 4]);
        assert_eq!(of_remote(&ConnectionQualityInfo { quality: 17, ..Default::default() }), UNKNOWN);
    }

    #[test]
    fn the_own_quality_is_that_of_the_last_seconds() {
        let network = |received, lost| Network {
            publisher: PeerStats { packets_sent: 10, remote_loss_rate: 0.04, rtt_ms: Some(20.0), ..Default::default() },
            subscriber: PeerStats { packets_received: received, packets_lost: lost, ..Default::default() },
        };
        let mut own = OwnQuality::default();
        assert_eq!(own.update(&network(0, 0)), (1, UNKNOWN));
        assert_eq!(own.update(&network(80, 20)), (1, 3));
        assert_eq!(own.update(&network(280, 20)), (1, 0));
        assert_eq!(own.update(&Network::default()).0, UNKNOWN);
    }
}
