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
        let fixture = Fixture::new().await;
        fixture.host("db-1", &[("role", "db"), ("team", "payments")]).await;
        let day = fixture.controller.submit_game_day(&dennis(), text).await.unwrap();
        assert_eq!((day.asks, day.approvals_missing), (Some(Asked::Approvals), 2));
        Self { fixture, id: day.game_day.id, hash: day.plan_hash }
    }

    /// Approved and answered: the first experiment is due.
    async fn agreed() -> Self {
        let day = Self::submitted().await;
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

#[tokio::test]
async fn a_game_day_is_planned_with_its_hosts_and_shown_to_who_may_see_them() {
    let day = Day::submitted().await;
    let shown = day.show().await;
    assert_eq!(shown.game_day.requested_by, "dennis");
    assert_eq!(
        (shown.experiments[0].name.as_str(), shown.experiments[1].name.as_str()),
        ("checkout-survives-a-slow-database", "again")
    );
    assert_eq!(shown.experiments[0].faults, ["network-latency for 2m on db-1"]);
    assert!(shown.plan_hash.starts_with("sha256:") && shown.document.contains("# ") == text().contains("# "));
    let controller = &day.fixture.controller;
    let listed = controller.game_days(&somebody("eve", Role::Viewer), None, 10).await.unwrap();
    assert_eq!(listed.game_days.len(), 1);
    let stranger = Principal { name: "x".into(), role: Role::Admin, scope: "team=search".parse().unwrap() };
    assert!(controller.game_days(&stranger, None, 10).await.unwrap().game_days.is_empty());
    for error in [
        controller.game_day(&stranger, &day.id).await.map(drop).unwrap_err(),
        controller.approve_game_day(&stranger, &day.id, &day.hash).await.map(drop).unwrap_err(),
        controller.abort_game_day(&stranger, &day.id, "x").await.map(drop).unwrap_err(),
        controller.submit_game_day(&stranger, &text()).await.map(drop).unwrap_err(),
        controller.game_day_sheet(&stranger, &day.id, Format::Json).await.map(drop).unwrap_err(),
        controller.game_day_journal(&stranger, &day.id, 0, Duration::ZERO).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(status(&error), 403, "{error}");
    }
    assert_eq!(status(&controller.game_day(&dennis(), "nothing").await.unwrap_err()), 404);
}

#[tokio::test]
async fn approvals_are_of_others_who_are_named_bound_to_the_plan_given_once_and_can_be_taken_back() {
    let day = Day::submitted().await;
    let controller = &day.fixture.controller;
    for (who, hash, expected, told) in [
        (somebody("grace", Role::Operator), day.hash.as_str(), 403, "needs the role approver"),
        (dennis(), &day.hash, 403, "asked for this himself"),
        (somebody("DENNIS", Role::Admin), &day.hash, 403, "asked for this himself"),
        (somebody("eve", Role::Admin), &day.hash, 403, "eve may not approve"),
        (somebody("grace", Role::Approver), "sha256:00", 409, "the plan is"),
    ] {
        let error = controller.approve_game_day(&who, &day.id, hash).await.unwrap_err();
        assert!(status(&error) == expected && error.to_string().contains(told), "{}: {error}", who.name);
    }
    assert_eq!(day.approve("grace").await.unwrap().approvals_missing, 1);
    let twice = day.approve("grace").await.unwrap_err();
    assert!(status(&twice) == 409 && twice.to_string().contains("approved already"), "{twice}");
    let grace = somebody("grace", Role::Approver);
    assert_eq!(controller.withdraw_game_day(&grace, &day.id).await.unwrap().approvals_missing, 2);
    assert_eq!(status(&controller.withdraw_game_day(&grace, &day.id).await.unwrap_err()), 403);
    day.approve("grace").await.unwrap();
    day.approve("linus").await.unwrap();
    // Whoever takes it back while others answer stops what follows.
    let back = controller.withdraw_game_day(&grace, &day.id).await.unwrap();
    assert_eq!((back.asks, back.approvals_missing), (Some(Asked::Approvals), 1));
    let audited = day.fixture.audited().await;
    let (id, of_grace) = (&day.id, |line: &&String| line.starts_with("token/grace"));
    let expected = [
        format!("approve game-day/{id}: asked"),
        format!("approve game-day/{id}: refused: the approval is of 00, the plan is {} now", &day.hash[7..19]),
        format!("approve game-day/{id}: asked"),
        format!("approve game-day/{id}: done"),
    ];
    let told: Vec<String> =
        audited.iter().filter(of_grace).map(|line| line["token/grace ".len()..].to_owned()).collect();
    assert_eq!(told[1..5], expected, "{told:#?}");
    controller.verify_audit(&somebody("eve", Role::Viewer), None).await.unwrap();
}

#[tokio::test]
async fn an_approval_that_expired_does_not_count() {
    let day = Day::of(&text().replace("expireAfter: 1h", "expireAfter: 1s")).await;
    day.approve("grace").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let late = day.approve("linus").await.unwrap();
    assert_eq!((late.asks, late.approvals_missing), (Some(Asked::Approvals), 1));
    assert_eq!(late.approvals.iter().map(|approval| approval.counts).collect::<Vec<_>>(), [false, true]);
    assert_eq!(day.approve("grace").await.unwrap().asks, Some(Asked::Question(0)), "given again");
}

#[tokio::test]
async fn an_answer_is_to_what_is_asked_and_by_who_may() {
    let day = Day::submitted().await;
    let early = day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap_err();
    assert!(status(&early) == 409 && early.to_string().contains("approvals is"), "{early}");
    day.approve("grace").await.unwrap();
    day.approve("linus").await.unwrap();
    for (who, to, answer, expected) in [
        ("grace", Asked::Question(0), Answer::Go, 403),
        ("eve", Asked::Question(0), Answer::Go, 403),
        ("ada", Asked::Question(0), Answer::Skip, 400),
        ("ada", Asked::Before(1), Answer::Go, 409),
        ("ada", Asked::Approvals, Answer::Go, 409),
    ] {
        let error = day.answer(who, to, answer).await.unwrap_err();
        assert_eq!(status(&error), expected, "{who} {to}: {error}");
    }
    let viewer = somebody("ada", Role::Viewer);
    let (controller, to) = (&day.fixture.controller, Asked::Question(0));
    let refused = controller.answer_game_day(&viewer, &day.id, to, Answer::Go, None).await.unwrap_err();
    assert_eq!(status(&refused), 403, "{refused}");
    assert_eq!(status(&controller.note_game_day(&viewer, &day.id, "x", &[]).await.unwrap_err()), 403);
    assert_eq!(status(&controller.abort_game_day(&viewer, &day.id, "x").await.unwrap_err()), 403);
    let no = day.answer("ada", Asked::Question(0), Answer::NoGo).await.unwrap();
    assert_eq!((no.game_day.stage.as_str(), no.exit_code), ("aborted", Some(3)));
    let over = day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap_err();
    assert_eq!(status(&over), 409, "{over}");
    // What was learned is written down afterwards too.
    controller.note_game_day(&somebody("ada", Role::Operator), &day.id, "we forgot", &[]).await.unwrap();
    assert!(!day.round().await && day.runs().await.is_empty());
}

#[tokio::test]
async fn of_two_who_answer_at_once_one_is_heard() {
    let day = Day::submitted().await;
    day.approve("grace").await.unwrap();
    let linus = somebody("linus", Role::Approver);
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (controller, linus) = (Arc::clone(&day.fixture.controller), linus.clone());
        let (id, hash) = (day.id.clone(), day.hash.clone());
        many.spawn(async move { controller.approve_game_day(&linus, &id, &hash).await });
    }
    let heard = many.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(heard, 1);
    assert_eq!(day.show().await.asks, Some(Asked::Question(0)));
}

