use std::sync::Mutex;

use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::document::load::from_text;
use crate::experiment::document::smallest::smallest;
use crate::limit::DoseRange;
use crate::limit::scale::Scale;
use crate::limit::search::{Resolution, Rules};
use crate::report::fixture::{self, Ending as Reported};

/// Runs that answer by their document's delay, in no time.
struct Simulated {
    verdicts: Mutex<Vec<RunVerdict>>,
    limit: Duration,
}

impl Ground for Simulated {
    fn run(&self, candidate: &Candidate, mut orders: UnboundedReceiver<Stop>) -> Attempt {
        if let Some(verdict) = self.verdicts.lock().unwrap().pop() {
            return Attempt::without_report(verdict, "as told");
        }
        let step = &candidate.loaded.document.spec.method[1];
        let text = serde_json::to_value(&step.injections()[0].fault).unwrap();
        let delay: faultline_agent::units::TimeSpan =
            text["network-latency"]["delay"].as_str().unwrap().parse().unwrap();
        match delay.duration() {
            delay if delay <= self.limit => Attempt::of(fixture::report(Reported::Held), None),
            // A guardrail's breach, and a run that goes on until it is told to end.
            delay if delay < Duration::from_secs(100) => Attempt::of(fixture::report(Reported::Aborted), None),
            _ => {
                let stop = orders.blocking_recv();
                assert!(matches!(stop, Some(Stop::Halted(_))), "{stop:?}");
                Attempt::without_report(RunVerdict::Aborted, "halted")
            }
        }
    }
}

struct Quiet;

impl Watcher for Quiet {
    fn begins(&mut self, _: Dose, _: usize) {}
    fn ended(&mut self, _: &DoseRun, _: &Search) {}
}

fn candidate(dose: Dose) -> anyhow::Result<Candidate> {
    let method = "{ inject: { fault: { network-latency: { delay: 1ms, peers: { ports: [1] } } }, for: 9s } }";
    let text = smallest("one", "", method);
    let set = format!("method[1].inject.fault.network-latency.delay={}", dose.written());
    let loaded = from_text("one.yaml", &text, &[set.parse()?])?;
    Ok(Candidate::new(loaded.into_iter().next().unwrap().experiment().unwrap()))
}

fn driven(range: &str, verdicts: &[RunVerdict], limit: u64, within: Option<Duration>) -> (Driven, Search) {
    let range: DoseRange = range.parse().unwrap();
    let rules = Rules {
        error_rate: 0.05,
        confidence: 0.95,
        resolution: Resolution::Share(0.05),
        runs: 14,
        mildest_holds: range.begins_with_nothing(),
    };
    let mut search = Search::new(&Scale::new(&range, 0.05), rules);
    let verdicts = Mutex::new(verdicts.iter().rev().copied().collect());
    let ground = Simulated { verdicts, limit: Duration::from_millis(limit) };
    let drive = Drive { candidate: &candidate, ground: &ground, within, least: Duration::from_millis(1) };
    (drive.carry_out(&mut search, |number| range.dose(number), &mut Quiet).unwrap(), search)
}

#[test]
fn a_limit_is_found_with_the_document_s_own_doses() {
    let (driven, search) = driven("delay=0..2s", &[RunVerdict::Inconclusive], 231, None);
    assert_eq!(driven.ending, Ending::Search(SearchStop::Known));
    let known = search.known();
    let (low, high) = (search.dose(known.low.unwrap()), search.dose(known.high.unwrap()));
    assert!(low <= 0.231 && 0.231 < high && high - low < 0.05 * high, "{low} to {high}");
    assert_eq!(driven.runs[0].dose, driven.runs[1].dose);
    assert!(driven.runs.len() < 15);
}

#[test]
fn what_must_not_go_on_ends_everything() {
    use RunVerdict::{Aborted, CleanupUnverified, Held, Interrupted, Invalid, NoData, Refused};
    for (verdicts, runs, verdict) in [
        (&[Held, CleanupUnverified][..], 2, Some(CleanupUnverified)),
        (&[Refused], 1, Some(Refused)),
        (&[Aborted], 1, Some(Aborted)),
        (&[Invalid, Invalid, Held, Invalid, Invalid, Invalid], 6, Some(Invalid)),
        (&[NoData, Interrupted], 2, None),
    ] {
        let (driven, _) = driven("delay=0..2s", verdicts, 231, None);
        let ending = match verdict {
            Some(verdict) => Ending::Broken(verdict, "as told".into()),
            None => Ending::Interrupted("as told".into()),
        };
        assert_eq!((driven.runs.len(), driven.ending), (runs, ending), "{verdicts:?}");
    }
}

#[test]
fn the_end_of_the_time_box_ends_the_run_that_is_under_way() {
    let (driven, _) = driven("delay=200s..300s", &[], 0, Some(Duration::from_millis(400)));
    assert_eq!((driven.runs.len(), driven.ending), (1, Ending::TimeBox));
    let (driven, _) = self::driven("delay=0..2s", &[], 231, Some(Duration::from_micros(10)));
    assert_eq!((driven.runs.len(), driven.ending), (0, Ending::TimeBox));
}
