//! Random loss of packets.

use crate::random::Random;

/// How packets are lost at random.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// No packet is lost.
    None,
    /// Each packet independently, with this probability.
    Uniform(f64),
    /// Gilbert-Elliott: every packet is lost in the bad state.
    Bursts {
        /// Share of packets lost over time, 0 up to 1.
        rate: f64,
        /// Mean length of a bad state, in packets.
        mean_burst: f64,
    },
}

/// The state of one direction's loss.
#[derive(Clone, Copy, Debug)]
pub struct LossProcess {
    loss: Loss,
    is_bad: bool,
}

impl LossProcess {
    /// A process in its good state.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        Self { loss, is_bad: false }
    }

    /// Whether the next packet is lost.
    pub fn is_lost(&mut self, random: &mut Random) -> bool {
        match self.loss {
            Loss::None => false,
            Loss::Uniform(rate) => random.chance(rate),
            Loss::Bursts { rate, mean_burst } => {
                let leave = 1.0 / mean_burst;
                let enter = leave * rate / (1.0 - rate);
                if random.chance(if self.is_bad { leave } else { enter }) {
                    self.is_bad = !self.is_bad;
                }
                self.is_bad
            }
        }
    }
}
