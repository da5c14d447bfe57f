//! Commands of the relay.

use netsim::{LinkConfig, Loss};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    Server(SocketAddr),
    Newcomers(Links),
    Change(Links),
    Rebind(String),
    Mark(()),
    Report(String),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Links {
    pub name: String,
    pub up: LinkText,
    pub down: LinkText,
}

/// A [`LinkConfig`] as it is written.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LinkText {
    seed: u64,
    loss: f64,
    burst: Option<f64>,
    delay_ms: f64,
    jitter_ms: f64,
    reorder: f64,
    reorder_ms: f64,
    duplicate: f64,
    capacity: Vec<(u64, f64)>,
    queue_ms: Option<u64>,
    outages: Vec<(u64, u64)>,
}

impl LinkText {
    pub fn config(&self) -> LinkConfig {
        let ms = |millis: f64| Duration::from_secs_f64(millis.max(0.0) / 1000.0);
        let loss = match self.burst {
            _ if self.loss <= 0.0 => Loss::None,
            Some(mean_burst) => Loss::Bursts { rate: self.loss, mean_burst },
            None => Loss::Uniform(self.loss),
        };
        let at = Duration::from_millis;
        LinkConfig {
            seed: self.seed,
            loss,
            delay: ms(self.delay_ms),
            jitter: ms(self.jitter_ms),
            reorder: self.reorder,
            reorder_delay: ms(self.reorder_ms),
            duplicate: self.duplicate,
            capacity: self.capacity.iter().map(|(from, bps)| (at(*from), *bps)).collect(),
            queue: self.queue_ms.map_or(LinkConfig::default().queue, at),
            stalls: None,
            outages: self.outages.iter().map(|(from, to)| at(*from)..at(*to)).collect(),
        }
    }
}
