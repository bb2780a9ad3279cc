use std::path::PathBuf;

use nix::unistd::User;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pick, ProcessFacts};

/// Which processes; what is given must all be true of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessSelector {
    /// The short name, whole (`/proc/PID/comm`, at most 15 characters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A regular expression found in the command line (its arguments joined by spaces).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// The process number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// A port on which it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens_on: Option<u16>,
    /// The cgroup (v2, path below the mount) in which it or an ancestor of its cgroup is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// Its user, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its parent's process number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<i32>,
}

/// How processes were chosen, so that they can be chosen again: a fault that repeats itself finds the successors of
/// those that it killed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// What is true of each.
    pub selector: ProcessSelector,
    /// A variable that its environment holds, as `NAME=value`: how the processes of a service that the run started are
    /// known again after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The inode number of the network namespace in which it is, if only that one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_namespace: Option<u64>,
    /// How many of those found.
    #[serde(default)]
    pub pick: Pick,
}

/// Why a selector makes no sense on this host.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// The command line's expression.
    #[error("`{pattern}` is not a regular expression: {source}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The user.
    #[error("there is no user `{0}` on this host")]
    User(String),
}

/// A selection made ready to be asked of many processes.
#[derive(Debug, Clone)]
pub struct ProcessMatcher {
    selector: ProcessSelector,
    command_line: Option<Regex>,
    user: Option<u32>,
    environment: Option<Vec<u8>>,
    network_namespace: Option<u64>,
}

impl ProcessSelector {
    /// Whether nothing at all is asked, so that every process fits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes it ready: compiles the expression, looks the user up.
    ///
    /// # Errors
    /// If the expression cannot be read or the user is unknown here.
    pub fn matcher(&self) -> Result<ProcessMatcher, SelectorError> {
        Selection { selector: self.clone(), ..Selection::default() }.matcher()
    }
}

impl Selection {
    /// Makes it ready: compiles the expression, looks the user up.
    ///
    /// # Errors
    /// If the expression cannot be read or the user is unknown here.
    pub fn matcher(&self) -> Result<ProcessMatcher, SelectorError> {
        let compile = |pattern: &String| {
            Regex::new(pattern)
                .map_err(|source| SelectorError::Pattern { pattern: pattern.clone(), source: Box::new(source) })
        };
        Ok(ProcessMatcher {
            command_line: self.selector.command_line.as_ref().map(compile).transpose()?,
            user: self.selector.user.as_ref().map(|user| number_of(user)).transpose()?,
            selector: self.selector.clone(),
            environment: self.environment.as_ref().map(|variable| variable.clone().into_bytes()),
            network_namespace: self.network_namespace,
        })
    }
}

fn number_of(user: &str) -> Result<u32, SelectorError> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let found = User::from_name(user).ok().flatten().ok_or_else(|| SelectorError::User(user.into()))?;
    Ok(found.uid.as_raw())
}

impl ProcessMatcher {
    /// Whether all that was asked is true of this process.
    pub fn matches(&self, process: &ProcessFacts) -> bool {
        let wanted = &self.selector;
        let fits = |condition: Option<bool>| condition.unwrap_or(true);
        fits(wanted.name.as_ref().map(|name| *name == process.name))
            && fits(self.command_line.as_ref().map(|pattern| pattern.is_match(&process.command_line.join(" "))))
            && fits(wanted.pid.map(|pid| pid == process.identity.pid))
            && fits(wanted.listens_on.map(|port| process.listens_on.contains(&port)))
            && fits(wanted.cgroup.as_ref().map(|cgroup| is_below(process, cgroup)))
            && fits(self.user.map(|user| user == process.user))
            && fits(wanted.parent.map(|parent| parent == process.parent))
            && fits(self.network_namespace.map(|inode| process.network_namespace == Some(inode)))
            && fits(self.environment.as_ref().map(|variable| environment_holds(process.identity.pid, variable)))
    }
}