#[tokio::test]
async fn each_experiment_is_one_run_of_the_plan_that_was_approved_however_often_a_controller_begins_anew() {
    let day = Day::agreed().await;
    assert!(day.round().await);
    assert!(day.round().await, "as if it was restarted");
    let runs = day.runs().await;
    assert_eq!(runs.len(), 1);
    let origin = Origin::GameDay { name: "shop-day".into(), step: "checkout-survives-a-slow-database".into() };
    assert_eq!((&runs[0].origin, runs[0].state, runs[0].requested_by.as_str()), (&origin, RunState::Queued, "dennis"));
    let shown = day.show().await;
    assert_eq!(shown.experiments[0].plan_hash, runs[0].plan_hash);
    assert_eq!(shown.experiments[0].run.as_ref(), Some(&runs[0].id));

    // At every entry of the run, a controller begins anew.
    let all = kept(Ending::Held, &runs[0]).len();
    let run = day.driven(Ending::Held, 1).await;
    for number in 1..all {
        day.round().await;
        day.keep(&run, Ending::Held, number, number + 1).await;
        assert_eq!(day.show().await.game_day.stage, "running");
    }
    day.finish(&run, "held").await;
    assert!(day.round().await);
    let shown = day.show().await;
    assert_eq!((shown.asks, day.runs().await.len()), (Some(Asked::Before(1)), 1), "it holds before the second");
    let told = day.events().await;
    assert_eq!(told[5..], ["queued", "started", "incited", "undone", "recovered", "ended"]);

    assert!(day.round().await && day.runs().await.len() == 1, "nothing runs without a go");
    day.answer("grace", Asked::Before(1), Answer::Go).await.unwrap();
    day.round().await;
    let run = day.driven(Ending::Held, all).await;
    day.finish(&run, "held").await;
    assert!(!day.round().await, "it is over");
    let over = day.show().await;
    assert_eq!((over.game_day.stage.as_str(), over.exit_code, day.runs().await.len()), ("finished", Some(0), 2));
    let viewer = somebody("eve", Role::Viewer);
    let sheet = day.fixture.controller.game_day_sheet(&viewer, &day.id, Format::Json).await.unwrap();
    let sheet: serde_json::Value = serde_json::from_str(&sheet).unwrap();
    assert_eq!(sheet["place"], "the fleet: db-1");
    assert_eq!(sheet["identity"], "token");
    for moment in ["incited", "mitigated", "recovered"] {
        assert!(sheet["experiments"][1][moment]["at"].is_string(), "{moment}: {sheet:#}");
    }
    let page = day.fixture.controller.game_day_journal(&viewer, &day.id, 0, Duration::ZERO).await.unwrap();
    assert_eq!(page.entries.len(), day.events().await.len());
    let last = day.fixture.controller.game_day_journal(&viewer, &day.id, page.next, LEASE).await.unwrap();
    assert!(last.over && last.entries.is_empty());
}

