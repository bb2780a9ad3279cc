mod alerts;
mod carrying;
mod ends;
mod kept;
mod people;
mod planned_anew;
mod refused;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::GameDayDetails;
use super::carry::Carrying;
use crate::access::{Principal, Role};
use crate::controller::fixture::{DOCUMENT, Fixture, somebody};
use crate::controller::{ControllerError, Settings};
use crate::experiment::machine::Stop;
use crate::game_day::machine::{Answer, Asked, Command, Entry, Event, FindingSeverity};
use crate::game_day::sheet::Format;
use crate::report::fixture::{Ending, journal};
use crate::run::journal::Event as Happening;
use crate::store::runs::{Origin, Run, RunFilter, RunState};

const LEASE: Duration = Duration::from_secs(60);

/// Two of three approvals, a question, two experiments, and a hold before the second.
pub(crate) const GAME_DAY: &str = r#"
apiVersion: faultline.dev/v1
kind: GameDay
metadata: { name: shop-day, labels: { team: payments } }
spec:
  title: The shop with a slow database
  roles:
    incident-commander: [ada]
    owners: [grace, linus, dennis]
  approvals: { required: 2, of: [owners], expireAfter: 1h }
  checklist:
    - { ask: Is nobody deploying?, of: incident-commander }
  experiments:
    - experiment: checkout-survives-a-slow-database
    - experiment: checkout-survives-a-slow-database
      name: again
      hold: before
---
"#;

fn text() -> String {
    format!("{GAME_DAY}{}", DOCUMENT.trim_start())
}

fn status(error: &ControllerError) -> u16 {
    error.class().0
}

struct Day {
    fixture: Fixture,
    id: String,
    hash: String,
}

impl Day {
    async fn submitted() -> Self {
        Self::of(&text()).await
    }

    async fn of(text: &str) -> Self {
        Self::by(Settings::default(), text).await
    }

    async fn by(settings: Settings, text: &str) -> Self {
        let fixture = Fixture::with(settings).await;
        fixture.host("db-1", &[("role", "db"), ("team", "payments")]).await;
        let day = fixture.controller.submit_game_day(&dennis(), text).await.unwrap();
        assert_eq!((day.asks, day.approvals_missing), (Some(Asked::Approvals), 2));
        Self { fixture, id: day.game_day.id, hash: day.plan_hash }
    }

    /// Approved and answered: the first experiment is due.
    async fn agreed() -> Self {
        Self::submitted().await.agree().await
    }

    async fn agree(self) -> Self {
        let day = self;
        day.approve("grace").await.unwrap();
        assert_eq!(day.approve("linus").await.unwrap().asks, Some(Asked::Question(0)));
        let now = day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap();
        assert_eq!(now.game_day.stage, "running");
        day
    }

    async fn approve(&self, who: &str) -> Result<GameDayDetails, ControllerError> {
        self.fixture.controller.approve_game_day(&somebody(who, Role::Approver), &self.id, &self.hash).await
    }

    async fn answer(&self, who: &str, to: Asked, answer: Answer) -> Result<GameDayDetails, ControllerError> {
        let who = somebody(who, Role::Operator);
        self.fixture.controller.answer_game_day(&who, &self.id, to, answer, None).await
    }

    async fn show(&self) -> GameDayDetails {
        self.fixture.controller.game_day(&somebody("eve", Role::Viewer), &self.id).await.unwrap()
    }

    /// As a controller that was started just now: reads the journal and does one round.
    async fn round(&self) -> bool {
        let nobody = |_: &Entry, _: &_, _: &[Command]| {};
        let mut carrying = Carrying::begin(Arc::clone(&self.fixture.controller), &self.id, &nobody).await.unwrap();
        carrying.round(&nobody).await.unwrap()
    }

    async fn runs(&self) -> Vec<Run> {
        let mut runs = self.fixture.controller.store.runs(&RunFilter::default(), None, 100).await.unwrap().0;
        runs.reverse();
        runs
    }

    /// The one run that waits is claimed, and its driver keeps so many entries of this journal.
    async fn driven(&self, ending: Ending, entries: usize) -> Run {
        let store = &self.fixture.controller.store;
        let now = self.fixture.controller.now().await.unwrap();
        let run = store.claim_next("controller-a", LEASE, now).await.unwrap().unwrap();
        store.record_state(&run.id, run.epoch, RunState::Running).await.unwrap();
        self.keep(&run, ending, 0, entries).await;
        run
    }

    async fn keep(&self, run: &Run, ending: Ending, from: usize, until: usize) {
        for (number, entry) in kept(ending, run).into_iter().enumerate().take(until).skip(from) {
            self.fixture.controller.store.keep_entry(&run.id, run.epoch, number as u64, &entry).await.unwrap();
        }
    }

    async fn finish(&self, run: &Run, verdict: &str) {
        let now = self.fixture.controller.now().await.unwrap();
        self.fixture.controller.store.finish(&run.id, run.epoch, verdict, "so it is", now).await.unwrap();
    }

    async fn events(&self) -> Vec<String> {
        let read = self.fixture.controller.read_game_day(&self.id).await.unwrap();
        read.entries.iter().map(|entry| word(&entry.event)).collect()
    }
}

/// What a driver keeps of a run: everything but samples, under the run's own id, begun now.
fn kept(ending: Ending, run: &Run) -> Vec<String> {
    let entries = journal(ending).into_iter().filter(|entry| !matches!(entry.event, Happening::Sample(_)));
    let own = entries.map(|mut entry| {
        if let Happening::Started(started) = &mut entry.event {
            started.run = run.id.clone();
            started.time = jiff::Timestamp::now().to_string();
        }
        serde_json::to_string(&entry).unwrap()
    });
    own.collect()
}

fn word(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    match (&value, event) {
        (_, Event::Progress { what, .. }) => {
            serde_json::to_value(what).unwrap().as_object().unwrap().keys().next().unwrap().clone()
        }
        (serde_json::Value::String(word), _) => word.clone(),
        (value, _) => value.as_object().unwrap().keys().next().unwrap().clone(),
    }
}

fn dennis() -> Principal {
    somebody("dennis", Role::Approver)
}
