//! A game day for tests.

use std::sync::LazyLock;

use crate::document::Document;
use crate::document::load;
use crate::experiment::document::Experiment;

use super::document::GameDay;
use super::hash::PlanHash;
use super::machine::{Identity, Opened, ResolvedExperiment};

/// Two experiments, two of three approvals, two questions, a hold before the second, and a window of two hours.
pub(crate) const GAME_DAY: &str = r#"
apiVersion: faultline.dev/v1
kind: GameDay
metadata: { name: shop-day, labels: { team: payments } }
spec:
  title: The shop without its backend
  purpose: To see whether we notice before customers do.
  window: { from: "2026-12-01T10:00", until: "2026-12-01T12:00" }
  timeZone: Europe/Berlin
  roles:
    incident-commander: [ada]
    driver: [dennis]
    owners: [grace, linus, dennis]
    observers: [margaret]
  approvals: { required: 2, of: [owners], expireAfter: 24h }
  checklist:
    - { ask: Is nobody deploying?, of: incident-commander }
    - { ask: Is support told?, of: incident-commander, required: false }
  alertmanager: { url: "http://127.0.0.1:9093", interval: 5s }
  experiments:
    - experiment: slow-backend
      expect:
        alerts:
          - { name: CheckoutSlow, within: 1m, resolvedWithin: 5m }
          - { name: BackendDown, within: 1m }
        notes: The dashboard turns red.
    - experiment: frozen-backend
      hold: both
      expect: { alerts: [ { name: BackendDown, matchers: ['severity="page"'], within: 2m } ] }
  abort:
    verdicts: [aborted]
    alerts: [ { name: CustomersHurt } ]
    conditions: [A customer calls.]
"#;

pub(crate) fn game_day() -> GameDay {
    match load::from_text("day.yaml", GAME_DAY, &[]).unwrap().remove(0).document {
        Document::GameDay(game_day) => *game_day,
        other => panic!("{:?}", other.kind()),
    }
}

pub(crate) fn experiment(name: &str) -> Experiment {
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: {name} }}\nspec:\n  hypothesis: Nobody \
         notices.\n  signals: {{ shop: {{ http: {{ url: \"http://127.0.0.1:8080/\", rate: 50/s }} }} }}\n  steadyState: \
         [ {{ signal: shop, errors: {{ below: 5% }} }} ]\n  method: [ {{ observe: 30s }}, {{ inject: {{ fault: {{ \
         network-latency: {{ delay: 100ms }} }}, for: 60s }} }} ]\n"
    );
    load::from_text("experiment.yaml", &text, &[]).unwrap().remove(0).experiment().unwrap().document
}

/// Reading the documents takes far longer than anything that is done with them: it is done once.
static OPENED: LazyLock<Opened> = LazyLock::new(|| {
    let game_day = game_day();
    let experiments: Vec<ResolvedExperiment> = game_day
        .spec
        .experiments
        .iter()
        .map(|planned| {
            let experiment = experiment(planned.name());
            // Not the real ones: those change with every new setting of an experiment.
            let hash = PlanHash::given(format!("sha256:{:064}", planned.name().len()));
            ResolvedExperiment { name: planned.name().into(), experiment, seed: 7, hash }
        })
        .collect();
    Opened {
        id: "20261201T100000-aaaaaa".into(),
        version: "1.2.3".into(),
        place: "web-1, Linux 6.18".into(),
        file: "day.yaml".into(),
        hash: PlanHash::given(format!("sha256:c2c5930ea0bb{:052}", 0)),
        game_day,
        experiments,
        identity: Identity::Typed,
    }
});

pub(crate) fn opened() -> Opened {
    OPENED.clone()
}
