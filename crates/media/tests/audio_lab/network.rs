//! What a network does to a stream of audio packets: loss, jitter that reorders, outages, clocks that drift apart.

use netsim::{Loss, LossProcess, Random};
use std::ops::Range;

/// How much later than the fastest way a packet comes, independent of its neighbours.
#[derive(Clone, Copy, Debug)]
pub enum Jitter {
    /// Evenly between 0 and this, ms.
    Uniform(f64),
    /// Exponential with this mean, ms: most are early, a few very late.
    Exponential(f64),
}

/// One direction of a path.
#[derive(Clone, Debug)]
pub struct Network {
    pub loss: Loss,
    pub jitter: Jitter,
    /// Milliseconds in which everything is lost.
    pub outage: Range<f64>,
    /// How much faster the sender's clock runs than the receiver's, parts per million.
    pub drift_ppm: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self { loss: Loss::None, jitter: Jitter::Uniform(0.0), outage: 0.0..0.0, drift_ppm: 0.0 }
    }
}

/// The fastest way through, ms.
pub const DELAY_MS: f64 = 25.0;

impl Network {
    /// When each of `packets` comes that are sent every 20 ms of the sender's clock, ms of the receiver's; `None` if lost.
    pub fn arrivals(&self, packets: usize, seed: u64) -> Vec<Option<f64>> {
        let mut rng = Random::new(seed);
        let mut loss = LossProcess::new(self.loss);
        (0..packets)
            .map(|packet| {
                let sent = self.sent_ms(packet as f64);
                let late = match self.jitter {
                    Jitter::Uniform(most) => most * rng.unit(),
                    Jitter::Exponential(mean) => -mean * (1.0 - rng.unit()).ln(),
                };
                let is_lost = loss.is_lost(&mut rng);
                (!is_lost && !self.outage.contains(&sent)).then_some(sent + DELAY_MS + late)
            })
            .collect()
    }

    /// When packet number `packet` is sent, ms of the receiver's clock.
    pub fn sent_ms(&self, packet: f64) -> f64 {
        packet * 20.0 * (1.0 - self.drift_ppm * 1e-6)
    }

    /// What the engine tells its encoder after a while: 5 percent more than is lost, at least 5.
    pub fn expected_loss_percent(&self) -> u8 {
        match self.loss {
            Loss::None => 5,
            Loss::Uniform(rate) | Loss::Bursts { rate, .. } => (rate * 100.0) as u8 + 5,
        }
    }

    /// How many earlier packets the engine then puts into each.
    pub fn copies(&self) -> usize {
        match self.loss {
            Loss::Uniform(rate) | Loss::Bursts { rate, .. } if rate >= 0.08 => 2,
            Loss::Uniform(rate) | Loss::Bursts { rate, .. } if rate >= 0.03 => 1,
            _ => 0,
        }
    }
}