#[tokio::test]
async fn two_that_carry_it_out_at_once_do_nothing_twice() {
    let day = Day::agreed().await;
    let nobody = |_: &Entry, _: &_, _: &[Command]| {};
    let begin = || Carrying::begin(Arc::clone(&day.fixture.controller), &day.id, &nobody);
    let (mut one, mut other) = (begin().await.unwrap(), begin().await.unwrap());
    let (first, second) = tokio::join!(one.round(&nobody), other.round(&nobody));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!(day.runs().await.len(), 1);
    let run = day.driven(Ending::Held, usize::MAX).await;
    day.finish(&run, "held").await;
    let (first, second) = tokio::join!(one.round(&nobody), other.round(&nobody));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!(day.events().await[5..], ["queued", "started", "incited", "undone", "recovered", "ended"]);
}

#[tokio::test]
async fn whoever_ends_it_has_what_runs_undone_and_what_waits_cancelled() {
    let day = Day::agreed().await;
    let controller = &day.fixture.controller;
    let ada = somebody("ada", Role::Operator);
    // Before anything was asked for.
    let early = Day::agreed().await;
    early.fixture.controller.abort_game_day(&ada, &early.id, "no").await.unwrap();
    assert_eq!(early.show().await.game_day.stage, "stopping");
    assert!(!early.round().await && early.runs().await.is_empty());
    assert_eq!(early.show().await.exit_code, Some(3));

    // Under way, driven here.
    day.round().await;
    let run = day.driven(Ending::Held, 6).await;
    let mut orders = day.fixture.running.begin(&run.id, run.epoch);
    controller.note_game_day(&ada, &day.id, "it is slow", &["detected".into()]).await.unwrap();
    let severity = FindingSeverity::High;
    let finding = crate::game_day::machine::Finding {
        author: "somebody else".into(),
        text: "no runbook".into(),
        severity,
        owner: Some("grace".into()),
        due: None,
    };
    controller.find_in_game_day(&ada, &day.id, finding).await.unwrap();
    controller.abort_game_day(&ada, &day.id, "a customer calls").await.unwrap();
    assert!(day.round().await, "until it is undone");
    let because = "the game day was ended: ended by ada: a customer calls".to_owned();
    assert_eq!(orders.try_recv(), Ok(Stop::Halted(because.clone())));
    assert_eq!(day.runs().await[0].stop_requested, Some(because));
    day.finish(&run, "aborted").await;
    assert!(!day.round().await);
    let over = day.show().await;
    assert_eq!((over.game_day.stage.as_str(), over.exit_code), ("aborted", Some(5)));
    let sheet = controller.game_day_sheet(&ada, &day.id, Format::Json).await.unwrap();
    let sheet: serde_json::Value = serde_json::from_str(&sheet).unwrap();
    assert_eq!((&sheet["findings"][0]["author"], &sheet["notes"][0]["author"]), (&"ada".into(), &"ada".into()));

    // While it waits for its hosts.
    let waiting = Day::agreed().await;
    waiting.round().await;
    waiting.fixture.controller.abort_game_day(&ada, &waiting.id, "no").await.unwrap();
    waiting.round().await;
    assert!(!waiting.round().await);
    assert_eq!(waiting.runs().await[0].state, RunState::Cancelled);
}

