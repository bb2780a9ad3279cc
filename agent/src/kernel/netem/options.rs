//! The parameters of netem in the kernel's form: `struct tc_netem_qopt`, followed by attributes
//! (`include/uapi/linux/pkt_sched.h`). Loss, duplication, corruption, reordering and rate have their attributes in the
//! same place; a fault that sets them is one more field here.

use std::time::Duration;

use super::distribution;
use crate::kernel::raw_netlink::{Attributes, attributes};
use crate::plan::step::HoldTime;

const CORRELATION: u16 = 1;
const DELAY_TABLE: u16 = 2;
const REORDER: u16 = 3;
const CORRUPT: u16 = 4;
const RATE: u16 = 6;
const LATENCY_64: u16 = 10;
const JITTER_64: u16 = 11;
const SEED: u16 = 14;

/// What of a netem's parameters tells whose it is and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parameters {
    /// Nanoseconds by which each packet is delayed.
    pub(crate) delay: u64,
    /// Nanoseconds by which that varies.
    pub(crate) jitter: u64,
    /// How many packets it holds at most.
    pub(crate) limit: u32,
    /// The correlation of the jitter, as a share of 2^32.
    pub(crate) correlation: u32,
    /// Every parameter of which Faultline sets none: loss, gap, duplication, other correlations, reordering,
    /// corruption, rate. All zero for a netem of ours.
    pub(crate) others: Vec<u8>,
}

impl Parameters {
    /// Those that a step asks for.
    pub(crate) fn of(hold: &HoldTime, limit: u32) -> Self {
        let jitter = nanoseconds(hold.jitter.duration());
        // The kernel keeps no correlation where nothing varies; nor do we ask for one.
        let correlation = if jitter == 0 { 0 } else { share(hold.correlation.fraction()) };
        Self { delay: nanoseconds(hold.delay.duration()), jitter, limit, correlation, others: Vec::new() }
    }

    /// Whether packets pass at once.
    pub(crate) fn is_idle(&self) -> bool {
        self.delay == 0 && self.jitter == 0 && self.others.is_empty()
    }

    /// Reads what the kernel lists as options.
    pub(crate) fn read(options: &[u8]) -> Option<Self> {
        const HEADER: usize = 24;
        let field = |at: usize| Some(u32::from_ne_bytes(*options.get(at..)?.first_chunk()?));
        let mut parameters = Self {
            delay: ticks_to_nanoseconds(field(0)?),
            limit: field(4)?,
            jitter: ticks_to_nanoseconds(field(20)?),
            ..Self::default()
        };
        let mut others = options.get(8..20)?.to_vec();
        for (kind, value) in attributes(options.get(HEADER..)?) {
            let number = || Some(u64::try_from(i64::from_ne_bytes(*value.first_chunk()?)).unwrap_or(0));
            match kind {
                LATENCY_64 => parameters.delay = number()?,
                JITTER_64 => parameters.jitter = number()?,
                CORRELATION => {
                    parameters.correlation = u32::from_ne_bytes(*value.first_chunk()?);
                    others.extend(value.get(4..)?);
                }
                // Whether they act is in the first word of each: a probability, or bytes a second.
                REORDER | CORRUPT | RATE => others.extend(value.get(..4)?),
                _ => {}
            }
        }
        if others.iter().any(|byte| *byte != 0) {
            parameters.others = others;
        }
        Some(parameters)
    }
}

/// Shows what an administrator would recognise: as `tc qdisc show` does.
impl std::fmt::Display for Parameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (delay, jitter) = (Duration::from_nanos(self.delay), Duration::from_nanos(self.jitter));
        write!(formatter, "delay {delay:?} jitter {jitter:?} correlation {} limit {}", self.correlation, self.limit)?;
        if self.others.is_empty() { Ok(()) } else { write!(formatter, " others {:x?}", self.others) }
    }
}

/// The options that make a netem hold packets as a step asks.
pub(crate) fn encode(hold: &HoldTime, limit: u32) -> Vec<u8> {
    let wanted = Parameters::of(hold, limit);
    let mut options = bare(&wanted);
    if wanted.jitter > 0 {
        let correlation = [wanted.correlation, 0, 0].map(u32::to_ne_bytes).concat();
        options = options.put(CORRELATION, &correlation);
        if let Some(table) = distribution::table(hold.distribution) {
            options = options.put(DELAY_TABLE, &table.into_iter().flat_map(i16::to_ne_bytes).collect::<Vec<_>>());
        }
    }
    // Linux 6.6 and later repeat the same jitter for the same seed; older kernels pass over it.
    options.put(SEED, &hold.seed.to_ne_bytes()).into_bytes()
}

/// The options that make a netem let every packet pass at once, and keep its limit.
pub(crate) fn encode_idle(limit: u32) -> Vec<u8> {
    bare(&Parameters { limit, ..Parameters::default() }).into_bytes()
}

fn bare(wanted: &Parameters) -> Attributes {
    // The two times are there twice: in ticks for kernels before 4.15, which pass over the exact attributes.
    let header = [nanoseconds_to_ticks(wanted.delay), wanted.limit, 0, 0, 0, nanoseconds_to_ticks(wanted.jitter)]
        .map(u32::to_ne_bytes);
    Attributes::behind(&header.concat())
        .put(LATENCY_64, &wanted.delay.to_ne_bytes())
        .put(JITTER_64, &wanted.jitter.to_ne_bytes())
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// `PSCHED_SHIFT`: a tick of the packet scheduler is 64 ns.
const TICK: u64 = 64;

fn nanoseconds_to_ticks(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / TICK).unwrap_or(u32::MAX)
}

fn ticks_to_nanoseconds(ticks: u32) -> u64 {
    u64::from(ticks) * TICK
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction from 0 to 1 of 32 bits")]
fn share(fraction: f64) -> u32 {
    (fraction * f64::from(u32::MAX)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::step::Distribution;
    use crate::units::{Percent, TimeSpan};

    fn hold() -> HoldTime {
        HoldTime {
            delay: TimeSpan::from_millis(100),
            jitter: TimeSpan::from_millis(10),
            distribution: Distribution::Normal,
            correlation: Percent::new(25.0).unwrap(),
            seed: 7,
        }
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let options = encode(&hold(), 110_000);
        assert_eq!(Parameters::read(&options), Some(Parameters::of(&hold(), 110_000)));
        let idle = Parameters::read(&encode_idle(5)).unwrap();
        assert!(idle.is_idle() && idle.limit == 5, "{idle}");
    }

    #[test]
    fn somebody_elses_loss_is_seen() {
        let mut options = encode(&hold(), 1000);
        options[8..12].copy_from_slice(&1_000_000u32.to_ne_bytes());
        assert_ne!(Parameters::read(&options), Some(Parameters::of(&hold(), 1000)));
    }

    #[test]
    fn options_cut_short_are_refused() {
        let options = encode(&hold(), 1000);
        assert_eq!(Parameters::read(&options[..20]), None);
    }
}
