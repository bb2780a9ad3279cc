//! What is wrong with a game day that can be told from its document alone.

mod experiments;

use std::collections::BTreeSet;

use faultline_agent::units::TimeSpan;

use super::alerts;
use super::document::{AlertSelector, Approvals, GameDay, GameDaySpec};
use crate::document::findings::Findings;
use crate::document::suggest;
use crate::document::yaml::{Path, at};
use crate::signals::reach::Reach;

/// The longest game day, and the longest that an approval is good for.
const LONGEST: TimeSpan = TimeSpan::from_secs(14 * 24 * 3600);

/// Finds everything wrong with a game day, in no certain order.
pub(crate) fn check(game_day: &GameDay, findings: &mut Findings<'_>) {
    let spec = &game_day.spec;
    findings.name(&at!["metadata", "name"], &game_day.metadata.name, "a game day's");
    if spec.title.trim().is_empty() {
        findings.error(&at!["spec", "title"], "the title is empty", "say what the day is about");
    }
    window(spec, findings);
    roles(spec, findings);
    if let Some(approvals) = &spec.approvals {
        self::approvals(approvals, spec, findings);
    }
    checklist(spec, findings);
    alertmanager(spec, findings);
    experiments::check(spec, findings);
    for (index, selector) in spec.abort.alerts.iter().enumerate() {
        self::selector(&at!["spec", "abort", "alerts", index], selector, findings);
    }
}

fn window(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    let Some(window) = spec.window else { return };
    let zone = spec.time_zone.rules();
    let path = at!["spec", "window", "until"];
    let (Some(from), Some(until)) = (window.from.instant(zone), window.until.instant(zone)) else {
        findings.error(&path, "this is beyond the end of time", "");
        return;
    };
    if until <= from {
        findings.error(&path, format!("the window ends ({until}) before it begins ({from})"), "write a later time");
    } else if until.duration_since(from).unsigned_abs() > LONGEST.duration() {
        findings.error(&path, "the window is longer than two weeks", "a game day is some hours: hold several");
    }
}

fn roles(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    for (role, people) in &spec.roles {
        let path = at!["spec", "roles", role];
        findings.name(&path, role, "a role's");
        if people.is_empty() && findings.is_whole(&path) {
            findings.error(&path, format!("nobody is {role}"), format!("name somebody: `{role}: [ada]`"));
        }
        let mut seen = BTreeSet::new();
        for (index, person) in people.iter().enumerate() {
            let path = path.join(index);
            self::person(&path, person, findings);
            if !seen.insert(person) {
                findings.error(&path, format!("`{person}` is listed twice"), "leave one out");
            }
        }
    }
}

/// A person's name is one word: it is typed at a terminal, and stands in logs.
fn person(path: &Path, person: &str, findings: &mut Findings<'_>) {
    let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@' | '+');
    if person.is_empty() || person.chars().count() > 100 || !person.chars().all(allowed) {
        findings.error(
            path,
            "a person's name is one word of letters, digits and any of `-_.@+`",
            "a login or an address would do: ada, ada@example.org",
        );
    }
}

/// Checks that a role exists.
fn role(path: &Path, role: &str, spec: &GameDaySpec, findings: &mut Findings<'_>) {
    if !spec.roles.contains_key(role) {
        findings.refers(path, role, &at!["spec", "roles"], "role");
    }
}

fn approvals(approvals: &Approvals, spec: &GameDaySpec, findings: &mut Findings<'_>) {
    let path = at!["spec", "approvals"];
    if approvals.required == 0 {
        findings.error(&path.join("required"), "nobody would have to approve", "1 or more; or leave `approvals` out");
    }
    let mut entitled = BTreeSet::new();
    for (index, of) in approvals.of.iter().enumerate() {
        if spec.roles.contains_key(of) || spec.takes_part(of) {
            entitled.extend(spec.people(of));
        } else {
            let known: Vec<&str> =
                spec.roles.iter().flat_map(|(role, people)| people.iter().chain([role])).map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "the document has no `spec.roles`".into(),
                known => suggest::hint(of, known.iter().copied()),
            };
            findings.error(&path.join("of").join(index), format!("there is no role and no person `{of}`"), hint);
        }
    }
    let enough = usize::try_from(approvals.required).is_ok_and(|required| required <= entitled.len());
    if !enough && approvals.required > 0 && findings.is_whole(&path) && findings.is_whole(&at!["spec", "roles"]) {
        let may = entitled.len();
        findings.error(
            &path.join("required"),
            format!("{} approvals are required, but only {may} may approve", approvals.required),
            "name more people in `of`; whoever asks for the approvals cannot give one",
        );
    }
    let expires = path.join("expireAfter");
    if approvals.expire_after.is_zero() {
        findings.error(&expires, "an approval would be void as soon as it is given", "24h is usual");
    } else if approvals.expire_after > LONGEST {
        findings.error(&expires, format!("`{}` is too long", approvals.expire_after), "at most two weeks");
    }
}

fn checklist(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    for (index, item) in spec.checklist.iter().enumerate() {
        let path = at!["spec", "checklist", index];
        if item.ask.trim().is_empty() {
            findings.error(&path.join("ask"), "the question is empty", "");
        }
        if let Some(of) = &item.of {
            role(&path.join("of"), of, spec, findings);
        }
    }
    let somebody_answers = !spec.checklist.is_empty() || spec.experiments.iter().any(|one| one.hold.is_some());
    if somebody_answers && spec.roles.is_empty() && findings.is_whole(&at!["spec", "roles"]) {
        findings.error(
            &at!["spec"],
            "somebody must answer, but nobody takes part",
            "name people: `roles: { incident-commander: [ada] }`",
        );
    }
}

fn alertmanager(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    let path = at!["spec", "alertmanager"];
    match &spec.alertmanager {
        Some(alertmanager) => {
            if let Err(why) = alerts::Reader::new(alertmanager, Reach::Everything) {
                findings.error(&path.join("url"), why, "give its address, such as http://127.0.0.1:9093");
            }
            findings.time(&path.join("timeout"), alertmanager.timeout);
            let interval = path.join("interval");
            if alertmanager.interval < TimeSpan::from_millis(100) {
                findings.error(&interval, "it would be asked without a pause", "at least 100ms; 5s is usual");
            } else {
                findings.time(&interval, alertmanager.interval);
            }
        }
        None if !findings.is_whole(&path) => {}
        None => {
            let hint = "give `alertmanager: { url: \"http://127.0.0.1:9093\" }`";
            for (index, experiment) in spec.experiments.iter().enumerate() {
                if !experiment.expect.alerts.is_empty() {
                    let path = at!["spec", "experiments", index, "expect", "alerts"];
                    findings.error_at_key(&path, "alerts are expected, but nobody says where they are read", hint);
                }
            }
            if !spec.abort.alerts.is_empty() {
                let path = at!["spec", "abort", "alerts"];
                findings.error_at_key(&path, "alerts abort, but nobody says where they are read", hint);
            }
        }
    }
}

/// A selector must mean something.
fn selector(path: &Path, selector: &AlertSelector, findings: &mut Findings<'_>) {
    let hint = "give `name`, or `matchers: ['severity=\"page\"']`";
    if selector.name.is_none() && selector.matchers.is_empty() && findings.is_whole(path) {
        findings.error(path, "no alert is meant", hint);
    } else if selector.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        findings.error(&path.join("name"), "an alert's name is not empty", hint);
    } else if selector.name.is_none() && selector.matchers.iter().all(|matcher| matcher.matches("")) {
        findings.warn(path, "this means every alert without these labels too", hint);
    }
}

#[cfg(test)]
mod tests;
