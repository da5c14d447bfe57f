//! Allocates the downlink bandwidth of one subscriber: audio first, then the smallest layer of every video, then better
//! layers, always in the order of priority.
//!
//! An estimate follows what is sent: on a wide path it is rarely much above that, and lags behind when more is sent. So all
//! videos get their best layer until the estimate falls below what is being sent; only then the path counts as narrow, and
//! there is something to allocate.
//!
//! On a narrow path layers are lowered at once, since a queue is building up. Raising them needs headroom that lasts, the
//! longer the more often it was a mistake. A video is paused only when even its smallest layer did not fit for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::layer_selector::BEST;

/// Share of a layer's rate that keeps it; the one below is for raising: estimates and encoders both vary.
const KEEP: f64 = 0.95;
const GIVE: f64 = 1.15;
/// Share of a video's arriving rate that its encoder was asked for: the rest is headers and overshoot.
const ENCODED: f64 = 0.87;
/// A video is paused only below this share of its smallest layer's rate: an estimate lags behind a publisher that sends less,
/// and bad video is better than none.
const PAUSE_BELOW: f64 = 0.7;
/// How long the smallest layer must not fit before its video is paused.
const PAUSE_AFTER: Duration = Duration::from_millis(1500);
/// How long there must be headroom before a layer is raised: at first, and at most.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_PATIENCE: Duration = Duration::from_secs(30);
/// More that is lost again within this time was a mistake.
const MISTAKE: Duration = Duration::from_secs(10);
/// Time after which the estimate has followed a new video.
const ESTIMATE_LAG: Duration = Duration::from_secs(2);
/// The path is narrow when the estimate is below this share of what is sent, for the time below.
const NARROW_RATIO: f64 = 0.9;
const NARROW_AFTER: Duration = Duration::from_millis(400);
/// The path counts as wide again after all videos had their best layer for this long.
const WIDE_AFTER: Duration = Duration::from_secs(10);

/// One layer of a video, or a video without layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// 1 to 3, larger is better.
    pub rank: u8,
    /// Bits per second.
    pub bps: u64,
}

/// A video that the subscriber wants.
#[derive(Clone, Debug)]
pub struct Video {
    /// Name of the track.
    pub track: String,
    /// Larger is more important.
    pub priority: u32,
    /// Layers that may be allocated, from small to large. A video without any is left alone.
    pub layers: Vec<Layer>,
    /// Bits per second of the best layer by the publisher's announcement, 0 without one. Less may arrive: the scene is simple, or
    /// the publisher follows this very path and would send more.
    pub announced: u64,
}

/// The allocation of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nothing for now.
    Paused,
    /// Layers up to this rank.
    UpTo(u8),
}

/// The allocations of one subscriber.
#[derive(Debug, Default)]
pub struct DownlinkAllocator {
    slots: HashMap<String, Slot>,
    is_narrow: bool,
    /// Since when there is too little, or, on a narrow way, enough.
    since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Rank of the allocated layer, 0 for none.
    rank: u8,
    began_at: Instant,
    misfit_since: Option<Instant>,
    room_since: Option<Instant>,
    raised_at: Option<Instant>,
    patience: Duration,
}

impl Slot {
    fn new(rank: u8, began_at: Instant) -> Self {
        Self { rank, began_at, misfit_since: None, room_since: None, raised_at: None, patience: PATIENCE }
    }

    /// Whether there was room for more long enough. `room`: there is now.
    fn may_rise(&mut self, room: bool, now: Instant) -> bool {
        if !room {
            self.room_since = None;
            return false;
        }
        let since = *self.room_since.get_or_insert(now);
        now.saturating_duration_since(since) >= self.patience
    }

    fn set(&mut self, rank: u8, now: Instant) {
        if rank > self.rank {
            self.raised_at = Some(now);
            self.room_since = None;
        } else if rank < self.rank {
            let mistake = self.raised_at.is_some_and(|at| now.saturating_duration_since(at) < MISTAKE);
            self.patience = if mistake { (self.patience * 2).min(MAX_PATIENCE) } else { PATIENCE };
            self.room_since = None;
        }
        self.rank = rank;
    }
}

