use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::notify::format::tests::one_of_each;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("ops.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600);
        folder.write("pager.key", "R0123456789ABCDEF0123456789ABCDEF\n", 0o640);
        folder.write("slack.url", "https://hooks.slack.com/services/T0/B0/secretsecret\n", 0o600);
        folder
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Loaded<Settings>, String> {
        let folder = self.0.path().to_owned();
        Settings::from_text("notifications.yaml", text, folder)
            .map_err(|error| error.render(false).replace(&self.0.path().display().to_string(), "DATA"))
    }
}

const GOOD: &str = r#"
source: https://faultline.example.com
endpoints:
  - { name: events, format: cloud-events, url: "http://broker.internal:8080/in" }
  - { name: ops, format: webhook, url: "https://ops.example.com/hook", secretFile: ops.secret }
  - { name: pager, format: pagerduty, secretFile: pager.key, giveUpAfter: 48h }
  - name: channel
    format: slack
    urlFile: slack.url
    events: [run.finished, "guardrail.*", "halt.*"]
    labels: { team: search }
  - { name: graphs, format: grafana, url: "https://grafana.example.com/", secretFile: pager.key, timeout: 5s }
"#;

#[test]
fn a_good_file_says_who_is_told_of_what_and_shows_no_secret() {
    let loaded = Folder::new().load(GOOD).unwrap();
    assert_eq!(loaded.warnings, []);
    insta::assert_debug_snapshot!(loaded.document);
    let graphs = &loaded.document.endpoints[4];
    assert_eq!(graphs.target.path, "/api/annotations");
    let pager = &loaded.document.endpoints[2];
    assert_eq!(format!("{:?}", pager.target), "https://events.pagerduty.com:443/v2/enqueue");
    assert_eq!(pager.rule.give_up_after.as_secs(), 48 * 3600);
}

#[test]
fn filters_choose_by_event_and_label_but_nobody_misses_a_halt() {
    let settings = Folder::new().load(GOOD).unwrap().document;
    let told = |name: &str| {
        let endpoint = settings.endpoints.iter().find(|endpoint| endpoint.name == name).unwrap();
        one_of_each().iter().filter(|one| endpoint.wants(one)).map(|one| one.what.name()).collect::<Vec<_>>()
    };
    assert_eq!(told("events").len(), crate::notify::occurrence::EVENTS.len());
    // The labels of the others are `team: payments`.
    assert_eq!(told("channel"), ["halt.set", "halt.released"]);
    assert_eq!(
        told("graphs"),
        ["fault.undone", "halt.released", "game-day.decided", "game-day.finished", "game-day.aborted"]
    );
    let text = GOOD.replace("team: search", "team: payments");
    let channel = &Folder::new().load(&text).unwrap().document.endpoints[3];
    let told: Vec<_> = one_of_each().iter().filter(|one| channel.wants(one)).map(|one| one.what.name()).collect();
    assert_eq!(told, ["guardrail.breached", "run.finished", "halt.set", "halt.released"]);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line() {
    let folder = Folder::new();
    folder.write("open.key", "abc\n", 0o644);
    folder.write("two.key", "abc def\n", 0o600);
    folder.write("short.secret", "whsec_QUJD\n", 0o600);
    folder.write("bad.url", "hooks.slack.com/secretsecret\n", 0o600);
    let wrong = folder.load(
        r#"
source: ""
endpoints:
  - { name: Ops, format: webhook, url: "https://ops.example.com/hook" }
  - { name: a, format: webhook, url: "ftp://ops.example.com/", secretFile: short.secret }
  - { name: a, format: cloud-events, url: "http://x/", events: [run.finishd], timeout: 10ms, queue: 1 }
  - { name: b, format: grafana, url: "http://grafana:3000", secretFile: open.key }
  - { name: c, format: pagerduty, secretFile: two.key, giveUpAfter: 1s }
  - { name: d, format: slack, urlFile: bad.url }
  - { name: e, format: slack, url: "https://x/", urlFile: bad.url, secretFile: two.key }
  - { name: f, format: cloud-events }
"#,
    );
    insta::assert_snapshot!(wrong.unwrap_err());
}

#[test]
fn what_is_no_setting_is_told_too() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.load("source: a\nendpoint: []\n").unwrap_err());
    insta::assert_snapshot!(folder.load("").unwrap_err());
    insta::assert_snapshot!(
        folder.load("source: a\nendpoints: [{ name: a, format: teams, url: 'https://x/' }]\n").unwrap_err()
    );
}

#[test]
fn plain_http_with_a_secret_is_for_this_host_or_for_who_says_so() {
    let folder = Folder::new();
    let load = |url: &str, more: &str| {
        let text = format!(
            "source: a\nendpoints: [{{ name: g, format: grafana, url: '{url}', secretFile: pager.key{more} }}]\n"
        );
        folder.load(&text).is_ok()
    };
    assert!(load("https://grafana", ""));
    assert!(!load("http://grafana:3000", ""));
    assert!(load("http://grafana:3000", ", plainHttp: true"));
    for here in ["http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost:3000"] {
        assert!(load(here, ""), "{here}");
    }
}

#[test]
fn a_folder_without_the_file_tells_nobody() {
    let folder = Folder::new();
    assert_eq!(Settings::of_folder(folder.0.path()).unwrap().document.endpoints.len(), 0);
    folder.write(FILE, GOOD, 0o600);
    assert_eq!(Settings::of_folder(folder.0.path()).unwrap().document.endpoints.len(), 5);
    folder.write(FILE, "source: [", 0o600);
    assert!(Settings::of_folder(folder.0.path()).is_err());
}
