//! Random changes of valid input, for tests that only ask that whatever comes of them is an answer. The same seed gives
//! the same changes, so that a failure can be repeated.

/// A small generator (xorshift).
pub struct Random(u64);

impl Random {
    /// One that begins with a seed other than 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    /// Up to seven bytes changed, inserted, or cut off with all that follow.
    pub fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[at] = self.byte(),
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                _ => bytes.insert(at.min(bytes.len()), self.byte()),
            }
        }
        bytes
    }

    /// Text of which up to four lines are missing, doubled, elsewhere or damaged.
    pub fn mutate_lines(&mut self, seed: &str) -> String {
        let mut lines: Vec<String> = seed.lines().map(str::to_owned).collect();
        for _ in 0..=self.below(3) {
            let (at, other) = (self.below(lines.len()), self.below(lines.len()));
            match self.below(4) {
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                _ => lines[at] = String::from_utf8_lossy(&self.mutate(lines[at].as_bytes())).into_owned(),
            }
        }
        lines.join("\r\n") + "\r\n"
    }
}
