mod course;
mod history;
mod plans;

use faultline_agent::units::TimeSpan;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::game_day::alerts::{Alert, Reading};
use crate::game_day::fixture;
use crate::game_day::hash::PlanHash;
use crate::hypothesis::verdict::RunVerdict;

/// So many seconds after the window opened (10:00 in Berlin).
fn at(second: i64) -> Timestamp {
    "2026-12-01T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

/// A game day to which things happen, one a second.
struct Play {
    state: State,
    now: i64,
}

impl Play {
    fn new() -> Self {
        let (state, commands) = step(None, at(-60), Event::Opened(Box::new(fixture::opened()))).unwrap();
        assert_eq!((state.stage(), commands.len()), (&Stage::Drafted, 0));
        Self { state, now: 0 }
    }

    fn put(&mut self, event: Event) -> Result<Vec<Command>, Illegal> {
        self.now += 1;
        let (state, commands) = step(Some(&self.state), at(self.now), event)?;
        self.state = state;
        Ok(commands)
    }

    fn must(&mut self, event: Event) -> Vec<Command> {
        self.put(event).unwrap()
    }

    fn approve(&mut self, by: &str) -> Result<Vec<Command>, Illegal> {
        let hash = self.state.hash().clone();
        self.put(Event::Approved { by: by.into(), hash })
    }

    fn requested() -> Self {
        let mut play = Self::new();
        let asked = play.must(Event::Requested { by: "dennis".into() });
        assert_eq!(asked, [Command::AskApprovals { missing: 2 }]);
        play
    }

    /// Approved, and the checklist answered: the first experiment runs.
    fn running() -> Self {
        let mut play = Self::requested();
        play.approve("grace").unwrap();
        assert_eq!(play.approve("linus").unwrap(), [Command::Ask { item: 0 }]);
        assert_eq!(play.must(answered(0, "ada", Answer::Go)), [Command::Ask { item: 1 }]);
        let commands = play.must(answered(1, "ada", Answer::NoGo));
        let hash = play.state.opening().experiments[0].hash.clone();
        let start = Command::StartExperiment { experiment: 0, hash };
        assert_eq!(commands, [Command::WatchAlerts { experiment: 0 }, start]);
        play
    }

    /// The first experiment ran and nothing fired; it holds before the second.
    fn holding() -> Self {
        let mut play = Self::running();
        play.must(Event::Started { experiment: 0, run: "r0".into() });
        play.must(ended(0, RunVerdict::Held));
        assert_eq!(*play.state.stage(), Stage::Hold { experiment: 1, when: HoldPoint::Before });
        play
    }
}

fn answered(item: usize, by: &str, answer: Answer) -> Event {
    Event::Answered { item, by: by.into(), answer, remark: None }
}

fn decided(by: &str, answer: Answer) -> Event {
    Event::Decided { by: by.into(), answer, remark: None }
}

fn planned(hash: PlanHash, experiments: &[&str]) -> Event {
    let experiments = experiments.iter().map(|hash| PlanHash::given(*hash)).collect();
    Event::Planned { hash, experiments, by: "ada".into(), differences: vec!["db-1 is gone".into()] }
}

fn ended(experiment: usize, verdict: RunVerdict) -> Event {
    Event::Ended { experiment, verdict, because: "so it was".into() }
}

fn incited(experiment: usize) -> Event {
    Event::Progress { experiment, what: Milestone::Incited { fault: "network-latency".into() } }
}

fn undone(experiment: usize) -> Event {
    Event::Progress { experiment, what: Milestone::Undone { verified: true } }
}

fn firing(names: &[(&str, i64)]) -> Event {
    let alert = |(name, since): &(&str, i64)| Alert {
        labels: [("alertname".to_owned(), (*name).to_owned())].into(),
        starts_at: at(*since),
        suppressed: false,
    };
    Event::Alerts(Reading::Firing(names.iter().map(alert).collect()))
}

fn ending(play: &Play) -> EndingKind {
    match play.state.stage() {
        Stage::Aborted(ending) => ending.kind,
        other => panic!("{other:?}"),
    }
}
