//! The controller is killed while it is asked for something: for a run, for an approval, for a cancellation; just before and
//! just after the transaction that decides. Under both stores.
//!
//! It ends itself by SIGKILL at a named point (`FAULTLINE_CRASH_AT`), so no row depends on luck. What its store holds then is
//! the whole of what was asked or nothing of it. Whoever asked has no answer, and the command line asks again: afterwards
//! it is done, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/database.rs"]
mod database;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, is_paused, service, told, victim};
use common::injections::Injections;
use faultline::store::runs::{Run, RunFilter, RunState};
use faultline::store::{Store, StoreAddress};
use rustix::process::Signal;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Request {
    /// A run.
    Run,
    /// A run that somebody must approve.
    RunForApproval,
    /// The only approval that a run needs.
    Approval,
    /// The end of a run that waits.
    Cancellation,
    /// The end of a run whose fault is in place.
    Stop,
}

const REQUESTS: [Request; 5] =
    [Request::Run, Request::RunForApproval, Request::Approval, Request::Cancellation, Request::Stop];

/// When the controller dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Before,
    After,
}

impl Request {
    fn point(self, moment: Moment) -> String {
        let transition = match self {
            Self::Run => RunState::Queued.as_str(),
            Self::RunForApproval => RunState::WaitingForApproval.as_str(),
            Self::Approval => "approved",
            Self::Cancellation => RunState::Cancelled.as_str(),
            Self::Stop => "stop-requested",
        };
        let moment = if moment == Moment::Before { "uncommitted" } else { "committed" };
        format!("store/{transition}/{moment}")
    }
}

/// A fleet of one host, on which the two rows of a request are played one after the other.
struct Lane {
    fleet: Fleet,
    store: StoreAddress,
    injections: Injections,
    _agent: Running,
    process: Running,
    approver: String,
    runs: usize,
}

impl Lane {
    fn new(store: Option<String>) -> Option<Self> {
        let mut fleet = Fleet::founded(Founding { store: store.clone(), ..Founding::default() })?;
        fleet.serve();
        let agent = fleet.host("db-1");
        let injections = Injections::of(&fleet.path("db-1"));
        let made = fleet.ask(&["token", "create", "bea", "--role", "approver"]);
        let approver = made["token"].as_str().unwrap().to_owned();
        let store =
            store.map_or_else(|| StoreAddress::in_folder(&fleet.path("controller")), |url| url.parse().unwrap());
        Some(Self { fleet, store, injections, _agent: agent, process: victim(), approver, runs: 0 })
    }

