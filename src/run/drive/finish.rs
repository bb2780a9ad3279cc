//! The end of a run: the last samples, the services' end, the judgement.

use std::time::Duration;

use super::{Drive, Happening};
use crate::hypothesis::verdict::RunVerdict;
use crate::hypothesis::{RunFacts, run_verdict};
use crate::run::record::Record;

/// How long the signals may take to hand in what they still measure.
const LAST_SAMPLES: Duration = Duration::from_secs(5);

/// Ends a run that could not begin. Nothing was injected.
pub(super) fn refuse(record: &mut Record<'_>, because: String) -> (RunVerdict, String) {
    record.write(Happening::Finished { verdict: RunVerdict::Refused, because: because.clone() });
    (RunVerdict::Refused, because)
}

impl Drive<'_, '_> {
    pub(super) async fn finish(mut self) -> (RunVerdict, String) {
        self.last_samples().await;
        if let Some(what) = self.stop_services().await {
            self.note(Happening::LeftBehind { what });
        }
        let objectives = self.judge.verdicts();
        self.note(Happening::Judged { objectives: objectives.clone() });
        let (verdict, because) = match RunFacts::from_entries(self.record.entries()) {
            Ok(facts) => run_verdict(&facts, &objectives),
            Err(error) => (RunVerdict::NoData, error.to_string()),
        };
        self.note(Happening::Finished { verdict, because: because.clone() });
        self.record.tick();
        (verdict, because)
    }

    async fn last_samples(&mut self) {
        self.sources_stop.cancel();
        self.sources.close();
        let deadline = tokio::time::Instant::now() + LAST_SAMPLES;
        loop {
            tokio::select! {
                biased;
                Some(sample) = self.samples.recv() => self.take_samples(sample),
                () = self.sources.wait() => break,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("some signals did not end in time; what they had not measured by now is not counted");
                    break;
                }
            }
        }
        while let Ok(sample) = self.samples.try_recv() {
            self.take_sample(sample);
        }
    }

    /// Takes the services down; what is still running afterwards, if anything is.
    async fn stop_services(&mut self) -> Option<String> {
        let stopped = self.services.take()?.stop().await;
        self.take_service_events();
        if let Some(scratch) = stopped.scratch {
            return Some(format!("the scratch folder could not be removed: {scratch}"));
        }
        (!stopped.left.is_empty()).then(|| {
            let names: Vec<_> = stopped.left.iter().map(|(name, process)| format!("{name} ({process})")).collect();
            format!("processes of services are still running: {}", names.join(", "))
        })
    }
}
