//! Simulcast: the layers of a track, which of them are sent, and at what bitrate.
//!
//! Each layer has half the sides of the next, as LiveKit's clients send them. The lowest wanted layer gets its budget first;
//! a higher one is sent only if the rest makes a good video of it. Sans-IO: time is an argument.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use protocol::messages::{SubscribedQualityUpdate, VideoLayer, VideoQuality};

use crate::config::{Layering, VideoConfig};

/// Names of the layers on the wire, from low to high.
pub(crate) const RIDS: [&str; 3] = ["q", "h", "f"];
/// Upper bound of a track's layers.
pub(crate) const MAX_LAYERS: usize = RIDS.len();

/// Longer side in pixels from which a video has two layers; the one below is for three.
const TWO_FROM: u32 = 480;
const THREE_FROM: u32 = 960;
/// Bitrate of a layer as a share of the one above it: a quarter of the pixels, which cost more each.
const RATE_SHARE: f64 = 0.3;
/// Upper bound of the frame rate of all layers but the largest, as in stock clients: a small video loses little, and three
/// layers stay below one and a half times the work of one.
const LOWER_FPS: u32 = 20;
/// An upper layer with less than this share of its bitrate looks worse than the one below it,
const MIN_SHARE: f64 = 0.5;
/// Margin that a layer needs before it returns, as a multiple of its bitrate.
const RETURN_FACTOR: f64 = 1.25;
/// How long the margin has to last.
const RETURN_AFTER: Duration = Duration::from_secs(1);
/// How long after a layer is wanted again its budget is not yet meaningful.
const BUDGET_DELAY: Duration = Duration::from_millis(500);
/// Minimum side of a layer, in pixels.
const MIN_SIDE: u32 = 16;

/// How many layers a publisher that starts now sends.
pub(crate) fn layer_count(config: &VideoConfig) -> usize {
    let longer = config.encode_width.max(config.encode_height);
    let worth = 1 + usize::from(longer >= TWO_FROM) + usize::from(longer >= THREE_FROM);
    match config.layering {
        Layering::Single => 1,
        Layering::Dual => worth.min(2),
        Layering::Full => worth,
    }
}

/// The configuration of each of `count` layers, from low to high; the last is the configuration itself.
pub(crate) fn layers(config: &VideoConfig, count: usize) -> Vec<VideoConfig> {
    let of = |steps: usize| {
        let side = |pixels: u32| ((pixels >> steps) & !1).max(MIN_SIDE.min(pixels));
        let share = RATE_SHARE.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        VideoConfig {
            encode_width: side(config.encode_width),
            encode_height: side(config.encode_height),
            bitrate_kbps: ((f64::from(config.bitrate_kbps) * share) as u32).max(1),
            fps: if steps == 0 { config.fps } else { config.fps.min(LOWER_FPS) },
            ..config.clone()
        }
    };
    (0..count).rev().map(of).collect()
}

/// The layers as they are announced. A track that is sent once has one, of the best quality and without a name: a server
/// that is reported of no layer would believe that none can be wanted.
pub(crate) fn announced(config: &VideoConfig, count: usize) -> Vec<VideoLayer> {
    if count < 2 {
        return vec![VideoLayer {
            quality: VideoQuality::High as i32,
            width: config.encode_width,
            height: config.encode_height,
            bitrate: config.bitrate_kbps.saturating_mul(1000),
            ..VideoLayer::default()
        }];
    }
    let qualities = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
    let layer = |((config, quality), rid): ((VideoConfig, VideoQuality), &str)| VideoLayer {
        quality: quality as i32,
        width: config.encode_width,
        height: config.encode_height,
        bitrate: config.bitrate_kbps.saturating_mul(1000),
        rid: rid.to_owned(),
        ..VideoLayer::default()
    };
    layers(config, count).into_iter().zip(qualities).zip(RIDS).map(layer).collect()
}

/// The layers that are subscribed to, from the room server; written by the session, read by the encoder thread.
#[derive(Debug)]
pub(crate) struct WantedLayers(AtomicU8);

impl Default for WantedLayers {
    fn default() -> Self {
        Self(AtomicU8::new(u8::MAX))
    }
}

impl WantedLayers {
    /// All, as at the beginning of a session.
    pub(crate) fn reset(&self) {
        self.0.store(u8::MAX, Relaxed);
    }

    /// Applies the server's message. Servers that know of several codecs send it for each.
    #[allow(deprecated)] // the flat list is all that older servers send
    pub(crate) fn update(&self, update: &SubscribedQualityUpdate) {
        let lists = update.subscribed_codecs.iter().map(|codec| &codec.qualities);
        let flat = update.subscribed_codecs.is_empty().then_some(&update.subscribed_qualities);
        let mut mask = 0;
        for quality in lists.chain(flat).flatten().filter(|quality| quality.enabled) {
            mask |= match VideoQuality::try_from(quality.quality) {
                Ok(VideoQuality::Low) => 1,
                Ok(VideoQuality::Medium) => 2,
                Ok(VideoQuality::High) => 4,
                _ => 0,
            };
        }
        self.0.store(mask, Relaxed);
    }

