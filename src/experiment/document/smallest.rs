//! The smallest document of an experiment, for the tests of every room.

/// A step that fills a disk.
pub(crate) const FILL: &str = "{ inject: { fault: { disk-fill: { path: /tmp/x, bytes: 1MiB } }, for: 30s } }";

/// The text of an experiment of that name. `more` is what its `spec` has besides, in lines indented by two; `method` is what follows
/// an observation of 30 s.
pub(crate) fn smallest(name: &str, more: &str, method: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!("{more}\n") };
    format!(
        r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: {{ name: {name} }}
spec:
  hypothesis: It holds.
  signals: {{ shop: {{ http: {{ url: "http://127.0.0.1:8080/", rate: 50/s }} }} }}
  steadyState: [{{ signal: shop, errors: {{ below: 1% }} }}]
{more}  method: [{{ observe: 30s }}, {method}]
"#
    )
}
