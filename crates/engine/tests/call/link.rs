//! One direction of a network: what it loses, how long it takes, how much it carries.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Maximum queue before the bottleneck; what comes then is lost.
const QUEUE: Duration = Duration::from_millis(200);

/// What a link is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// On the path, without the queue.
    pub delay: Duration,
    /// Share of packets that vanish, 0 to 1.
    pub loss: f64,
    /// Bits per second; 0 = no limit.
    pub bps: u64,
}

struct State {
    quality: Quality,
    /// When the bottleneck has sent what it has.
    free_at: Option<Instant>,
    random: u64,
    packets: u64,
    lost: u64,
}

/// Begins without any fault. The same packets meet the same losses in every run.
pub struct Link(Mutex<State>);

impl Default for Link {
    fn default() -> Self {
        let quality = Quality::default();
        Self(Mutex::new(State { quality, free_at: None, random: 0x5eed, packets: 0, lost: 0 }))
    }
}

impl Link {
    /// Forgets what was counted.
    pub fn set(&self, quality: Quality) {
        let mut state = self.0.lock().unwrap();
        (state.quality, state.packets, state.lost) = (quality, 0, 0);
    }

    /// Share of the packets that were lost since the link became what it is.
    pub fn lost_share(&self) -> f64 {
        let state = self.0.lock().unwrap();
        state.lost as f64 / state.packets.max(1) as f64
    }

    /// When a packet of this many bytes arrives; `None` if it never does.
    pub fn arrival(&self, now: Instant, bytes: usize) -> Option<Instant> {
        let mut state = self.0.lock().unwrap();
        state.packets += 1;
        // Knuth's linear congruential generator; its upper half is random enough.
        state.random = state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = (state.random >> 32) as f64 / f64::from(u32::MAX);
        let quality = state.quality;
        if chance < quality.loss {
            state.lost += 1;
            return None;
        }
        let mut left = now;
        if quality.bps > 0 {
            let begins = state.free_at.map_or(now, |free| free.max(now));
            if begins - now > QUEUE {
                state.lost += 1;
                return None;
            }
            left = begins + Duration::from_secs_f64(bytes as f64 * 8.0 / quality.bps as f64);
            state.free_at = Some(left);
        }
        Some(left + quality.delay)
    }
}