    /// Whether each of `count` layers is wanted. A subscription to a higher one than there is counts for the highest.
    pub(crate) fn get(&self, count: usize) -> [bool; MAX_LAYERS] {
        let mask = self.0.load(Relaxed);
        let top = count.saturating_sub(1);
        std::array::from_fn(|layer| layer < count && (mask >> layer & 1 == 1 || layer == top && mask >> layer != 0))
    }
}

/// Divides the budget of one track among its layers.
#[derive(Debug, Default)]
pub(crate) struct LayerAllocator {
    on: [bool; MAX_LAYERS],
    rich_since: [Option<Instant>; MAX_LAYERS],
    /// It was wanted and the budget was too small. A layer that was not wanted comes back at once.
    lacked: [bool; MAX_LAYERS],
    rested: [bool; MAX_LAYERS],
    /// Until then a small budget is no evidence: it follows the wanted layers with a delay.
    budget_valid_from: [Option<Instant>; MAX_LAYERS],
}

impl LayerAllocator {
    /// Bits per second for each layer, 0 = not sent. `layers` go from low to high.
    pub(crate) fn allocate(
        &mut self,
        now: Instant,
        layers: &[VideoConfig],
        wanted: [bool; MAX_LAYERS],
        budget_bps: u64,
    ) -> [u64; MAX_LAYERS] {
        let mut shares = [0; MAX_LAYERS];
        let (mut left, mut is_lowest) = (budget_bps, true);
        for (layer, config) in layers.iter().enumerate().take(MAX_LAYERS) {
            if !wanted[layer] {
                (self.on[layer], self.rich_since[layer], self.lacked[layer]) = (false, None, false);
                self.rested[layer] = true;
                continue;
            }
            if std::mem::take(&mut self.rested[layer]) {
                self.budget_valid_from[layer] = Some(now + BUDGET_DELAY);
            }
            let most = u64::from(config.bitrate_kbps) * 1000;
            // A wanted video is sent at any budget; rate control makes the best of it.
            if std::mem::take(&mut is_lowest) || self.affords(now, layer, left, most) {
                (self.on[layer], self.lacked[layer]) = (true, false);
                shares[layer] = left.min(most);
                left -= shares[layer];
            } else {
                // What is left is of no use to a larger one either.
                left = 0;
                let is_early = self.budget_valid_from[layer].is_some_and(|until| now < until);
                self.lacked[layer] |= std::mem::take(&mut self.on[layer]) || !is_early;
            }
        }
        shares
    }

    fn affords(&mut self, now: Instant, layer: usize, left: u64, most: u64) -> bool {
        let least = most as f64 * MIN_SHARE;
        if self.on[layer] || !self.lacked[layer] {
            self.rich_since[layer] = None;
            return left as f64 >= least;
        }
        if (left as f64) < least * RETURN_FACTOR {
            self.rich_since[layer] = None;
            return false;
        }
        now.saturating_duration_since(*self.rich_since[layer].get_or_insert(now)) >= RETURN_AFTER
    }
}

#[cfg(test)]
mod tests {
    use protocol::messages::{SubscribedCodec, SubscribedQuality};

    use super::*;

    const ALL: [bool; MAX_LAYERS] = [true; MAX_LAYERS];

    fn config(layering: Layering) -> VideoConfig {
        VideoConfig { layering, bitrate_kbps: 2000, ..VideoConfig::preset(4) }
    }

    fn allocated(allocator: &mut LayerAllocator, now: Instant, kbps: u64) -> [u64; MAX_LAYERS] {
        let layers = layers(&config(Layering::Full), 3);
        allocator.allocate(now, &layers, ALL, kbps * 1000).map(|bps| bps / 1000)
    }

    #[test]
    fn layers_have_half_sides_down_to_a_useful_size() {
        let sizes = |config: &VideoConfig| -> Vec<(u32, u32, u32)> {
            let layers = layers(config, layer_count(config));
            layers.iter().map(|layer| (layer.encode_width, layer.encode_height, layer.bitrate_kbps)).collect()
        };
        assert_eq!(sizes(&config(Layering::Full)), [(320, 180, 180), (640, 360, 600), (1280, 720, 2000)]);
        assert_eq!(sizes(&config(Layering::Dual)), [(640, 360, 600), (1280, 720, 2000)]);
        assert_eq!(sizes(&config(Layering::Single)), [(1280, 720, 2000)]);
        let fast = VideoConfig { fps: 30, ..config(Layering::Full) };
        assert_eq!(layers(&fast, 3).iter().map(|layer| layer.fps).collect::<Vec<_>>(), [20, 20, 30]);
        let small = VideoConfig { layering: Layering::Full, ..VideoConfig::preset(2) };
        assert_eq!(sizes(&small), [(320, 180, 180), (640, 360, 600)]);
        assert_eq!(layer_count(&VideoConfig { layering: Layering::Full, ..VideoConfig::preset(0) }), 1);
    }

