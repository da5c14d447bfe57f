//! How often one address may ask to join: a bucket of tokens each. The clock is an argument.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Addresses that are remembered. When there are more, those that have been quiet the longest are forgotten.
const MAX_ADDRESSES: usize = 65_536;

/// How many joins an address may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRate {
    /// Joins a second, sustained.
    pub per_second: u32,
    /// Joins at once.
    pub burst: u32,
}

impl JoinRate {
    /// For addresses of other machines, by default: an office behind one address can join at once.
    pub const DEFAULT: Self = Self { per_second: 20, burst: 300 };
}

/// The buckets.
#[derive(Debug)]
pub struct JoinLimiter {
    rate: JoinRate,
    spares_loopback: bool,
    buckets: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Joins that were asked for and have not been worked off yet.
    level: f64,
    at: Instant,
}

impl JoinLimiter {
    /// With this rate; `None` for the default one, which exempts this machine: a proxy may run there. A rate of 0 is no limit.
    pub fn new(rate: Option<JoinRate>) -> Self {
        Self { rate: rate.unwrap_or(JoinRate::DEFAULT), spares_loopback: rate.is_none(), buckets: HashMap::new() }
    }

    /// Whether an address may ask once more; if so it counts.
    pub fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        if !self.may(now, address) {
            return false;
        }
        if self.is_limited(address) {
            self.forget_some(now);
            let level = self.level(now, address);
            self.buckets.insert(group(address), Bucket { level: level + 1.0, at: now });
        }
        true
    }

    /// [`JoinLimiter::take`] without counting.
    pub fn may(&self, now: Instant, address: IpAddr) -> bool {
        !self.is_limited(address) || self.level(now, address) + 1.0 <= f64::from(self.rate.burst.max(1))
    }

    fn is_limited(&self, address: IpAddr) -> bool {
        self.rate.per_second > 0 && !(self.spares_loopback && address.to_canonical().is_loopback())
    }

    fn level(&self, now: Instant, address: IpAddr) -> f64 {
        self.buckets.get(&group(address)).map_or(0.0, |bucket| self.level_of(now, bucket))
    }

    fn level_of(&self, now: Instant, bucket: &Bucket) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.level - passed * f64::from(self.rate.per_second)).max(0.0)
    }

    fn forget_some(&mut self, now: Instant) {
        if self.buckets.len() < MAX_ADDRESSES {
            return;
        }
        let rate = f64::from(self.rate.per_second);
        self.buckets.retain(|_, bucket| {
            now.saturating_duration_since(bucket.at) < Duration::from_secs_f64(bucket.level / rate)
        });
        // All of them are busy: that is no time to keep accounts.
        if self.buckets.len() >= MAX_ADDRESSES {
            self.buckets.clear();
        }
    }
}

/// One IPv6 customer has at least a /64.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const RATE: JoinRate = JoinRate { per_second: 2, burst: 3 };

    #[test]
    fn after_a_burst_there_are_so_many_a_second() {
        let mut limiter = JoinLimiter::new(Some(RATE));
        let start = Instant::now();
        let taken = |limiter: &mut JoinLimiter, at| (0..10).filter(|_| limiter.take(at, ALICE)).count();
        assert_eq!(taken(&mut limiter, start), 3);
        assert_eq!(taken(&mut limiter, start + Duration::from_millis(1000)), 2);
        assert_eq!(taken(&mut limiter, start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn one_address_does_not_use_up_what_another_may() {
        let mut limiter = JoinLimiter::new(Some(RATE));
        let now = Instant::now();
        while limiter.take(now, ALICE) {}
        assert!(limiter.take(now, BOB));
    }

    #[test]
    fn a_whole_network_of_one_customer_counts_as_one() {
        let mut limiter = JoinLimiter::new(Some(RATE));
        let now = Instant::now();
        let taken = (0..10).filter(|n| limiter.take(now, format!("2001:db8::{n}").parse().unwrap())).count();
        assert_eq!(taken, 3);
        assert!(limiter.take(now, "2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn this_machine_is_limited_only_when_a_rate_is_configured() {
        let now = Instant::now();
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let address = loopback.parse().unwrap();
            let mut usual = JoinLimiter::new(None);
            assert!((0..1000).all(|_| usual.take(now, address)));
            let mut own = JoinLimiter::new(Some(RATE));
            assert!(!(0..1000).all(|_| own.take(now, address)));
        }
    }

    #[test]
    fn looking_does_not_count() {
        let mut limiter = JoinLimiter::new(Some(JoinRate { per_second: 1, burst: 1 }));
        let now = Instant::now();
        assert!((0..10).all(|_| limiter.may(now, ALICE)));
        assert!(limiter.take(now, ALICE));
        assert!(!limiter.may(now, ALICE));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut limiter = JoinLimiter::new(Some(JoinRate { per_second: 0, burst: 0 }));
        let now = Instant::now();
        assert!((0..1000).all(|_| limiter.take(now, ALICE)));
    }

    #[test]
    fn more_addresses_than_are_remembered_do_not_fill_the_memory() {
        let mut limiter = JoinLimiter::new(Some(RATE));
        let now = Instant::now();
        for n in 0..200_000_u32 {
            limiter.take(now, IpAddr::V4(n.into()));
        }
        assert!(limiter.buckets.len() <= MAX_ADDRESSES);
    }
}
