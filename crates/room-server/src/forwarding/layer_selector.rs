//! Which simulcast layer of a line one subscriber gets: the best that arrives and that it wants, changed at key frames
//! only.

use super::core::LayerId;

/// Rank of the best layer.
pub const BEST: u8 = 3;

/// The choice for one subscriber of a line.
#[derive(Debug)]
pub struct LayerSelector {
    current: Option<LayerId>,
    /// Rank of the best layer that the subscriber wants.
    pub max_rank: u8,
    /// Rank of the best layer that its link carries.
    pub link_rank: u8,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Forward,
    /// Forward it; it is the first of another layer.
    ForwardSwitched,
    /// Do not forward it.
    Drop,
}

impl LayerSelector {
    /// A choice of layers up to these ranks.
    pub fn up_to(max_rank: u8, link_rank: u8) -> Self {
        Self { current: None, max_rank, link_rank }
    }

    /// Decides about a packet of `layer`; `None` is an m-line without layers. `arriving` are the layers of the m-line that are
    /// being sent, `starts_keyframe` says whether the packet is the first of a key frame.
    pub fn decide(&mut self, layer: Option<LayerId>, starts_keyframe: bool, arriving: &[LayerId]) -> Verdict {
        let Some(layer) = layer else { return Verdict::Forward };
        if self.current == Some(layer) {
            return Verdict::Forward;
        }
        if starts_keyframe && self.target(arriving) == Some(layer) {
            self.current = Some(layer);
            return Verdict::ForwardSwitched;
        }
        Verdict::Drop
    }

    /// The layer whose key frame is waited for, if another one than the current is wanted.
    pub fn awaited(&self, arriving: &[LayerId]) -> Option<LayerId> {
        self.target(arriving).filter(|target| self.current != Some(*target))
    }

    /// The layer that is forwarded now.
    pub fn current(&self) -> Option<LayerId> {
        self.current
    }

    /// Starts over with a key frame.
    pub fn restart(&mut self) {
        self.current = None;
    }

    /// The best arriving layer that is not better than wanted, otherwise the smallest arriving one.
    fn target(&self, arriving: &[LayerId]) -> Option<LayerId> {
        let best = self.max_rank.min(self.link_rank);
        let wanted = arriving.iter().filter(|layer| rank(**layer) <= best);
        wanted.max_by_key(|layer| rank(**layer)).or(arriving.iter().min_by_key(|layer| rank(**layer))).copied()
    }
}

/// LiveKit's clients call their layers `q`, `h` and `f`, from low to high.
pub fn rank(layer: LayerId) -> u8 {
    match layer.as_str() {
        "f" | "2" => BEST,
        "h" | "1" => 2,
        "q" | "0" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> LayerId {
        LayerId::new(name).unwrap()
    }

    fn decide(selector: &mut LayerSelector, name: &str, starts_keyframe: bool, arriving: &str) -> Verdict {
        let arriving: Vec<LayerId> = arriving.split(' ').map(layer).collect();
        selector.decide(Some(layer(name)), starts_keyframe, &arriving)
    }

    #[test]
    fn a_line_without_layers_is_forwarded() {
        assert_eq!(LayerSelector::up_to(BEST, BEST).decide(None, false, &[]), Verdict::Forward);
    }

    #[test]
    fn the_best_layer_begins_with_a_key_frame() {
        let mut selector = LayerSelector::up_to(BEST, BEST);
        assert_eq!(decide(&mut selector, "q", true, "q"), Verdict::ForwardSwitched);
        assert_eq!(decide(&mut selector, "f", false, "q f"), Verdict::Drop);
        assert_eq!(selector.awaited(&[layer("q"), layer("f")]), Some(layer("f")));
        assert_eq!(decide(&mut selector, "q", false, "q f"), Verdict::Forward);
        assert_eq!(decide(&mut selector, "f", true, "q f"), Verdict::ForwardSwitched);
        assert_eq!(decide(&mut selector, "q", true, "q f"), Verdict::Drop);
        assert_eq!(selector.awaited(&[layer("q"), layer("f")]), None);
    }

    #[test]
    fn a_smaller_layer_is_given_to_those_who_want_it() {
        let mut selector = LayerSelector::up_to(BEST, BEST);
        decide(&mut selector, "f", true, "q h f");
        selector.max_rank = 2;
        assert_eq!(decide(&mut selector, "f", true, "q h f"), Verdict::Forward);
        assert_eq!(decide(&mut selector, "h", false, "q h f"), Verdict::Drop);
        assert_eq!(decide(&mut selector, "h", true, "q h f"), Verdict::ForwardSwitched);
        assert_eq!(decide(&mut selector, "f", true, "q h f"), Verdict::Drop);
    }

    #[test]
    fn a_link_that_carries_less_gets_less() {
        let mut selector = LayerSelector::up_to(BEST, BEST);
        decide(&mut selector, "f", true, "q h f");
        selector.link_rank = 1;
        assert_eq!(decide(&mut selector, "q", true, "q h f"), Verdict::ForwardSwitched);
    }

    #[test]
    fn a_layer_that_stops_is_replaced_by_what_arrives() {
        let mut selector = LayerSelector::up_to(BEST, BEST);
        decide(&mut selector, "f", true, "q f");
        assert_eq!(decide(&mut selector, "q", true, "q"), Verdict::ForwardSwitched);
        selector.max_rank = 1;
        assert_eq!(decide(&mut selector, "h", true, "h"), Verdict::ForwardSwitched);
    }
}
