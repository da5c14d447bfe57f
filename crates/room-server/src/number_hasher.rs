//! A hash for keys that nobody from outside can choose so as to do harm: numbers that are given out here, and names of the
//! lines of one client, which would slow down only itself. Several such keys are looked up for each packet that is sent.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map with such keys.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies by an odd number near 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, section 6.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(FACTOR);
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }

    /// The map looks at the lowest and the highest bits; the middle ones are mixed best.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hash};

    use super::*;
    use crate::forwarding::core::SmallId;

    /// How many of 1000 keys share the lowest ten bits and the highest seven with another.
    fn collisions<K: Hash>(key: impl Fn(u64) -> K) -> usize {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        let places: HashSet<u64> =
            (0..1000).map(|n| hasher.hash_one(key(n))).map(|h| h & 0x3ff | h >> 57 << 10).collect();
        1000 - places.len()
    }

    #[test]
    fn usual_keys_are_spread() {
        assert!(collisions(|number| number) < 20);
        assert!(collisions(|number| number as u32 * 1000) < 20);
        assert!(collisions(|number| SmallId::new(&number.to_string()).unwrap()) < 20);
    }
}
