//! A host in memory: every kind of step acts on named things in a map, and every call can be made to fail.
//!
//! The laws of undo are tested on it by the thousand. Like the real one it knows things that vanish when their process
//! dies, things that only their own process may remove, and other people who change them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Amend, Hold, Kernel, KernelError, Reverted};
use crate::crash_point;
use crate::plan::{Bite, Evidence, Step, UndoClass};

/// One thing of the host: a table, a qdisc, a stopped process, a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its value; a step of ours writes its own description.
    pub value: String,
    /// The process with which it vanishes, and which alone may remove it.
    pub process: Option<u32>,
}

/// Everything on the host, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// The things.
    pub things: BTreeMap<String, Thing>,
}

impl World {
    /// What the real kernel does when a process dies: everything that hangs on it goes.
    pub fn process_died(&mut self, process: u32) {
        self.things.retain(|_, thing| thing.process != Some(process));
    }

    /// Somebody else sets a thing to a value of their own.
    pub fn changed_by_somebody(&mut self, name: &str) {
        self.things.insert(name.to_owned(), Thing { value: "somebody's".into(), process: None });
    }
}

/// A host shared by the processes of a test.
pub type SharedWorld = Arc<Mutex<World>>;

/// The host as one process of a test sees it.
#[derive(Debug)]
pub struct FakeKernel {
    world: SharedWorld,
    process: u32,
    chance: Mutex<(ChaCha8Rng, f64)>,
    broken: BTreeSet<String>,
}

impl FakeKernel {
    /// The view of a process with this number, in which every call works.
    pub fn new(world: SharedWorld, process: u32) -> Self {
        Self { world, process, chance: Mutex::new((ChaCha8Rng::seed_from_u64(0), 0.0)), broken: BTreeSet::new() }
    }

    /// The same, in which each access to a thing fails with this probability, from 0 to 1.
    #[must_use]
    pub fn failing(mut self, seed: u64, probability: f64) -> Self {
        self.chance = Mutex::new((ChaCha8Rng::seed_from_u64(seed), probability));
        self
    }

    /// The same, in which this thing can never be removed.
    #[must_use]
    pub fn broken(mut self, name: &str) -> Self {
        self.broken.insert(name.to_owned());
        self
    }

    /// The things on which a step acts.
    pub fn names(step: &Step) -> Vec<String> {
        let each = |kind: &str, pids: &[crate::identity::ProcessIdentity]| {
            pids.iter().map(|process| format!("{kind} {process}")).collect()
        };
        match step {
            Step::PacketRules(step) => vec![format!("table {}", step.table)],
            Step::PacketQueue(step) => vec![format!("queue {}", step.queue), format!("table {}", step.table)],
            Step::Netem(step) => vec![format!("qdisc {}", step.interface)],
            Step::PacketClassification(step) => vec![format!("table {}", step.table)],
            Step::ProcessKill(_) => vec![],
            Step::ProcessPause(step) => each("stopped", &step.processes),
            Step::CgroupFreeze(step) => vec![format!("frozen {}", step.folder.display())],
            Step::SpaceFill(step) => vec![format!("space of {}", step.folder.display())],
            Step::InodeFill(step) => vec![format!("folder {}", step.folder.join(&step.scratch_name).display())],
        }
    }

    fn access(&self, step: &Step, call: &'static str) -> Result<MutexGuard<'_, World>, KernelError> {
        crash_point!("kernel");
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let (random, probability) = &mut *chance;
        if *probability > 0.0 && random.random_bool(*probability) {
            return Err(KernelError::new(step.describe(), call, io::Error::other("a failure made by the test")));
        }
        Ok(self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the real rooms hold open: it ends with the process, and when it is dropped.
#[derive(Debug)]
struct FakeHold {
    world: SharedWorld,
    names: Vec<String>,
    value: String,
}

impl Hold for FakeHold {
    fn evidence(&self) -> Evidence {
        Evidence::new(Bite::Yes, Vec::new())
    }
}

impl Drop for FakeHold {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if world.things.get(name).is_some_and(|thing| thing.value == self.value) {
                world.things.remove(name);
            }
        }
    }
}

impl Kernel for FakeKernel {
    fn apply(&self, step: &Step, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let hangs_on_process = step.undo_class() == UndoClass::Kernel;
        amend(step).map_err(|error| KernelError::new(step.describe(), "amend", error))?;
        let names = Self::names(step);
        for name in &names {
            let mut world = self.access(step, "add")?;
            if world.things.contains_key(name) {
                return Err(KernelError::new(name, "add", io::Error::from(io::ErrorKind::AlreadyExists)));
            }
            let process = hangs_on_process.then_some(self.process);
            world.things.insert(name.clone(), Thing { value: step.describe(), process });
        }
        drop(self.access(step, "read back")?);
        let hold = || FakeHold { world: Arc::clone(&self.world), names, value: step.describe() };
        Ok(hangs_on_process.then(|| Box::new(hold()) as Box<dyn Hold>))
    }

    fn revert(&self, step: &Step) -> Result<Reverted, KernelError> {
        let mut result = Reverted::Absent;
        for name in Self::names(step) {
            let mut world = self.access(step, "remove")?;
            match world.things.get(&name) {
                None => {}
                Some(thing) if thing.value != step.describe() => result = Reverted::Superseded(thing.value.clone()),
                Some(thing) if thing.process.is_some_and(|process| process != self.process) => {
                    return Err(KernelError::new(name, "remove", io::Error::from(io::ErrorKind::PermissionDenied)));
                }
                Some(_) if self.broken.contains(&name) => {
                    return Err(KernelError::new(name, "remove", io::Error::from(io::ErrorKind::ResourceBusy)));
                }
                Some(_) => {
                    world.things.remove(&name);
                    if result == Reverted::Absent {
                        result = Reverted::Undone;
                    }
                }
            }
        }
        Ok(result)
    }

    fn is_present(&self, step: &Step) -> Result<bool, KernelError> {
        let world = self.access(step, "look")?;
        let ours = |name: &String| world.things.get(name).is_some_and(|thing| thing.value == step.describe());
        Ok(Self::names(step).iter().any(ours))
    }

    fn measure(&self, step: &Step) -> Result<Evidence, KernelError> {
        let bite = if self.is_present(step)? { Bite::Yes } else { Bite::No("it is not there".into()) };
        Ok(Evidence::new(bite, Vec::new()))
    }

    fn pause(&self, _: Duration) {}
}
