//! What the worker of a case does: it is this very test program started again, which injects one fault and undoes it
//! when told.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use faultline_agent::engine::{Engine, EngineOptions};
use faultline_agent::facts::{HostFacts, ProcessSelector, Selection, processes};
use faultline_agent::fault::{AnyFault, PlanContext, Scope};
use faultline_agent::guard::GuardCommand;
use faultline_agent::kernel::HostKernel;
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use serde::{Deserialize, Serialize};

/// What a worker is told, in an environment variable.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    pub state: PathBuf,
    pub fault: AnyFault,
    pub victims: Option<Vec<i32>>,
    pub cgroup: Option<PathBuf>,
    pub lasts: TimeSpan,
}

pub const VARIABLE: &str = "FAULTLINE_CRASH_MATRIX_TASK";
/// The name of the test that is the worker.
pub const TEST: &str = "matrix::task::worker";

/// Marks a line for the test among those of the test harness.
fn say(line: &str) {
    println!("\n@{line}");
    std::io::stdout().flush().unwrap();
}

/// Is the worker, if this process was started as one.
#[test]
fn worker() {
    let Ok(task) = std::env::var(VARIABLE) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    let state = StateFolder::resolve(Some(&task.state)).unwrap();
    let guard = GuardCommand { program: env!("CARGO_BIN_EXE_faultline-agent").into(), arguments: vec!["guard".into()] };
    let options =
        EngineOptions { guard: Some(guard), kernel: Arc::new(HostKernel), ..EngineOptions::host(state.clone(), None) };
    let engine = Engine::open(options).unwrap();
    let guard = engine.guard().unwrap();
    say(&format!("guard {}", guard.pid));

    let mut scope = Scope::default();
    if let Some(victims) = task.victims {
        let victims: BTreeSet<i32> = victims.into_iter().collect();
        scope.processes =
            Some(processes().unwrap().into_iter().filter(|process| victims.contains(&process.identity.pid)).collect());
        let selector = ProcessSelector {
            parent: i32::try_from(std::os::unix::process::parent_id()).ok(),
            name: Some("sleep".into()),
            ..Default::default()
        };
        scope.cgroup = task.cgroup;
        scope.selection = Some(Selection { selector, ..Default::default() });
    }
    let id = engine.new_id();
    let facts = HostFacts::new(state.path(), vec![guard]);
    let lasts = task.lasts;
    let plan = task.fault.plan(PlanContext { id: &id, scope: &scope, facts: &facts, seed: 1, lasts }).unwrap();
    say(&format!("steps {}", plan.steps.len()));
    engine.inject(plan, lasts).unwrap();
    say("active");

    let (orders, order) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
        let _ = orders.send(());
    });
    loop {
        match order.recv_timeout(Duration::from_millis(20)) {
            Err(RecvTimeoutError::Timeout) if !engine.guard_lost() => engine.heartbeat(),
            _ => break,
        }
    }
    for (id, undone) in engine.undo_all() {
        assert!(undone.verified, "{id}: {undone:?}");
    }
    say("undone");
}