impl DownlinkAllocator {
    /// Allocates `estimate` bits per second among `videos`, ordered as they rank at equal priority, and returns the allocation of
    /// each in the same order. `audio` is the rate of audio. Called every few hundred ms.
    pub fn allocate(&mut self, now: Instant, estimate: u64, audio: u64, videos: &[Video]) -> Vec<Share> {
        self.slots.retain(|track, _| videos.iter().any(|video| video.track == *track));
        videos.iter().for_each(|video| self.meet(video, now));
        if self.is_wide(now, estimate, audio, videos) {
            return videos.iter().map(|_| Share::UpTo(BEST)).collect();
        }
        let mut order: Vec<usize> = (0..videos.len()).filter(|at| !videos[*at].layers.is_empty()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(videos[*at].priority));
        let mut left = estimate.saturating_sub(audio);
        // How many layers of each.
        let mut given: Vec<usize> = vec![0; videos.len()];
        for at in &order {
            given[*at] = usize::from(self.keeps_smallest(&videos[*at], &mut left, now));
        }
        let most = videos.iter().map(|video| video.layers.len()).max().unwrap_or(0);
        for step in 1..most {
            for at in &order {
                if given[*at] == step && self.gets_better(&videos[*at], step, &mut left, now) {
                    given[*at] = step + 1;
                }
            }
        }
        let share = |(video, given): (&Video, &usize)| {
            let rank = given.checked_sub(1).and_then(|at| video.layers.get(at)).map_or(0, |layer| layer.rank);
            if video.layers.is_empty() {
                return Share::UpTo(BEST);
            }
            if let Some(slot) = self.slots.get_mut(&video.track) {
                slot.set(rank, now);
            }
            if rank == 0 { Share::Paused } else { Share::UpTo(rank) }
        };
        let shares = videos.iter().zip(&given).map(share).collect();
        let has_best = |(video, given): (&Video, &usize)| video.layers.len() == *given;
        if !videos.iter().zip(&given).all(has_best) {
            self.since = None;
        } else if now.saturating_duration_since(*self.since.get_or_insert(now)) >= WIDE_AFTER {
            self.is_narrow = false;
            self.since = None;
        }
        shares
    }

    /// Whether a video has less than its best layer.
    pub fn is_wanting(&self) -> bool {
        self.is_narrow && self.since.is_none()
    }

    fn is_wide(&mut self, now: Instant, estimate: u64, audio: u64, videos: &[Video]) -> bool {
        if self.is_narrow {
            return false;
        }
        let is_settled = |video: &&Video| {
            let slot = self.slots.get(&video.track);
            slot.is_some_and(|slot| now.saturating_duration_since(slot.began_at) >= ESTIMATE_LAG)
        };
        let best = videos.iter().filter(is_settled).filter_map(|video| video.layers.last());
        let sent = audio + best.map(|layer| layer.bps).sum::<u64>();
        if scaled(sent, NARROW_RATIO) <= estimate {
            self.since = None;
        } else if now.saturating_duration_since(*self.since.get_or_insert(now)) >= NARROW_AFTER {
            self.is_narrow = true;
            self.since = None;
        }
        !self.is_narrow
    }

    /// A new video starts with its best layer: what does not fit is lowered in the same call.
    fn meet(&mut self, video: &Video, now: Instant) {
        let Some(best) = video.layers.last() else { return };
        if !self.slots.contains_key(&video.track) {
            self.slots.insert(video.track.clone(), Slot::new(best.rank, now));
        }
    }

    fn keeps_smallest(&mut self, video: &Video, left: &mut u64, now: Instant) -> bool {
        let (Some(smallest), Some(slot)) = (video.layers.first(), self.slots.get_mut(&video.track)) else {
            return false;
        };
        let keeps = if slot.rank == 0 {
            slot.may_rise(fits(smallest.bps, GIVE, 0, *left), now)
        } else if fits(smallest.bps, PAUSE_BELOW, 0, *left) {
            slot.misfit_since = None;
            true
        } else {
            let since = *slot.misfit_since.get_or_insert(now);
            now.saturating_duration_since(since) < PAUSE_AFTER
        };
        if keeps {
            *left = left.saturating_sub(smallest.bps);
        } else {
            slot.misfit_since = None;
        }
        keeps
    }

    /// Whether the video gets its layer number `step` instead of the one before.
    fn gets_better(&mut self, video: &Video, step: usize, left: &mut u64, now: Instant) -> bool {
        let (Some(current), Some(next)) = (video.layers.get(step - 1), video.layers.get(step)) else { return false };
        let Some(slot) = self.slots.get_mut(&video.track) else { return false };
        let gets = if slot.rank >= next.rank {
            fits(next.bps, KEEP, current.bps, *left)
        } else if slot.rank < current.rank {
            // One step a turn.
            false
        } else {
            slot.may_rise(fits(next.bps, GIVE, current.bps, *left), now)
        };
        if gets {
            *left = left.saturating_sub(next.bps.saturating_sub(current.bps));
        }
        gets
    }
}

