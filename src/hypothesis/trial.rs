//! What the tests of the judge share: documents, runs that are simulated second by second, and chance from a seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::experiment::document::Spec;
use crate::signals::sample::{Reading, Sample};

use super::Judge;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};

/// One checkout probed at 50 requests a second, and what must hold of it.
pub(super) const CHECKOUT: &str = r"
hypothesis: checkout is well
signals: { checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } } }
steadyState: [ { signal: checkout, errors: { below: 1% } } ]
guardrails: [ { signal: checkout, errors: { below: 5% } } ]
method: [ observe: 30s ]
";

/// The same with other objectives.
pub(super) fn with_objectives(signals: &str, objectives: &str) -> String {
    format!(
        "hypothesis: all is well\nsignals: {{ {signals} }}\nsteadyState: [ {objectives} ]\nmethod: [ observe: 30s ]\n"
    )
}

pub(super) fn spec(yaml: &str) -> Spec {
    serde_saphyr::from_str(yaml).expect("the test's own document")
}

/// A run under simulated time.
pub(super) struct Trial {
    pub(super) judge: Judge,
    pub(super) chance: ChaCha8Rng,
}

impl Trial {
    pub(super) fn new(yaml: &str) -> Self {
        Self::seeded(yaml, 7)
    }

    pub(super) fn seeded(yaml: &str, seed: u64) -> Self {
        Self {
            judge: Judge::new(&spec(yaml)).expect("a document that can be judged"),
            chance: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A phase from one second to another, in which a reading comes at each multiple of an interval.
    pub(super) fn phase(
        &mut self,
        phase: Phase,
        span: (u32, u32),
        signal: &str,
        per_second: u32,
        reading: impl FnMut(f64, &mut ChaCha8Rng) -> Option<Reading>,
    ) -> &mut Self {
        self.judge.begin(phase, f64::from(span.0));
        self.readings(span, signal, per_second, reading);
        self.judge.end(phase, f64::from(span.1));
        self
    }

    /// Readings from one second to another; where there is none, nothing comes at all.
    pub(super) fn readings(
        &mut self,
        span: (u32, u32),
        signal: &str,
        per_second: u32,
        mut reading: impl FnMut(f64, &mut ChaCha8Rng) -> Option<Reading>,
    ) -> &mut Self {
        for tick in span.0 * per_second..span.1 * per_second {
            let at = f64::from(tick) / f64::from(per_second);
            if let Some(reading) = reading(at, &mut self.chance) {
                self.judge.observe(&Sample { signal: signal.into(), at, reading });
            }
        }
        self
    }

    pub(super) fn verdict(&self, phase: Phase) -> ObjectiveVerdict {
        self.judge.verdicts().into_iter().find(|judged| judged.phase == phase).expect("the phase has begun")
    }

    pub(super) fn verdicts(&self) -> Vec<(Phase, Verdict)> {
        self.judge.verdicts().into_iter().map(|judged| (judged.phase, judged.verdict)).collect()
    }
}

/// A request that takes 20 ms and fails with a probability.
pub(super) fn failing(probability: f64) -> impl FnMut(f64, &mut ChaCha8Rng) -> Option<Reading> {
    move |_, chance| {
        let failure = (chance.random::<f64>() < probability).then(|| "status 500".to_owned());
        Some(Reading::Request { latency: 0.020, failure })
    }
}

/// A request that takes so many seconds.
pub(super) fn taking(latency: f64) -> Option<Reading> {
    Some(Reading::Request { latency, failure: None })
}

/// Nothing could be read.
pub(super) fn missing(reason: &str) -> Option<Reading> {
    Some(Reading::Missing { reason: reason.into() })
}
