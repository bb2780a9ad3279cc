use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{FleetPlan, PlannedInjection, PlannedTarget};

/// How many names are written out before the rest is counted.
const NAMES: usize = 12;

/// The plan as people read it.
pub fn render(plan: &FleetPlan) -> String {
    let mut text = format!("{}\n", plan.experiment);
    let _ = writeln!(text, "  plan      {}", plan.hash());
    let _ = writeln!(text, "  document  {}", plan.document);
    let _ = writeln!(text, "  seed      {}\n", plan.seed);
    for injection in &plan.injections {
        text += &self::injection(injection, plan.targets.get(&injection.target));
    }
    for (name, target) in &plan.targets {
        text += &left_out(name, target);
    }
    if !plan.ceilings.is_empty() {
        text += "\nceilings\n";
    }
    for ceiling in &plan.ceilings {
        let _ = writeln!(text, "     {ceiling}");
    }
    text += "\nWhat is met on each host is looked for there, in the moment of the injection. Nothing was touched.\n";
    text
}

fn injection(injection: &PlannedInjection, target: Option<&PlannedTarget>) -> String {
    let PlannedInjection { number, fault, parameters, lasts, target: name, hosts } = injection;
    let count = if hosts.len() == 1 { "1 host".into() } else { format!("{} hosts", hosts.len()) };
    let mut text = format!("{number}. inject {fault} on {name}, {count}, for {lasts}\n");
    let mut line = |word: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "     {word:<14} {value}");
        }
    };
    line("settings", &entries(parameters));
    let on_each = target.and_then(|target| serde_json::to_value(&target.on_each).ok()).unwrap_or_default();
    let what = entries(&on_each);
    line("on each", if what.is_empty() { "the whole host" } else { &what });
    for hosts in hosts.iter().map(String::as_str).collect::<Vec<_>>().chunks(8) {
        line("hosts", &hosts.join(", "));
    }
    text
}

/// Who was left out, those with the same reason in one line.
fn left_out(name: &str, target: &PlannedTarget) -> String {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for left in &target.left_out {
        reasons.entry(left.reason.to_string()).or_default().push(&left.host);
    }
    if reasons.is_empty() && target.not_meant == 0 {
        return String::new();
    }
    let mut text = format!("\nleft out of {name}\n");
    for (reason, hosts) in reasons {
        let mut names = hosts.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
        if hosts.len() > NAMES {
            let _ = write!(names, " and {} more", hosts.len() - NAMES);
        }
        let _ = writeln!(text, "     {names}: {reason}");
    }
    if target.not_meant > 0 {
        let _ = writeln!(text, "     {} that it does not mean", target.not_meant);
    }
    text
}

/// `delay: 100ms, peers: { ports: [5432] }`, without what is empty.
fn entries(value: &Value) -> String {
    fn flow(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
            Value::Object(_) => format!("{{ {} }}", entries(value)),
            other => other.to_string(),
        }
    }
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    let given = value.as_object().into_iter().flatten().filter(|(_, value)| !is_empty(value));
    given.map(|(key, value)| format!("{key}: {}", flow(value))).collect::<Vec<_>>().join(", ")
}
