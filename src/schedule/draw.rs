//! Chance that is the same on every controller: each draw is a function of the seed, the schedule, the slot and what is
//! drawn. Nothing is left of one draw for the next, so it does not matter who draws, when, or how often.

use jiff::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ring::digest::{SHA256, digest};

/// The draws of one rule.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    /// The seed and the rule's id.
    prefix: Vec<u8>,
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Drawn {
    /// By how much a run of `cron` is late.
    Jitter = 1,
    /// Whether a run takes place in a slot.
    Coin = 2,
    /// When in the slot.
    Time = 3,
}

impl Draws {
    pub(super) fn new(seed: u64, id: &str) -> Self {
        let mut prefix = seed.to_le_bytes().to_vec();
        prefix.extend_from_slice(id.as_bytes());
        Self { prefix }
    }

    fn number(&self, what: Drawn, slot: Timestamp) -> u64 {
        let mut text = self.prefix.clone();
        text.push(what as u8);
        text.extend_from_slice(&slot.as_second().to_le_bytes());
        let mut seed = [0; 32];
        seed.copy_from_slice(digest(&SHA256, &text).as_ref());
        ChaCha8Rng::from_seed(seed).next_u64()
    }

    /// A number from 0 until 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(super) fn fraction(&self, what: Drawn, slot: Timestamp) -> f64 {
        (self.number(what, slot) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below another, each as likely (to within 2⁻³² of it); 0 below 0 and 1.
    pub(super) fn below(&self, what: Drawn, slot: Timestamp, end: u32) -> u32 {
        let number = (u128::from(self.number(what, slot)) * u128::from(end)) >> 64;
        u32::try_from(number).unwrap_or(0)
    }
}
