//! Randomness for tests: the same seed, the same numbers everywhere.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"); not to be seeded with 0.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below the limit; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit.max(1)
    }

    /// A place in something so long.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}