#[tokio::test]
async fn a_halt_ends_it_and_a_run_that_a_restart_cut_off_ends_it_too() {
    let day = Day::agreed().await;
    day.round().await;
    let run = day.driven(Ending::Held, 6).await;
    let controller = &day.fixture.controller;
    controller.halt(&somebody("eve", Role::Viewer), "customers complain").await.unwrap();
    assert!(day.round().await);
    assert_eq!(day.show().await.because.as_deref(), Some("halted: customers complain (by eve)"));
    day.finish(&run, "aborted").await;
    assert!(!day.round().await);
    let refused = controller.submit_game_day(&dennis(), &text()).await.unwrap_err();
    assert_eq!(refused.class().1, "halted", "{refused}");

    let waiting = Day::submitted().await;
    waiting.fixture.controller.halt(&somebody("eve", Role::Viewer), "enough").await.unwrap();
    assert!(!waiting.round().await);
    assert_eq!(waiting.show().await.exit_code, Some(3));

    let cut = Day::agreed().await;
    cut.round().await;
    let run = cut.driven(Ending::Held, 6).await;
    cut.finish(&run, "aborted").await;
    assert!(!cut.round().await, "an aborted run ends it by default");
    assert_eq!(cut.show().await.exit_code, Some(5));
}

#[tokio::test]
async fn a_plan_that_somebody_changed_in_the_store_is_not_run() {
    use sqlx::Connection;
    let day = Day::agreed().await;
    let path = day.fixture.controller.data().join("store.db");
    let mut around = sqlx::AnyConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let changed = sqlx::query("UPDATE game_day_plans SET plan = REPLACE(plan, 'db-1', 'db-9') WHERE number = 0");
    assert_eq!(changed.execute(&mut around).await.unwrap().rows_affected(), 1);
    day.round().await;
    assert!(day.runs().await.is_empty());
    let shown = day.show().await;
    assert_eq!(shown.experiments[0].because.as_deref(), Some("its plan is not the one that was approved"));
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_before_anything_is_kept() {
    let fixture = Fixture::new().await;
    let refused = async |text: &str| fixture.controller.submit_game_day(&dennis(), text).await.unwrap_err();
    let none = refused(&text()).await;
    assert!(status(&none) == 409 && none.to_string().contains("target `db`"), "{none}");
    fixture.host_that("db-1", &[("role", "db")], Some("no latency on this host")).await;
    assert_eq!(refused(&text()).await.to_string(), "db-1 cannot do `network-latency`: no latency on this host");
    for (text, told) in [
        (GAME_DAY.trim_end_matches("---\n").to_owned(), "no experiment `checkout-survives-a-slow-database`"),
        (DOCUMENT.to_owned(), "exactly one game day"),
        (format!("{}---\n{}", text(), GAME_DAY.trim_end_matches("---\n")), "exactly one game day"),
        (text().replace("owners, dennis", "x").replace("[owners]", "[nobody]"), "nobody"),
        (text().replace("  roles:", "  window: { from: 2020-01-01T10:00, until: 2020-01-01T12:00 }\n  roles:"), ""),
    ] {
        let error = refused(&text).await;
        assert!([409, 422].contains(&status(&error)) && error.to_string().contains(told), "{told}: {error}");
    }
    let demanding = Fixture::with(Settings { least_approvals: 3, ..Settings::default() }).await;
    let few = demanding.controller.submit_game_day(&dennis(), &text()).await.unwrap_err();
    assert!(status(&few) == 422 && few.to_string().contains("demands 3"), "{few}");
    let viewer = fixture.controller.submit_game_day(&somebody("eve", Role::Viewer), &text()).await.unwrap_err();
    assert_eq!(status(&viewer), 403);
    assert!(fixture.controller.game_days(&dennis(), None, 10).await.unwrap().game_days.is_empty());
}

#[tokio::test]
async fn whoever_listens_hears_each_entry_once_for_each_that_reads_it() {
    let day = Day::agreed().await;
    let heard: Mutex<Vec<String>> = Mutex::default();
    let hear = |entry: &Entry, _: &_, commands: &[Command]| {
        heard.lock().unwrap().push(format!("{} {}", word(&entry.event), commands.len()));
    };
    let mut carrying = Carrying::begin(Arc::clone(&day.fixture.controller), &day.id, &hear).await.unwrap();
    carrying.round(&hear).await.unwrap();
    carrying.round(&hear).await.unwrap();
    let expected = ["opened 0", "requested 1", "approved 1", "approved 1", "answered 1", "queued 0"];
    assert_eq!(*heard.lock().unwrap(), expected);
}
