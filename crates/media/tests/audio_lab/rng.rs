//! Chance, by the generator of the lab of the network: a seed means the same everywhere.

#[path = "../../../transport/tests/lab/rng.rs"]
mod generator;

pub use generator::Rng;

/// -1 up to 1.
pub fn signed(rng: &mut Rng) -> f64 {
    rng.unit() * 2.0 - 1.0
}