    #[test]
    fn an_unwanted_layer_returns_at_once_when_it_is_wanted() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        let layers = layers(&config(Layering::Full), 3);
        let mut wanting = |now, wanted, kbps: u64| allocator.allocate(now, &layers, wanted, kbps * 1000)[2] > 0;
        assert!(wanting(now, ALL, 4000));
        let later = now + Duration::from_secs(30);
        assert!(!wanting(later, [true, false, false], 4000));
        // The budget follows the wanted layers.
        assert!(!wanting(later, ALL, 200));
        let later = later + Duration::from_millis(60);
        assert!(wanting(later, ALL, 4000));
        // There were too few bits for it: it waits until there are more for a while.
        assert!(!wanting(later, ALL, 900));
        assert!(!wanting(later, ALL, 4000));
        assert!(wanting(later + RETURN_AFTER, ALL, 4000));
    }

    #[test]
    fn announced_layers_have_the_names_and_qualities_that_stock_clients_use() {
        let layers = announced(&config(Layering::Full), 3);
        let heads: Vec<_> = layers.iter().map(|layer| (layer.rid.as_str(), layer.quality, layer.width)).collect();
        assert_eq!(heads, [("q", 0, 320), ("h", 1, 640), ("f", 2, 1280)]);
        let single = announced(&config(Layering::Single), 1);
        assert_eq!((single.len(), single[0].rid.as_str(), single[0].quality, single[0].width), (1, "", 2, 1280));
    }

    #[test]
    fn enough_for_all_gives_each_its_rate() {
        assert_eq!(allocated(&mut LayerAllocator::default(), Instant::now(), 9000), [180, 600, 2000]);
    }

    #[test]
    fn a_single_layer_is_announced_as_the_best_quality() {
        let layers = announced(&config(Layering::Full), 1);
        let heads: Vec<_> = layers.iter().map(|layer| (layer.rid.as_str(), layer.quality, layer.width)).collect();
        assert_eq!(heads, [("", VideoQuality::High as i32, 1280)]);
    }

    #[test]
    fn a_small_budget_drops_the_upper_layers_first() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        assert_eq!(allocated(&mut allocator, now, 1800), [180, 600, 1020]);
        assert_eq!(allocated(&mut allocator, now, 1770), [180, 600, 0]);
        assert_eq!(allocated(&mut allocator, now, 500), [180, 320, 0]);
        assert_eq!(allocated(&mut allocator, now, 100), [100, 0, 0]);
    }

    #[test]
    fn a_layer_returns_only_after_a_stable_margin() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        allocated(&mut allocator, now, 1000);
        assert_eq!(allocated(&mut allocator, now, 1800)[2], 0, "just enough is not enough");
        assert_eq!(allocated(&mut allocator, now, 2200)[2], 0, "not yet");
        assert_eq!(allocated(&mut allocator, now + RETURN_AFTER / 2, 1000)[2], 0);
        assert_eq!(allocated(&mut allocator, now + RETURN_AFTER, 2200)[2], 0, "counted anew");
        assert_eq!(allocated(&mut allocator, now + 2 * RETURN_AFTER, 2200)[2], 1420);
    }

    #[test]
    fn layers_without_subscribers_are_not_sent() {
        let mut allocator = LayerAllocator::default();
        let layers = layers(&config(Layering::Full), 3);
        let shares = allocator.allocate(Instant::now(), &layers, [false, true, false], 9_000_000);
        assert_eq!(shares, [0, 600_000, 0]);
        assert_eq!(allocator.allocate(Instant::now(), &layers, [false; 3], 9_000_000), [0; 3]);
    }

    #[test]
    fn the_highest_layer_stands_for_those_above_it() {
        let wanted = WantedLayers::default();
        assert_eq!(wanted.get(2), [true, true, false]);
        let qualities = |enabled: [bool; 3]| {
            (0..).zip(enabled).map(|(quality, enabled)| SubscribedQuality { quality, enabled }).collect::<Vec<_>>()
        };
        let tell = |enabled| SubscribedQualityUpdate {
            subscribed_codecs: vec![SubscribedCodec { codec: "h264".into(), qualities: qualities(enabled) }],
            ..SubscribedQualityUpdate::default()
        };
        wanted.update(&tell([true, false, false]));
        assert_eq!(wanted.get(3), [true, false, false]);
        wanted.update(&tell([false, false, true]));
        assert_eq!(wanted.get(2), [false, true, false]);
        wanted.update(&tell([false; 3]));
        assert_eq!(wanted.get(3), [false; 3]);
        wanted.reset();
        assert_eq!(wanted.get(3), ALL);
    }
}
