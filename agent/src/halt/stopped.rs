use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::HaltScope;

/// What a halt stopped, and what it could not. Printed as it is by `faultline halt --json`: fields are added, and never
/// renamed or removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// Whether a halt is in force now. It is, after one was set.
    pub halted: bool,
    /// For whom it counts.
    pub scope: HaltScope,
    /// The ids of the faults that were there and are undone, of all state folders.
    pub undone: Vec<String>,
    /// The ids (or files) of the records that are still there.
    pub left: Vec<String>,
    /// How long it took, in seconds.
    pub took: f64,
    /// The state folders that it reached: those of living runs, and the caller's own.
    pub folders: Vec<StoppedFolder>,
    /// The runs that it could not reach.
    pub not_stopped: Vec<NotStopped>,
    /// Which processes cannot be seen from here, in words, so that their runs could not be stopped either; none if all can.
    pub unseen: Option<String>,
    /// What else went wrong, as a place in which the halt could not be set beside another.
    pub problems: Vec<String>,
}

/// A state folder that was halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedFolder {
    /// Its path, as its own runs see it.
    pub folder: PathBuf,
    /// The user whose folder it is.
    pub user: String,
    /// The processes that injected from it when the halt was set.
    pub processes: Vec<i32>,
    /// Those of them that have not ended yet; they have no fault in place any more unless `left` names some.
    pub still_alive: Vec<i32>,
    /// The runs that had a fault in place.
    pub runs: Vec<String>,
    /// The faults that were there and are undone.
    pub undone: Vec<StoppedFault>,
    /// The faults whose records are still there.
    pub left: Vec<StoppedFault>,
}

/// A fault of a halted state folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedFault {
    /// Its id, or the file of its record if not even the name of that says it.
    pub id: String,
    /// Its name in the catalogue, if its record can be read.
    pub fault: Option<String>,
}

/// A run that a halt cannot stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotStopped {
    /// Its process.
    pub process: i32,
    /// The user whose it is.
    pub user: String,
    /// Its state folder, as it names it.
    pub folder: PathBuf,
    /// Why it cannot be stopped.
    pub reason: String,
    /// How it can be.
    pub hint: String,
}

impl Stopped {
    /// Whether every fault of every run that was found is undone.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty() && self.not_stopped.is_empty()
    }
}

impl fmt::Display for StoppedFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => write!(formatter, "{fault} {}", self.id),
            None => formatter.write_str(&self.id),
        }
    }
}

fn listed<T: ToString>(things: &[T]) -> String {
    things.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for StoppedFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.folder.display())?;
        if !self.runs.is_empty() {
            write!(formatter, "run {}", listed(&self.runs))?;
        }
        match (self.processes.is_empty(), self.runs.is_empty()) {
            (false, true) => write!(formatter, "process {} of {}: ", listed(&self.processes), self.user)?,
            (false, false) => write!(formatter, " (process {} of {}): ", listed(&self.processes), self.user)?,
            (true, false) => write!(formatter, " (its process was dead): ")?,
            (true, true) => {}
        }
        match (self.undone.as_slice(), self.left.as_slice()) {
            ([], []) => writeln!(formatter, "no fault was active")?,
            (undone, []) => writeln!(formatter, "undone {}", listed(undone))?,
            ([], left) => writeln!(formatter, "NOT UNDONE {}", listed(left))?,
            (undone, left) => writeln!(formatter, "undone {}; NOT UNDONE {}", listed(undone), listed(left))?,
        }
        if !self.left.is_empty() {
            let folder = self.folder.display();
            writeln!(formatter, "  `faultline list --state {folder}` shows why, with the command for each")?;
        }
        if !self.still_alive.is_empty() {
            writeln!(formatter, "  process {} has not ended yet", listed(&self.still_alive))?;
        }
        Ok(())
    }
}

impl fmt::Display for NotStopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, user, folder, reason, hint } = self;
        writeln!(formatter, "NOT STOPPED: process {process} of {user} ({}): {reason}; {hint}", folder.display())
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for folder in &self.folders {
            write!(formatter, "{folder}")?;
        }
        if self.folders.is_empty() {
            writeln!(formatter, "no fault was active")?;
        }
        for run in &self.not_stopped {
            write!(formatter, "{run}")?;
        }
        if let Some(unseen) = &self.unseen {
            writeln!(formatter, "not looked at: {unseen}")?;
        }
        for problem in &self.problems {
            writeln!(formatter, "problem: {problem}")?;
        }
        let (whose, folder) = match self.scope {
            HaltScope::Host => ("no fault is injected on this host", String::new()),
            HaltScope::User => ("no fault of yours is injected on this host", String::new()),
            HaltScope::Folder => {
                let folder = self.folders.first().map(|folder| format!(" --state {}", folder.folder.display()));
                ("no fault is injected with this state folder", folder.unwrap_or_default())
            }
        };
        writeln!(formatter, "halted in {:.1} s: {whose} until `faultline halt --release{folder}`", self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(id: &str) -> StoppedFault {
        StoppedFault { id: id.into(), fault: Some("process-pause".into()) }
    }

    #[test]
    fn each_folder_has_its_line_and_what_was_not_reached_is_said() {
        let folder = |folder: &str, processes: &[i32], runs: &[&str]| StoppedFolder {
            folder: folder.into(),
            user: "alice".into(),
            processes: processes.to_vec(),
            still_alive: Vec::new(),
            runs: runs.iter().map(ToString::to_string).collect(),
            undone: Vec::new(),
            left: Vec::new(),
        };
        let stopped = Stopped {
            halted: true,
            scope: HaltScope::User,
            undone: vec!["00000000000a".into()],
            left: vec!["00000000000b".into()],
            took: 0.25,
            folders: vec![
                StoppedFolder { undone: vec![fault("00000000000a")], ..folder("/s/a", &[7], &["r1"]) },
                folder("/s/b", &[8], &[]),
                StoppedFolder {
                    left: vec![fault("00000000000b")],
                    still_alive: vec![9],
                    ..folder("/s/c", &[9], &["r3"])
                },
            ],
            not_stopped: vec![NotStopped {
                process: 10,
                user: "root".into(),
                folder: "/var/lib/faultline".into(),
                reason: "it is not yours".into(),
                hint: "`sudo faultline halt` stops it".into(),
            }],
            unseen: Some("what is outside".into()),
            problems: Vec::new(),
        };
        assert!(!stopped.is_complete());
        insta::assert_snapshot!(stopped, @r"
        /s/a: run r1 (process 7 of alice): undone process-pause 00000000000a
        /s/b: process 8 of alice: no fault was active
        /s/c: run r3 (process 9 of alice): NOT UNDONE process-pause 00000000000b
          `faultline list --state /s/c` shows why, with the command for each
          process 9 has not ended yet
        NOT STOPPED: process 10 of root (/var/lib/faultline): it is not yours; `sudo faultline halt` stops it
        not looked at: what is outside
        halted in 0.2 s: no fault of yours is injected on this host until `faultline halt --release`
        ");
    }
}
