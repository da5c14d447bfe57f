//! One picture in several sizes at once: which layers a track has, which of them are sent, and at what rate.
//!
//! Layers go by halves, as LiveKit's clients send them. The lowest that anybody wants always gets its share first;
//! an upper one is sent only if what is left makes a good picture of it. Sans-IO: time is an argument.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use protocol::messages::{SubscribedQualityUpdate, VideoLayer, VideoQuality};

use crate::config::{Layering, VideoConfig};

/// Names of the layers on the wire, from low to high.
pub(crate) const RIDS: [&str; 3] = ["q", "h", "f"];
/// Most layers of a track.
pub(crate) const MOST_LAYERS: usize = RIDS.len();

/// Longer side in pixels from which a picture is worth two or three layers.
const TWO_FROM: u32 = 480;
const THREE_FROM: u32 = 960;
/// Bitrate of a layer as a share of the one above it: a quarter of the pixels, which cost more each.
const RATE_SHARE: f64 = 0.3;
/// Most frames per second of all but the largest, which the stock clients keep to as well: who watches a small picture
/// misses little, and three layers stay below one and a half times the work of one.
const LOWER_FPS: u32 = 20;
/// An upper layer with less than this share of its bitrate looks worse than the one below it,
const LEAST_SHARE: f64 = 0.5;
/// and it comes back only when there is so much more than that,
const BACK: f64 = 1.25;
/// for so long.
const BACK_AFTER: Duration = Duration::from_secs(1);
/// How long after somebody wanted a layer again it is not known whether there are bits for it.
const EARLY: Duration = Duration::from_millis(500);
/// A side of a layer is at least so long, in pixels.
const LEAST_SIDE: u32 = 16;

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

