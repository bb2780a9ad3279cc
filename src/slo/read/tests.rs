//! Reduced from the published examples of OpenSLO, Sloth and Pyrra.

use super::*;

/// Each SLO of a file in a line, or what is wrong with it.
fn told(text: &str) -> String {
    let found = match read(text) {
        Ok(found) => found,
        Err(wrong) => return format!("{wrong}; hint: {}", wrong.hint.clone().unwrap_or_default()),
    };
    let lines = found.into_iter().map(|found| match found.slo {
        Ok(slo) => format!(
            "{} of {}: {} over {}{}: {} | {}",
            found.name,
            slo.service,
            slo.target,
            slo.window,
            slo.calendar
                .map_or_else(String::new, |calendar| format!(" (each {} from {})", calendar.every, calendar.start)),
            slo.bad,
            slo.total
        ),
        Err(wrong) => {
            format!("{}: {}:{wrong}; hint: {}", found.name, line(text, &wrong), wrong.hint.clone().unwrap_or_default())
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn line(text: &str, wrong: &Diagnostic) -> usize {
    text[..wrong.place.start].lines().count()
}

const OPENSLO: &str = r#"
apiVersion: openslo/v1
kind: DataSource
metadata: { name: metrics }
spec: { type: Prometheus, connectionDetails: { url: "http://prometheus:9090" } }
---
apiVersion: openslo/v1
kind: SLI
metadata: { name: good-orders }
spec:
  ratioMetric:
    counter: true
    good:
      metricSource: { metricSourceRef: metrics, spec: { query: 'sum(orders_total{code!~"5.."})' } }
    total:
      metricSource: { metricSourceRef: metrics, spec: { query: sum(orders_total) } }
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: checkout-availability, displayName: Checkout is available }
spec:
  service: checkout
  indicatorRef: good-orders
  timeWindow: [ { duration: 28d, isRolling: true } ]
  budgetingMethod: Occurrences
  objectives: [ { displayName: Good, target: 0.999 } ]
  alertPolicies: [ page ]
"#;

#[test]
fn openslo_with_references_between_its_objects() {
    insta::assert_snapshot!(told(OPENSLO), @r#"checkout-availability of checkout: 99.9% over 28d: sum(orders_total) - sum(orders_total{code!~"5.."}) | sum(orders_total)"#);
    let found = read(OPENSLO).unwrap();
    assert_eq!(found[0].prometheus.as_deref(), Some("http://prometheus:9090"));
    assert!(found[0].warnings[0].message.contains("alert policies"));
}

#[test]
fn openslo_inline_with_a_calendar_and_several_objectives() {
    let text = r#"
apiVersion: openslo/v1
kind: SLO
metadata: { name: web }
spec:
  service: web
  indicator:
    metadata: { name: web }
    spec:
      ratioMetric:
        bad: { metricSource: { type: Prometheus, spec: { query: 'sum(rate(http_total{code=~"5.."}[5m]))' } } }
        total: { metricSource: { type: prometheus, spec: { query: 'sum(rate(http_total[5m]))' } } }
  timeWindow:
    - { duration: 1M, isRolling: false, calendar: { startTime: 2022-01-01 12:00:00, timeZone: America/New_York } }
  budgetingMethod: Occurrences
  objectives:
    - { displayName: Internal, target: 0.995 }
    - { displayName: SLA, targetPercent: 99 }
"#;
    insta::assert_snapshot!(told(text), @r#"
    web of web: 99.5% over 30d (each 1M from 2022-01-01 12:00:00): sum(http_total{code=~"5.."}) | sum(http_total)
    web of web: 99% over 30d (each 1M from 2022-01-01 12:00:00): sum(http_total{code=~"5.."}) | sum(http_total)
    "#);
}

#[test]
fn what_openslo_can_say_and_this_cannot_judge_is_refused_with_its_line() {
    let changed = |from: &str, to: &str| {
        assert!(OPENSLO.contains(from), "{from}");
        told(&OPENSLO.replacen(from, to, 1))
    };
    let told = [
        changed("Occurrences", "Timeslices"),
        changed("Occurrences", "RatioTimeslices"),
        changed("type: Prometheus", "type: Datadog"),
        changed("target: 0.999", "target: 99.9"),
        changed("indicatorRef: good-orders", "indicatorRef: orders"),
        changed("ratioMetric:", "thresholdMetric:"),
        changed("sum(orders_total) }", "avg(orders_total) }"),
        changed("isRolling: true", "isRolling: false"),
        changed("28d", "fortnight"),
        changed("{ displayName: Good, target: 0.999 }", "{ compositeWeight: 1, indicatorRef: a }"),
        changed("kind: SLI", "kind: Indicator"),
        changed("openslo/v1", "openslo/v1alpha"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    checkout-availability: 25:spec.budgetingMethod: a budget by `Timeslices` counts stretches of time, not events; hint: a run is judged by events: write an SLO with `budgetingMethod: Occurrences` for it
    checkout-availability: 25:spec.budgetingMethod: a budget by `RatioTimeslices` counts stretches of time, not events; hint: a run is judged by events: write an SLO with `budgetingMethod: Occurrences` for it
    checkout-availability: 5:spec.type: a source of type `Datadog` cannot be asked; hint: Prometheus, and what answers its queries, is read
    checkout-availability: 26:spec.objectives[0].target: a target of 9990% leaves nothing to judge; hint: 99.9% is a usual one
    checkout-availability: 23:spec.indicatorRef: there is no SLI `orders` in this file; hint: SLIs are looked for in the same file, as documents of their own between `---`
    checkout-availability: 11:spec.thresholdMetric: a threshold metric has a number, no events to count; hint: bound it in the experiment: a signal `prometheus: { url: …, value: QUERY }` and `value: { below: … }`
    checkout-availability: 16:spec.ratioMetric.total.metricSource.spec.query: this query cannot be counted by: `avg` does not keep count of events; hint: counters are written with metrics, `rate`, `irate`, `increase`, `sum`, `+`, `-` and `or vector(0)`
    checkout-availability: 24:spec.timeWindow[0]: a window is rolling, or has a calendar; hint: write `isRolling: true`
    checkout-availability: 24:spec.timeWindow[0].duration: `fortnight` is no window; hint: as in `30d` or `4w`, up to 366 days
    checkout-availability: 26:spec.objectives[0].indicatorRef: composite SLOs are not read; hint: refer to the SLOs that it is made of
    kind: OpenSLO v1 has no `Indicator`; hint: it has SLO, SLI, Service, DataSource, AlertPolicy, AlertCondition, AlertNotificationTarget
    apiVersion: this version of OpenSLO is not read: `openslo/v1alpha`; hint: `openslo/v1` is read: write the SLO in that version
    ");
}

const SLOTH: &str = r#"
version: prometheus/v1
service: myservice
labels: { owner: myteam }
slos:
  - name: requests-availability
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(http_count{job="myservice",code=~"(5..|429)"}[{{.window}}]))
        total_query: sum(rate(http_count{job="myservice"}[{{.window}}]))
    alerting: { page_alert: { disable: true }, ticket_alert: { disable: true } }
  - name: satisfaction
    objective: 95
    sli:
      raw:
        error_ratio_query: |
          1 - (
            sum(sum_over_time(satisfaction_ratio[{{.window}}]))
            /
            sum(count_over_time(satisfaction_ratio[{{.window}}]))
          )
  - name: by-a-plugin
    objective: 99
    sli: { plugin: { id: "sloth-common/http" } }
"#;

#[test]
fn sloth() {
    insta::assert_snapshot!(told(SLOTH), @r#"
    requests-availability of myservice: 99.9% over 30d: sum(http_count{job="myservice",code=~"(5..|429)"}) | sum(http_count{job="myservice"})
    satisfaction: 18:slos[1].sli.raw."error_ratio_query": this query cannot be counted by: `sum_over_time` does not keep count of events; hint: counters are written with metrics, `rate`, `irate`, `increase`, `sum`, `+`, `-` and `or vector(0)`
    by-a-plugin: 25:slos[2].sli.plugin: a plugin makes the queries, and only Sloth can run it; hint: name the file that `sloth generate` makes of this one instead
    "#);
    let kubernetes = r#"
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: { name: x }
spec:
  service: myservice
  slos:
    - name: a
      objective: 99.9
      sli: { raw: { errorRatioQuery: "sum(rate(bad[{{.window}}])) / sum(rate(all[{{.window}}]))" } }
"#;
    insta::assert_snapshot!(told(kubernetes), @"a of myservice: 99.9% over 30d: sum(bad) | sum(all)");
    insta::assert_snapshot!(told("version: prometheus/v2\nservice: a\nslos: []"), @"version: this version of Sloth's specification is not known; hint: `prometheus/v1` is read");
}

#[test]
fn the_rules_that_sloth_generates() {
    let text = r#"
groups:
- name: sloth-slo-sli-recordings-myservice-requests-availability
  rules:
  - record: slo:sli_error:ratio_rate5m
    expr: |
      (sum(rate(http_count{code=~"(5..|429)"}[5m])))
      /
      (sum(rate(http_count[5m])))
    labels: &labels { sloth_id: myservice-requests, sloth_service: myservice, sloth_slo: requests, sloth_window: 5m }
  - record: slo:sli_error:ratio_rate30d
    expr: |
      sum_over_time(slo:sli_error:ratio_rate5m{sloth_id="myservice-requests"}[30d])
      / ignoring (sloth_window)
      count_over_time(slo:sli_error:ratio_rate5m{sloth_id="myservice-requests"}[30d])
    labels: *labels
- name: sloth-slo-meta-recordings-myservice-requests-availability
  rules:
  - { record: "slo:objective:ratio", expr: vector(0.9990000000000001), labels: *labels }
  - { record: "slo:error_budget:ratio", expr: vector(1-0.9990000000000001), labels: *labels }
  - { record: "slo:time_period:days", expr: vector(30), labels: *labels }
"#;
    insta::assert_snapshot!(told(text), @r#"requests of myservice: 99.9% over 30d: (sum(http_count{code=~"(5..|429)"})) | (sum(http_count))"#);
    insta::assert_snapshot!(told(&text.replace("slo:time_period:days", "other")), @"requests: 7:groups[0].rules[0].expr: this SLO has no rule `slo:time_period:days`; hint: name the whole file that `sloth generate` makes, with the recordings and the meta recordings");
}

#[test]
fn pyrra_and_the_rules_that_it_generates() {
    let object = r#"
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: { name: operator-http-errors, labels: { role: alert-rules } }
spec:
  target: "99.5"
  window: 2w
  indicator:
    ratio:
      errors: { metric: 'http_requests_total{job="operator",code=~"5.."}' }
      total: { metric: 'http_requests_total{job="operator"}' }
"#;
    insta::assert_snapshot!(told(object), @r#"operator-http-errors of operator-http-errors: 99.5% over 14d: sum(http_requests_total{job="operator",code=~"5.."}) | sum(http_requests_total{job="operator"})"#);
    let latency = object.replace("ratio:", "latency:").replace("errors:", "success:");
    insta::assert_snapshot!(told(&latency), @r#"operator-http-errors of operator-http-errors: 99.5% over 14d: sum(http_requests_total{job="operator"}) - sum(http_requests_total{job="operator",code=~"5.."}) | sum(http_requests_total{job="operator"})"#);
    insta::assert_snapshot!(told(&object.replace("ratio:", "bool_gauge:")), @"operator-http-errors: 8:spec.indicator: `bool_gauge` has no two counters of events; hint: `ratio` and `latency` are read; others can be bounded as a `value` of a Prometheus signal");
    let rules = r#"
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: { name: http-errors }
spec:
  groups:
  - name: http-errors-increase
    rules:
    - record: http_requests:increase4w
      expr: sum by (code) (increase(http_requests_total{job="api"}[4w]))
      labels: { job: api, slo: http-errors }
  - name: http-errors
    rules:
    - record: http_requests:burnrate5m
      expr: sum(rate(http_requests_total{code=~"5..",job="api"}[5m])) / sum(rate(http_requests_total{job="api"}[5m]))
      labels: { job: api, slo: http-errors }
    - alert: ErrorBudgetBurn
      expr: http_requests:burnrate5m{slo="http-errors"} > (14 * (1-0.99)) and http_requests:burnrate1h{slo="http-errors"} > (14 * (1-0.99))
      labels: { severity: critical, slo: http-errors }
"#;
    insta::assert_snapshot!(told(rules), @r#"http-errors of http-errors: 99% over 28d: sum(http_requests_total{code=~"5..",job="api"}) | sum(http_requests_total{job="api"})"#);
}

#[test]
fn what_is_no_slo_is_told_so() {
    insta::assert_snapshot!(told("apiVersion: v1\nkind: Pod"), @"this is no SLO of a dialect that is known; hint: OpenSLO v1, Sloth (prometheus/v1), Pyrra and the Prometheus rules that Sloth and Pyrra generate are read");
    insta::assert_snapshot!(told("groups: []"), @"there is no SLO in this file; hint: OpenSLO v1, Sloth (prometheus/v1), Pyrra and the Prometheus rules that Sloth and Pyrra generate are read");
    insta::assert_snapshot!(told("a: [ b"), @"this is not YAML: unclosed bracket '['; hint:");
}
