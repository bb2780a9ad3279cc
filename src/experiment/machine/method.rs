//! The method of an experiment as the machine walks through it.

use std::time::Duration;

use crate::experiment::document::{Inject, MethodStep, Spec};

/// The number of a fault in the method, in the order of the document and of the hosts of each injection, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultNumber(pub usize);

/// One stage of a method.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    /// Watch for so long.
    Observe(Duration),
    /// Inject these together, each for its time.
    Inject(Vec<(FaultNumber, Duration)>),
}

/// What is done, stage by stage, and how long recovery may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub(crate) stages: Vec<Stage>,
    pub(crate) recovery: Duration,
}

impl Method {
    /// The method of a document. Neighbouring observations become one.
    pub fn of(spec: &Spec) -> Self {
        Self::spread(spec, &vec![1; spec.injections().count()])
    }

    /// The same over several hosts: `hosts` says on how many each injection acts, in the order of the document. An injection
    /// is one fault on each of its hosts.
    pub fn spread(spec: &Spec, hosts: &[usize]) -> Self {
        let mut stages: Vec<Stage> = Vec::new();
        let (mut next, mut hosts) = (0, hosts.iter());
        let mut numbers = |inject: &Inject| {
            let first = next;
            next += hosts.next().copied().unwrap_or(1);
            (first..next).map(|number| (FaultNumber(number), inject.lasts.duration())).collect::<Vec<_>>()
        };
        for step in &spec.method {
            match (step, stages.last_mut()) {
                (MethodStep::Observe(more), Some(Stage::Observe(so_far))) => {
                    *so_far = so_far.saturating_add(more.duration());
                }
                (MethodStep::Observe(lasts), _) => stages.push(Stage::Observe(lasts.duration())),
                (step, _) => stages.push(Stage::Inject(step.injections().iter().flat_map(&mut numbers).collect())),
            }
        }
        Self { stages, recovery: spec.recovery.within.duration() }
    }

    /// How many faults it has.
    pub fn faults(&self) -> usize {
        self.stages.iter().map(|stage| if let Stage::Inject(faults) = stage { faults.len() } else { 0 }).sum()
    }

    /// Whether a later stage injects.
    pub(crate) fn injects_after(&self, stage: usize) -> bool {
        self.stages.iter().skip(stage + 1).any(|stage| matches!(stage, Stage::Inject(_)))
    }
}