/// What each of `count` layers is encoded to, from low to high; the last is the configuration itself.
pub(crate) fn layers(config: &VideoConfig, count: usize) -> Vec<VideoConfig> {
    let of = |steps: usize| {
        let side = |pixels: u32| ((pixels >> steps) & !1).max(LEAST_SIDE.min(pixels));
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
/// that is told of no layer at all would believe that nobody can want it.
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

/// The layers that somebody watches, as the room server tells; written by the session, read by the encoder thread.
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

    /// Takes what the server tells. Servers that know of several codecs tell it for each.
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

    /// Whether each of `count` layers is wanted. Whoever wants a higher one than there is gets the highest.
    pub(crate) fn get(&self, count: usize) -> [bool; MOST_LAYERS] {
        let mask = self.0.load(Relaxed);
        let top = count.saturating_sub(1);
        std::array::from_fn(|layer| layer < count && (mask >> layer & 1 == 1 || layer == top && mask >> layer != 0))
    }
}

/// Divides what may be sent among the layers of one track.
#[derive(Debug, Default)]
pub(crate) struct LayerAllocator {
    on: [bool; MOST_LAYERS],
    rich_since: [Option<Instant>; MOST_LAYERS],
    /// It was wanted, and there were too few bits for it. One that nobody wanted comes back at once.
    lacked: [bool; MOST_LAYERS],
    rested: [bool; MOST_LAYERS],
    /// Until then few bits say nothing: what may be sent follows what is wanted with a delay.
    early_until: [Option<Instant>; MOST_LAYERS],
}

impl LayerAllocator {
    /// Bits per second for each layer, 0 = not sent. `layers` go from low to high.
    pub(crate) fn allocate(
        &mut self,
        now: Instant,
        layers: &[VideoConfig],
        wanted: [bool; MOST_LAYERS],
        budget_bps: u64,
    ) -> [u64; MOST_LAYERS] {
        let mut shares = [0; MOST_LAYERS];
        let (mut left, mut is_lowest) = (budget_bps, true);
        for (layer, config) in layers.iter().enumerate().take(MOST_LAYERS) {
            if !wanted[layer] {
                (self.on[layer], self.rich_since[layer], self.lacked[layer]) = (false, None, false);
                self.rested[layer] = true;
                continue;
            }
            if std::mem::take(&mut self.rested[layer]) {
                self.early_until[layer] = Some(now + EARLY);
            }
            let most = u64::from(config.bitrate_kbps) * 1000;
            // Who wants a picture gets one, however little there is: how to make the best of it the rate control knows.
            if std::mem::take(&mut is_lowest) || self.affords(now, layer, left, most) {
                (self.on[layer], self.lacked[layer]) = (true, false);
                shares[layer] = left.min(most);
                left -= shares[layer];
            } else {
                // What is left is no use to a larger one either.
                left = 0;
                let is_early = self.early_until[layer].is_some_and(|until| now < until);
                self.lacked[layer] |= std::mem::take(&mut self.on[layer]) || !is_early;
            }
        }
        shares
    }

    fn affords(&mut self, now: Instant, layer: usize, left: u64, most: u64) -> bool {
        let least = most as f64 * LEAST_SHARE;
        if self.on[layer] || !self.lacked[layer] {
            self.rich_since[layer] = None;
            return left as f64 >= least;
        }
        if (left as f64) < least * BACK {
            self.rich_since[layer] = None;
            return false;
        }
        now.saturating_duration_since(*self.rich_since[layer].get_or_insert(now)) >= BACK_AFTER
    }
}

#[cfg(test)]
mod tests {
    use protocol::messages::{SubscribedCodec, SubscribedQuality};

    use super::*;

    const ALL: [bool; MOST_LAYERS] = [true; MOST_LAYERS];

    fn config(layering: Layering) -> VideoConfig {
        VideoConfig { layering, bitrate_kbps: 2000, ..VideoConfig::preset(4) }
    }

    fn allocated(allocator: &mut LayerAllocator, now: Instant, kbps: u64) -> [u64; MOST_LAYERS] {
        let layers = layers(&config(Layering::Full), 3);
        allocator.allocate(now, &layers, ALL, kbps * 1000).map(|bps| bps / 1000)
    }

    #[test]
    fn layers_go_by_halves_as_far_as_the_picture_is_worth_it() {
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
    fn a_layer_that_nobody_wanted_is_back_at_once_when_somebody_does() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        let layers = layers(&config(Layering::Full), 3);
        let mut wanting = |now, wanted, kbps: u64| allocator.allocate(now, &layers, wanted, kbps * 1000)[2] > 0;
        assert!(wanting(now, ALL, 4000));
        let later = now + Duration::from_secs(30);
        assert!(!wanting(later, [true, false, false], 4000));
        // What may be sent follows what is wanted.
        assert!(!wanting(later, ALL, 200));
        let later = later + Duration::from_millis(60);
        assert!(wanting(later, ALL, 4000));
        // There were too few bits for it: it waits until there are more for a while.
        assert!(!wanting(later, ALL, 900));
        assert!(!wanting(later, ALL, 4000));
        assert!(wanting(later + BACK_AFTER, ALL, 4000));
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
    fn a_picture_in_one_size_is_announced_as_the_best_quality() {
        let layers = announced(&config(Layering::Full), 1);
        let heads: Vec<_> = layers.iter().map(|layer| (layer.rid.as_str(), layer.quality, layer.width)).collect();
        assert_eq!(heads, [("", VideoQuality::High as i32, 1280)]);
    }

    #[test]
    fn what_is_too_little_takes_the_upper_layers_first() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        assert_eq!(allocated(&mut allocator, now, 1800), [180, 600, 1020]);
        assert_eq!(allocated(&mut allocator, now, 1770), [180, 600, 0]);
        assert_eq!(allocated(&mut allocator, now, 500), [180, 320, 0]);
        assert_eq!(allocated(&mut allocator, now, 100), [100, 0, 0]);
    }

    #[test]
    fn a_layer_comes_back_only_when_there_is_enough_for_a_while() {
        let (mut allocator, now) = (LayerAllocator::default(), Instant::now());
        allocated(&mut allocator, now, 1000);
        assert_eq!(allocated(&mut allocator, now, 1800)[2], 0, "just enough is not enough");
        assert_eq!(allocated(&mut allocator, now, 2200)[2], 0, "not yet");
        assert_eq!(allocated(&mut allocator, now + BACK_AFTER / 2, 1000)[2], 0);
        assert_eq!(allocated(&mut allocator, now + BACK_AFTER, 2200)[2], 0, "counted anew");
        assert_eq!(allocated(&mut allocator, now + 2 * BACK_AFTER, 2200)[2], 1420);
    }

    #[test]
    fn layers_that_nobody_watches_are_not_sent() {
        let mut allocator = LayerAllocator::default();
        let layers = layers(&config(Layering::Full), 3);
        let shares = allocator.allocate(Instant::now(), &layers, [false, true, false], 9_000_000);
        assert_eq!(shares, [0, 600_000, 0]);
        assert_eq!(allocator.allocate(Instant::now(), &layers, [false; 3], 9_000_000), [0; 3]);
    }

    #[test]
    fn the_server_tells_what_is_wanted_and_the_highest_there_is_stands_for_those_above() {
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
