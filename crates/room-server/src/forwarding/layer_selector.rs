//! Which simulcast layer of a line is forwarded: the best one that arrives.

use std::time::{Duration, Instant};

use super::core::LayerId;

/// A layer that was silent for this long is given up for another.
const SILENCE: Duration = Duration::from_millis(1500);

/// The choice for one published line.
#[derive(Debug, Default)]
pub struct LayerSelector {
    current: Option<(LayerId, Instant)>,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Forward,
    /// Forward it; it is the first of another layer, so a key frame is needed.
    ForwardSwitched,
    /// Another layer is forwarded.
    Drop,
}

impl LayerSelector {
    /// Decides about a packet of `layer`; `None` is a line without layers.
    pub fn decide(&mut self, layer: Option<LayerId>, now: Instant) -> Verdict {
        let Some(layer) = layer else { return Verdict::Forward };
        match &mut self.current {
            Some((current, seen)) if *current == layer => {
                *seen = now;
                Verdict::Forward
            }
            Some((current, seen))
                if rank(layer) <= rank(*current) && now.saturating_duration_since(*seen) < SILENCE =>
            {
                Verdict::Drop
            }
            _ => {
                self.current = Some((layer, now));
                Verdict::ForwardSwitched
            }
        }
    }

    /// The layer that is forwarded now, to ask for its key frames.
    pub fn current(&self) -> Option<LayerId> {
        self.current.map(|(layer, _)| layer)
    }
}

/// LiveKit's clients call their layers `q`, `h` and `f`, from low to high.
fn rank(layer: LayerId) -> u8 {
    match layer.as_str() {
        "f" | "2" => 3,
        "h" | "1" => 2,
        "q" | "0" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Option<LayerId> {
        LayerId::new(name)
    }

    #[test]
    fn a_line_without_layers_is_forwarded() {
        assert_eq!(LayerSelector::default().decide(None, Instant::now()), Verdict::Forward);
    }

    #[test]
    fn the_best_layer_wins_as_soon_as_it_appears() {
        let (mut selector, now) = (LayerSelector::default(), Instant::now());
        assert_eq!(selector.decide(layer("q"), now), Verdict::ForwardSwitched);
        assert_eq!(selector.decide(layer("f"), now), Verdict::ForwardSwitched);
        assert_eq!(selector.decide(layer("h"), now), Verdict::Drop);
        assert_eq!(selector.decide(layer("f"), now), Verdict::Forward);
        assert_eq!(selector.current(), layer("f"));
    }

    #[test]
    fn a_layer_that_stops_is_replaced_by_a_lower_one() {
        let (mut selector, now) = (LayerSelector::default(), Instant::now());
        selector.decide(layer("f"), now);
        assert_eq!(selector.decide(layer("q"), now + SILENCE / 2), Verdict::Drop);
        assert_eq!(selector.decide(layer("q"), now + SILENCE), Verdict::ForwardSwitched);
    }
}