/// Whether a process is in a cgroup or one below it. The path may be written with or without its leading slash, or
/// with the mount before it.
fn is_below(process: &ProcessFacts, cgroup: &std::path::Path) -> bool {
    let plain =
        |path: &std::path::Path| path.components().skip_while(|part| part.as_os_str() == "/").collect::<PathBuf>();
    let mounted =
        super::file_system::cgroup_mount().and_then(|mount| Some(cgroup.strip_prefix(mount).ok()?.to_path_buf()));
    let wanted = plain(&mounted.unwrap_or_else(|| cgroup.to_path_buf()));
    process.cgroup.as_ref().is_some_and(|own| plain(own).starts_with(wanted))
}

fn environment_holds(pid: i32, variable: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == variable))
}

#[cfg(test)]
mod tests {
    use super::super::fake::process;
    use super::*;

    fn matches(selector: &ProcessSelector, facts: &ProcessFacts) -> bool {
        selector.matcher().unwrap().matches(facts)
    }

    #[test]
    fn each_condition_decides_alone_and_all_must_hold() {
        let mut facts = process(42, "nginx");
        facts.command_line = vec!["nginx:".into(), "worker".into(), "process".into()];
        facts.listens_on = vec![80, 443];
        facts.cgroup = Some("/system.slice/nginx.service".into());
        facts.parent = 41;
        facts.user = 33;
        let base = ProcessSelector::default();
        let name = |name: &str| ProcessSelector { name: Some(name.into()), ..base.clone() };
        let line = |line: &str| ProcessSelector { command_line: Some(line.into()), ..base.clone() };
        let cgroup = |path: &str| ProcessSelector { cgroup: Some(path.into()), ..base.clone() };
        let user = |user: &str| ProcessSelector { user: Some(user.into()), ..base.clone() };
        for (selector, expected) in [
            (base.clone(), true),
            (name("nginx"), true),
            (name("ngin"), false),
            (line("^nginx: work"), true),
            (line("master"), false),
            (ProcessSelector { pid: Some(42), ..base.clone() }, true),
            (ProcessSelector { pid: Some(43), ..base.clone() }, false),
            (ProcessSelector { listens_on: Some(443), ..base.clone() }, true),
            (ProcessSelector { listens_on: Some(8080), ..base.clone() }, false),
            (cgroup("/system.slice"), true),
            (cgroup("system.slice/nginx.service"), true),
            (cgroup("/system.slice/nginx"), false),
            (cgroup("/"), true),
            (user("33"), true),
            (user("root"), false),
            (ProcessSelector { parent: Some(41), ..base.clone() }, true),
            (ProcessSelector { parent: Some(1), ..base.clone() }, false),
            (ProcessSelector { pid: Some(42), ..name("apache2") }, false),
        ] {
            assert_eq!(matches(&selector, &facts), expected, "{selector:?}");
        }
    }

    #[test]
    fn says_what_cannot_be_asked() {
        let pattern = ProcessSelector { command_line: Some("(".into()), ..ProcessSelector::default() };
        assert!(pattern.matcher().unwrap_err().to_string().starts_with("`(` is not a regular expression"));
        let user = ProcessSelector { user: Some("no-such-user".into()), ..ProcessSelector::default() };
        assert_eq!(user.matcher().unwrap_err().to_string(), "there is no user `no-such-user` on this host");
    }

    #[test]
    fn knows_a_process_by_its_environment_and_namespace() {
        let mark = format!("FAULTLINE_TEST_MARK={}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").env(name, value).spawn().unwrap();
        let identity = super::super::identity_of(child.id().try_into().unwrap()).unwrap();
        let facts = ProcessFacts { identity, network_namespace: Some(7), ..process(0, "sleep") };
        let ask = |environment: &str, network_namespace| {
            let environment = Some(environment.to_owned());
            Selection { environment, network_namespace, ..Selection::default() }.matcher().unwrap().matches(&facts)
        };
        // A program that was started a moment ago may not have its environment yet.
        let begun = std::time::Instant::now();
        while !ask(&mark, None) && begun.elapsed().as_secs() < 5 {
            std::thread::yield_now();
        }
        let answers = [ask(&mark, None), ask(&mark, Some(7)), ask(&mark, Some(8)), ask("FAULTLINE_TEST_MARK=", None)];
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(answers, [true, true, false, false]);
    }
}
