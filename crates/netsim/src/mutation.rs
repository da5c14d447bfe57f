//! Random changes of valid input, for tests that ask only that any input gets an answer.

use crate::random::Random;

impl Random {
    /// The input with up to seven bytes changed or inserted, or cut off with all that follow.
    pub fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.index(bytes.len());
            let byte = self.byte();
            match self.below(4) {
                0 => bytes.get_mut(at).into_iter().for_each(|place| *place = byte),
                1 => bytes.get_mut(at).into_iter().for_each(|place| *place ^= 1 << (byte & 7)),
                2 => bytes.truncate(at),
                _ => bytes.insert(at.min(bytes.len()), byte),
            }
        }
        bytes
    }

    /// The text with up to four lines missing, doubled, moved or damaged.
    pub fn mutate_lines(&mut self, input: &str) -> String {
        let mut lines: Vec<String> = input.lines().map(str::to_owned).collect();
        for _ in 0..=self.below(3) {
            let (at, other) = (self.index(lines.len()), self.index(lines.len()));
            match self.below(4) {
                _ if lines.is_empty() => {}
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                _ => lines[at] = String::from_utf8_lossy(&self.mutate(lines[at].as_bytes())).into_owned(),
            }
        }
        lines.join("\r\n") + "\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_change() {
        let changed = |seed| Random::new(seed).mutate(b"valid input");
        assert_eq!(changed(1), changed(1));
        assert!((1..100).any(|seed| changed(seed) != changed(1)));
        assert!((1..100).all(|seed| !Random::new(seed).mutate_lines("").is_empty()));
    }
}
