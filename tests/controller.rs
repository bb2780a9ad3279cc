//! The command line as a client: the program against the API of a controller, over TLS.

#![allow(clippy::unwrap_used, reason = "helpers of tests count as no tests to clippy")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use faultline::access::{Principal, Role, Scope};
use faultline::authority::{Authority, Revocations};
use faultline::console::router;
use faultline::controller::{Controller, Parts, Settings};
use faultline::dispatch::Running;
use faultline::fleet::registry::Registry;
use faultline::fleet::remote::RemoteAgent;
use faultline::serve::api_port;
use faultline::store::{Store, StoreAddress};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A controller without hosts, and a token of an admin.
struct Served {
    url: String,
    ca: std::path::PathBuf,
    token: String,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (url, token) = runtime.block_on(serve(folder.path()));
    Served { url, ca: folder.path().join("ca.pem"), token, folder, _runtime: runtime }
}

async fn serve(folder: &Path) -> (String, String) {
    let store = Store::open(&StoreAddress::in_folder(folder)).await.unwrap();
    let names = ["127.0.0.1".to_owned()];
    let authority = Authority::create(&Authority::folder(folder), &names, jiff::Timestamp::now()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.trust_bundle()).unwrap();
    let registry = Arc::new(Registry::default());
    let hosts = Arc::clone(&registry);
    let controller = Arc::new(Controller::new(Parts {
        id: "a".into(),
        store: Arc::new(store),
        registry,
        agents: Arc::new(move |host| Arc::new(RemoteAgent::new(Arc::clone(&hosts), host))),
        authority: Arc::new(authority),
        revocations: Revocations::default(),
        running: Running::default(),
        settings: Settings::default(),
        data: folder.to_owned(),
        stopping: Default::default(),
    }));
    let root = Principal { name: "root".into(), role: Role::Admin, scope: Scope::everything() };
    let token = controller.create_api_token(&root, "ann", "admin", "*", None).await.unwrap().token;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let tls = api_port::tls(controller.authority()).unwrap();
    tokio::spawn(api_port::serve(listener, tls, router(&controller), CancellationToken::new()));
    (url, token)
}

impl Served {
    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("faultline"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("FAULTLINE_STATE", self.folder.path().join("state"))
            .env("FAULTLINE_CONTROLLER", &self.url)
            .env("FAULTLINE_CA", &self.ca)
            .env("FAULTLINE_TOKEN", &self.token)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let (code, out, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }
}

const EXPERIMENT: &str = r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: slow }
spec:
  hypothesis: It holds.
  signals: { shop: { http: { url: "http://127.0.0.1:9/", rate: 50/s } } }
  steadyState: [{ signal: shop, latency: { quantile: 0.99, below: 300ms } }]
  targets: { db: { hosts: { labels: { role: db } } } }
  method:
    - observe: 30s
    - inject: { fault: { network-latency: { delay: 100ms } }, on: db, for: 2m }
"#;

#[test]
fn tokens_agents_schedules_halt_and_audit_by_the_command_line() {
    let served = served();
    let made = served.json(&["token", "create", "ci", "--role", "viewer", "--scope", "team=payments"]);
    let listed = served.ok(&["token", "list"]);
    assert!(listed.contains("ci") && listed.contains("team=payments"), "{listed}");
    let id = made["id"].as_str().unwrap();
    assert!(served.ok(&["token", "revoke", id]).contains("is taken back"));

    assert!(served.ok(&["agents", "list"]).contains("no agents yet"));
    assert_eq!(served.json(&["agents", "list"])["agents"], serde_json::json!([]));
    let token = served.ok(&["agents", "token", "--label", "role=db", "--uses", "3"]);
    assert!(token.starts_with("flt1."), "{token}");
    let tokens = served.json(&["agents", "tokens"]);
    assert_eq!(tokens["tokens"][0]["usesLeft"], 3);
    served.ok(&["agents", "revoke-token", tokens["tokens"][0]["id"].as_str().unwrap()]);
    assert!(served.ok(&["agents", "tokens"]).contains("revoked"));
    let (code, _, error) = served.run(&["agents", "show", "db-1"]);
    assert!(code == 3 && error.contains("there is no agent `db-1`"), "{error}");

    let schedule = "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: { name: nightly }\nspec: { experiment: slow, cron: \"0 3 * * *\" }\n";
    std::fs::write(served.folder.path().join("s.yaml"), format!("{schedule}---\n{EXPERIMENT}")).unwrap();
    assert!(served.ok(&["schedule", "apply", "s.yaml"]).starts_with("schedule nightly is kept (version 1); next: 20"));
    let later = schedule.replace("0 3 * * *", "0 4 * * *");
    std::fs::write(served.folder.path().join("s.yaml"), format!("{later}---\n{EXPERIMENT}")).unwrap();
    assert!(served.ok(&["schedule", "apply", "s.yaml"]).contains("changed (version 2)"));
    assert!(served.ok(&["schedule", "suspend", "nightly"]).contains("rests; next: suspended"));
    assert!(served.ok(&["schedule", "show", "nightly"]).contains("  suspended\n"));
    assert!(served.ok(&["schedule", "resume", "nightly"]).contains("04:00:00Z"));
    assert!(served.ok(&["schedule", "list"]).contains("nightly"));
    served.ok(&["schedule", "delete", "nightly"]);
    assert!(served.ok(&["schedule", "list"]).contains("no schedules"));

    assert!(
        served.ok(&["halt", "--reason", "a leak", "--controller", &served.url]).contains("is halted by ann: a leak")
    );
    assert!(served.ok(&["halt", "--release", "--controller", &served.url]).contains("it was halted by ann: a leak"));

    let head = served.ok(&["audit", "verify"]);
    assert!(served.ok(&["audit", "verify", "--head", head.trim()]).contains(':'));
    let (code, _, error) = served.run(&["audit", "verify", "--head", &format!("1:{}", "0".repeat(64))]);
    assert!(code == 3 && error.contains("tampered with at record 1"), "{error}");
    let log = served.ok(&["audit", "list", "--actor", "token/ann"]);
    for action in ["make-token", "revoke-token", "enrol-host", "schedule", "halt", "release-halt", "see-audit"] {
        assert!(log.contains(action), "{action} is not in\n{log}");
    }
}

#[test]
fn a_run_that_no_host_can_do_is_refused_with_the_exit_code_of_a_precondition() {
    let served = served();
    let file = served.folder.path().join("e.yaml");
    std::fs::write(&file, EXPERIMENT).unwrap();
    for verb in ["run", "plan"] {
        let (code, out, error) = served.run(&[verb, "e.yaml", "--controller", &served.url]);
        assert!(code == 3 && out.is_empty() && error.contains("target `db`: 0 of the hosts"), "{verb}: {error}");
    }
    std::fs::write(&file, EXPERIMENT.replace("100ms", "lots")).unwrap();
    assert_eq!(served.run(&["run", "e.yaml", "--controller", &served.url]).0, 2);
    assert!(served.ok(&["runs", "list"]).contains("no runs"));
    let (code, _, error) = served.run(&["runs", "show", "nothing"]);
    assert!(code == 3 && error.contains("there is no run `nothing`"), "{error}");
    let (code, _, error) = served.run(&["runs", "list", "--states", "asleep"]);
    assert!(code == 2 && error.contains("`asleep` is no state of a run"), "{error}");
}