/// The rate that a subscriber could use at best, in bits per second, with the headroom that giving needs.
pub fn desired(audio: u64, videos: &[Video]) -> u64 {
    let best = |video: &Video| video.layers.last().map(|layer| layer.bps.max(video.announced));
    scaled(audio + videos.iter().filter_map(best).sum::<u64>(), GIVE)
}

/// Bits per second that encoders may be asked for if all their videos are to fit a path with this `estimate`.
pub fn allocatable_bps(estimate: u64, audio: u64) -> u64 {
    scaled(estimate.saturating_sub(audio), ENCODED / GIVE)
}

fn fits(bps: u64, share: f64, replaced: u64, left: u64) -> bool {
    scaled(bps, share).saturating_sub(replaced) <= left
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn scaled(bps: u64, share: f64) -> u64 {
    (bps as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(500);

    fn simulcast(track: &str, priority: u32) -> Video {
        let layers = [(1, 150_000), (2, 500_000), (3, 1_500_000)].map(|(rank, bps)| Layer { rank, bps }).to_vec();
        Video { track: track.to_owned(), priority, layers, announced: 0 }
    }

    fn plain(track: &str, bps: u64) -> Video {
        Video { track: track.to_owned(), priority: 0, layers: vec![Layer { rank: 3, bps }], announced: 0 }
    }

    struct Link {
        allocator: DownlinkAllocator,
        now: Instant,
        videos: Vec<Video>,
    }

    impl Link {
        fn with(videos: Vec<Video>) -> Self {
            Self { allocator: DownlinkAllocator::default(), now: Instant::now(), videos }
        }

        fn turn(&mut self, estimate: u64) -> Vec<Share> {
            self.now += TURN;
            self.allocator.allocate(self.now, estimate, 50_000, &self.videos)
        }

        fn after(&mut self, time: Duration, estimate: u64) -> Vec<Share> {
            let end = self.now + time;
            while self.now + TURN < end {
                self.turn(estimate);
            }
            self.turn(estimate)
        }

        /// Turns until the shares are these.
        fn turns_until(&mut self, estimate: u64, shares: &[Share]) -> Option<u32> {
            (1..=120).find(|_| self.turn(estimate) == shares)
        }
    }

    use Share::{Paused, UpTo};

    const WHILE: Duration = Duration::from_secs(4);

    #[test]
    fn a_wide_link_carries_the_best_of_everything_from_the_start() {
        let mut link = Link::with(vec![simulcast("a", 0), simulcast("b", 0), plain("c", 800_000)]);
        assert_eq!(link.turn(10_000_000), [UpTo(3), UpTo(3), UpTo(3)]);
    }

    #[test]
    fn an_estimate_that_lags_behind_a_new_frame_takes_nothing_away() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        link.after(WHILE, 1_700_000);
        link.videos.push(plain("b", 2_000_000));
        for estimate in [1_700_000, 1_700_000, 2_200_000, 3_700_000, 3_700_000, 3_700_000] {
            assert_eq!(link.turn(estimate), [UpTo(3), UpTo(3)]);
        }
    }

    #[test]
    fn a_narrow_link_carries_the_small_layers() {
        let mut link = Link::with(vec![simulcast("a", 0), simulcast("b", 0)]);
        assert_eq!(link.after(WHILE, 400_000), [UpTo(1), UpTo(1)]);
    }

    #[test]
    fn a_link_that_becomes_narrow_is_noticed_within_a_second() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        assert_eq!(link.after(WHILE, 2_000_000), [UpTo(3)]);
        assert_eq!(link.after(Duration::from_secs(1), 600_000), [UpTo(2)]);
    }

    #[test]
    fn what_is_more_important_gets_the_better_layer() {
        let mut link = Link::with(vec![simulcast("a", 1), simulcast("b", 2)]);
        assert_eq!(link.after(WHILE, 900_000), [UpTo(1), UpTo(2)]);
    }

    #[test]
    fn a_better_layer_needs_headroom_that_lasts() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        assert_eq!(link.after(WHILE, 300_000), [UpTo(1)]);
        assert_eq!(link.after(Duration::from_secs(20), 560_000), [UpTo(1)], "there is room, but none to spare");
        assert_eq!(link.turn(700_000), [UpTo(1)], "it has to last");
        assert_eq!(link.after(Duration::from_secs(2), 700_000), [UpTo(2)]);
        assert_eq!(link.after(Duration::from_secs(20), 560_000), [UpTo(2)], "what is there is kept");
    }

    #[test]
    fn layers_rise_one_by_one() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        link.after(WHILE, 300_000);
        assert!(link.turns_until(5_000_000, &[UpTo(2)]).is_some());
        assert!(link.turns_until(5_000_000, &[UpTo(3)]).is_some());
        link.after(WIDE_AFTER + WHILE, 5_000_000);
        link.videos.push(simulcast("b", 0));
        assert_eq!(link.turn(1_700_000), [UpTo(3), UpTo(3)], "the link counts as wide again");
    }

    #[test]
    fn a_frame_is_paused_only_when_its_smallest_layer_really_does_not_fit() {
        let mut link = Link::with(vec![simulcast("a", 1), simulcast("b", 0)]);
        link.after(WHILE, 400_000);
        assert_eq!(link.turn(250_000), [UpTo(1), UpTo(1)], "a short dip pauses nothing");
        assert_eq!(link.turn(400_000), [UpTo(1), UpTo(1)]);
        assert_eq!(link.after(Duration::from_secs(3), 250_000), [UpTo(1), Paused]);
        assert_eq!(link.after(Duration::from_secs(3), 350_000), [UpTo(1), Paused], "no headroom yet");
        assert_eq!(link.after(Duration::from_secs(3), 400_000), [UpTo(1), UpTo(1)]);
    }

    #[test]
    fn an_estimate_a_little_below_what_is_sent_pauses_nothing() {
        let single = Video { layers: vec![Layer { rank: 3, bps: 900_000 }], ..simulcast("a", 0) };
        let mut link = Link::with(vec![single]);
        link.after(WHILE, 900_000);
        assert_eq!(link.after(Duration::from_secs(10), 700_000), [UpTo(3)]);
        assert_eq!(link.after(Duration::from_secs(10), 500_000), [Paused]);
    }

    #[test]
    fn a_mistake_is_not_repeated_soon() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        link.after(WHILE, 300_000);
        let mut turns = Vec::new();
        for _ in 0..3 {
            turns.push(link.turns_until(1_000_000, &[UpTo(2)]).unwrap());
            link.turn(300_000);
        }
        assert!(turns[0] < turns[1] && turns[1] < turns[2], "{turns:?}");
    }

    #[test]
    fn a_frame_whose_rate_nobody_knows_is_left_alone() {
        let mut link = Link::with(vec![Video { layers: Vec::new(), ..simulcast("a", 0) }, simulcast("b", 0)]);
        assert_eq!(link.after(2 * WHILE, 100_000), [UpTo(3), Paused]);
    }

    #[test]
    fn estimates_that_jump_about_do_not_make_the_layer_jump() {
        let mut link = Link::with(vec![simulcast("a", 0)]);
        let mut last = link.after(WHILE, 600_000);
        let mut changes = 0;
        for turn in 0..240_u64 {
            let shares = link.turn(450_000 + (turn * 7919 % 13) * 30_000);
            changes += u32::from(shares != last);
            last = shares;
        }
        assert!(changes <= 6, "{changes} changes in two minutes");
    }

    #[test]
    fn what_is_desired_has_the_headroom_that_giving_needs() {
        let videos = [simulcast("a", 0), plain("b", 500_000)];
        assert_eq!(desired(0, &videos), 2_300_000);
    }

    #[test]
    fn what_a_publisher_announced_is_worth_finding_out_about_though_less_comes_now() {
        let video = |announced| Video { announced, ..plain("a", 300_000) };
        assert!(desired(50_000, &[video(0)]).abs_diff(402_500) < 10);
        assert!(desired(50_000, &[video(1_200_000)]).abs_diff(1_437_500) < 10);
        let nothing = Video { layers: Vec::new(), ..video(1_200_000) };
        assert!(desired(50_000, &[nothing]).abs_diff(57_500) < 10);
    }

    #[test]
    fn what_encoders_are_reported_fits_when_it_arrives() {
        let last_sent = allocatable_bps(600_000, 100_000);
        let mut link = Link::with(vec![plain("a", last_sent * 106 / 100)]);
        assert_eq!(link.after(WHILE, 600_000 - 50_000), [UpTo(3)]);
        assert_eq!(allocatable_bps(50_000, 100_000), 0);
    }
}
