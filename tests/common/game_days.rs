//! Game days of the tests: documents, and the people who speak to one over a fleet.

use std::process::{Command, Stdio};

use super::alerting::ask;
use super::fleet::{Fleet, Running, told};
use super::ports::free_port;

/// The sample shop: a front end that falls back when its backend does not answer.
pub struct Shop {
    pub front: u16,
    pub backend: Running,
    _front: Running,
}

impl Shop {
    pub fn open(fleet: &Fleet) -> Self {
        let [front, backend] = [(); 2].map(|()| free_port());
        let sample = |what: &str, port: u16, more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
            command.args(["sample", what, "--port", &port.to_string()]).args(more).stdin(Stdio::null());
            let sample = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            fleet.wait_for(what, || ask(port, "/healthz").is_some_and(|answer| answer.contains("200")));
            sample
        };
        let of_backend = sample("backend", backend, &[]);
        let to = format!("127.0.0.1:{backend}");
        let of_front = sample("front", front, &["--backend", &to, "--timeout", "500ms", "--fallback"]);
        Self { front, backend: of_backend, _front: of_front }
    }

    pub fn experiment(&self, lasts: &str) -> String {
        format!(
            r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: {{ name: frozen-backend }}
spec:
  hypothesis: When the backend hangs, checkout loses nothing.
  signals:
    checkout: {{ http: {{ url: "http://127.0.0.1:{}/checkout", rate: 50/s, timeout: 2s }} }}
  steadyState:
    - {{ signal: checkout, errors: {{ below: 5% }} }}
  targets:
    backend: {{ hosts: {{ labels: {{ role: db }} }}, process: {{ pid: {} }} }}
  method:
    - observe: 4s
    - inject: {{ fault: {{ process-pause: {{}} }}, on: backend, for: {lasts} }}
    - observe: 2s
  recovery: {{ within: 30s }}
  seed: 7
"#,
            self.front,
            self.backend.0.id()
        )
    }
}

/// The day on which the sample shop loses its backend, by the experiment `frozen-backend`: with these who approve, the
/// alerts that are expected, and more of its specification.
pub fn shop_day(alertmanager: u16, approvers: &str, alerts: &str, more: &str) -> String {
    format!(
        r#"apiVersion: faultline.dev/v1
kind: GameDay
metadata: {{ name: shop-day }}
spec:
  title: The shop without its backend
  roles:
    incident-commander: [ada]
    owners: [grace, linus]
  approvals: {{ required: 2, of: [{approvers}] }}
  checklist:
    - {{ ask: Is nobody deploying?, of: owners }}
  alertmanager: {{ url: "http://127.0.0.1:{alertmanager}", interval: 300ms, timeout: 1s }}
  experiments:
    - experiment: frozen-backend
      hold: before
      expect:
        alerts:
{alerts}
{more}
---
"#
    )
}

/// A day with one experiment, which stops a process by its number for so long on a host with the role `db`; with more of
/// what that experiment has in the plan, and of the day's specification.
pub fn short(of_experiment: &str, of_day: &str, lasts: &str, port: u16, pid: u32) -> String {
    format!(
        "apiVersion: faultline.dev/v1\nkind: GameDay\nmetadata: {{ name: day }}\nspec:\n  title: A day\n  roles: {{ drivers: \
         [dennis], owners: [grace, linus] }}{of_day}\n  experiments:\n    - experiment: stop{of_experiment}\n---\napiVersion: \
         faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: stop }}\nspec:\n  hypothesis: Nobody notices.\n  signals:\n    port: \
         {{ tcp: {{ address: \"127.0.0.1:{port}\", rate: 50/s, timeout: 500ms }} }}\n  steadyState:\n    - {{ signal: port, errors: {{ \
         below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ labels: {{ role: db }} }}, process: {{ pid: {pid} }} }}\n  method:\n    - \
         observe: 3s\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: db, for: {lasts} }}\n    - observe: 3s\n  recovery: {{ \
         within: 30s }}\n"
    )
}

/// People, each with a token of their own.
pub struct People<'a> {
    pub fleet: &'a Fleet,
    pub tokens: Vec<(&'static str, String)>,
}

impl<'a> People<'a> {
    pub fn of(fleet: &'a Fleet, roles: &[(&'static str, &str)]) -> Self {
        let token = |(name, role): &(&'static str, &str)| {
            let made = fleet.ask(&["token", "create", name, "--role", role]);
            (*name, made["token"].as_str().unwrap().to_owned())
        };
        Self { fleet, tokens: roles.iter().map(token).collect() }
    }

    /// The command line of one of them.
    pub fn client(&self, who: &str, arguments: &[&str]) -> Command {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1;
        let mut command = self.fleet.client(arguments);
        command.env("FAULTLINE_TOKEN", token);
        command
    }

    /// What somebody does: the exit code, and what is said to it.
    pub fn does(&self, who: &str, arguments: &[&str]) -> (i32, String) {
        let output = self.client(who, arguments).output().unwrap();
        (output.status.code().unwrap(), told(&output))
    }

    pub fn may(&self, who: &str, arguments: &[&str]) -> String {
        let (code, told) = self.does(who, arguments);
        assert_eq!(code, 0, "{who}: {arguments:?}: {told}");
        told
    }

    pub fn may_not(&self, who: &str, arguments: &[&str], why: &str) {
        let (code, told) = self.does(who, arguments);
        assert!(code == 3 && told.contains(why), "{who}: {arguments:?}: {code} {told}");
    }
}

/// Who is who in the documents below.
pub const ROLES: [(&str, &str); 5] =
    [("dennis", "operator"), ("ada", "operator"), ("grace", "approver"), ("linus", "admin"), ("eve", "viewer")];

/// Follows a game day from a file, and says nothing.
pub fn begin(people: &People<'_>, document: &str, more: &[&str]) -> (Running, String) {
    let fleet = people.fleet;
    let file = fleet.path("day.yaml");
    std::fs::write(&file, document).unwrap();
    let mut command = people.client("dennis", &[&["gameday", "run", file.to_str().unwrap()], more].concat());
    let log = std::fs::File::create(fleet.path("following.log")).unwrap();
    let out = std::fs::File::create(fleet.path("sheet.out")).unwrap();
    let following = Running(command.stdout(out).stderr(log).spawn().unwrap());
    fleet.wait_for("the game day", || !fleet.ask(&["gameday", "list"])["gameDays"].as_array().unwrap().is_empty());
    let id = fleet.ask(&["gameday", "list"])["gameDays"][0]["id"].as_str().unwrap().to_owned();
    (following, id)
}

/// What whoever follows was told.
pub fn followed(fleet: &Fleet) -> String {
    std::fs::read_to_string(fleet.path("following.log")).unwrap()
}