    /// The command line in the background; what it says is in the file `name`.
    fn start(&self, name: &str, arguments: &[&str], token: Option<&str>) -> Running {
        let mut client = self.fleet.client(arguments);
        if let Some(token) = token {
            client.env("FAULTLINE_TOKEN", token);
        }
        let said = std::fs::File::create(self.fleet.path(name)).unwrap();
        Running(client.stdout(said.try_clone().unwrap()).stderr(said).stdin(Stdio::null()).spawn().unwrap())
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.fleet.path(name)).unwrap_or_default()
    }

    fn play(&mut self, request: Request, moment: Moment) {
        let row = format!("{request:?} {moment:?}");
        let before = self.injections.count();
        self.fleet.controller = None;
        self.fleet.serve_with(&[("FAULTLINE_CRASH_AT", &request.point(moment))]);
        self.host_is_back();
        let lasts = if request == Request::Stop { "10min" } else { "5s" };
        let file = self.fleet.experiment(self.process.0.id(), lasts, service());
        let run = ["run", file.to_str().unwrap()];
        let approved_run = [&run[..], &["--approvals", "1"]].concat();

        // What there must be before it is asked.
        let mut follower = match request {
            Request::Run | Request::RunForApproval => None,
            Request::Approval | Request::Cancellation => Some(self.start("followed", &approved_run, None)),
            Request::Stop => Some(self.start("followed", &run, None)),
        };
        if let Some(follower) = &follower {
            self.wait(&row, "the run", || {
                assert!(follower.state() != Some('Z'), "{row}: {}", self.said("followed"));
                self.said("followed").starts_with("run ")
            });
        }
        if request == Request::Stop {
            self.wait(&row, "the fault", || is_paused(&self.process));
        }
        let id = || self.said("followed").split(' ').nth(1).unwrap().to_owned();
        let mut asking = match request {
            Request::Run => self.start("asked", &run, None),
            Request::RunForApproval => self.start("asked", &approved_run, None),
            Request::Approval => {
                let hash = self.fleet.ask(&["runs", "show", &id()])["planHash"].as_str().unwrap().to_owned();
                self.start("asked", &["runs", "approve", &id(), "--plan-hash", &hash], Some(&self.approver))
            }
            Request::Cancellation | Request::Stop => {
                self.start("asked", &["runs", "cancel", &id(), "--reason", "a test", "--json"], None)
            }
        };
        let died = self.fleet.controller_dies(Duration::from_secs(60));
        assert!(died, "{row}: not killed there: {}", self.said("asked"));
        // It may ask again only when the host is back, without which nothing could be planned.
        asking.signal(Signal::STOP);
        let found = self.look();
        self.is_whole(&row, request, moment, &found);

        self.fleet.serve();
        self.host_is_back();
        asking.signal(Signal::CONT);
        if request == Request::RunForApproval {
            self.wait(&row, "the run", || {
                self.said("asked").contains("\nrun ") || self.said("asked").starts_with("run ")
            });
            let run = self.fleet.ask(&["runs", "list", "--limit", "1"])["runs"][0].clone();
            let (id, hash) = (run["id"].as_str().unwrap(), run["planHash"].as_str().unwrap());
            let arguments = ["runs", "approve", id, "--plan-hash", hash];
            let output = self.fleet.client(&arguments).env("FAULTLINE_TOKEN", &self.approver).output().unwrap();
            assert!(output.status.success(), "{row}: {}", told(&output));
        }
        let code = asking.ended_within(Duration::from_secs(90));
        let followed = follower.as_mut().map(|follower| follower.ended_within(Duration::from_secs(90)));
        let said = format!("{}\n{}", self.said("asked"), self.said("followed"));
        assert!(said.contains("asked again"), "{row}: the answer was lost: {said}");
        self.runs += 1;
        let runs = self.look();
        assert_eq!(runs.len(), self.runs, "{row}: one run: {runs:#?}");
        let (run, injected) = (&runs[0], self.injections.count() - before);
        let verdict = run.verdict.as_deref();
        match request {
            Request::Run | Request::RunForApproval | Request::Approval => {
                // Whether its bite was measured is a matter of how busy this machine is.
                let codes = [("held", 0), ("inconclusive", 4), ("invalid", 6)];
                assert!(followed.is_none() || code == 0, "{row}: {code}: {said}");
                let code = followed.unwrap_or(code);
                assert!(
                    codes.iter().any(|known| *known == (verdict.unwrap_or_default(), code)),
                    "{row}: {code}: {said}"
                );
                assert_eq!((run.state, injected), (RunState::Finished, 1), "{row}: {said}");
            }
            Request::Cancellation => {
                assert_eq!((code, followed), (0, Some(3)), "{row}: {said}");
                assert_eq!((run.state, verdict, injected), (RunState::Cancelled, None, 0), "{row}: {said}");
            }
            Request::Stop => {
                // Closed by the restart, the run may be over before it is asked to end again, by a request of which nothing is known.
                let refused = code == 3 && moment == Moment::Before && said.contains("is finished");
                assert!(code == 0 || refused, "{row}: {code}: {said}");
                assert_eq!((run.state, verdict, injected), (RunState::Finished, Some("aborted"), 1), "{row}: {said}");
            }
        }
        assert!(!is_paused(&self.process), "{row}: the process is paused");
        let left = self.injections.left();
        assert!(left.is_empty(), "{row}: left on the host: {left:?}");
        self.fleet.ask(&["audit", "verify"]);
    }

    /// All runs, the newest first, by the store alone.
    fn look(&self) -> Vec<Run> {
        self.with_the_store(async |store| store.runs(&RunFilter::default(), None, 100).await.unwrap().0)
    }

    fn with_the_store<T>(&self, ask: impl AsyncFnOnce(Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { ask(Store::open(&self.store).await.unwrap()).await })
    }

    /// Whether what was asked is there as a whole, or nothing of it.
    fn is_whole(&self, row: &str, request: Request, moment: Moment, found: &[Run]) {
        let done = moment == Moment::After;
        let states: Vec<RunState> = found[..found.len() - self.runs].iter().map(|run| run.state).collect();
        let before = match request {
            Request::Run | Request::RunForApproval => None,
            Request::Approval | Request::Cancellation => Some(RunState::WaitingForApproval),
            Request::Stop => Some(RunState::Running),
        };
        let after = match request {
            Request::Run | Request::Approval => RunState::Queued,
            Request::RunForApproval => RunState::WaitingForApproval,
            Request::Cancellation => RunState::Cancelled,
            Request::Stop => RunState::Running,
        };
        assert_eq!(states, Vec::from_iter(if done { Some(after) } else { before }), "{row}");
        let Some(run) = found.first().filter(|_| !states.is_empty()) else { return };
        assert_eq!(run.stop_requested.is_some(), request == Request::Stop && done, "{row}: {run:?}");
        let (object, now) = (format!("run/{}", run.id), jiff::Timestamp::now());
        let approvals = self.with_the_store(async |store| store.approvals(&object, &run.plan_hash, now).await.unwrap());
        assert_eq!(approvals.len(), usize::from(request == Request::Approval && done), "{row}: {approvals:?}");
    }

    fn host_is_back(&self) {
        self.wait("", "the host", || !self.fleet.connected().is_empty());
    }

    fn wait(&self, row: &str, what: &str, seen: impl Fn() -> bool) {
        let begun = Instant::now();
        while !seen() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{row}: waited for {what} in vain: {}",
                self.said("asked")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn play_all(store: impl Fn() -> Option<Option<String>>) {
    let begun = Instant::now();
    let lanes: Vec<_> = REQUESTS
        .iter()
        .map_while(|request| store().map(|store| (*request, store)))
        .filter_map(|(request, store)| Some((request, Lane::new(store)?)))
        .collect();
    let rows = 2 * lanes.len();
    std::thread::scope(|scope| {
        for (request, mut lane) in lanes {
            scope.spawn(move || [Moment::Before, Moment::After].map(|moment| lane.play(request, moment)));
        }
    });
    println!("{rows} rows in {:.0?}", begun.elapsed());
}

#[test]
fn a_controller_killed_at_any_request_over_sqlite() {
    play_all(|| Some(None));
}

#[test]
fn a_controller_killed_at_any_request_over_postgresql() {
    play_all(|| database::new().map(Some));
}
