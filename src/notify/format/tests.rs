//! Whole bodies of each format, and what must be true of all.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::game_day::machine::Answer;
use crate::hypothesis::verdict::RunVerdict;
use crate::notify::occurrence::{
    EVENTS, FaultSubject, GameDaySubject, Importance, RunSubject, StepState, StoppedBy, What,
};

const SOURCE: &str = "https://faultline.example.com";
const ALL: [Format; 5] = [Format::CloudEvents, Format::Webhook, Format::Slack, Format::Pagerduty, Format::Grafana];

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

fn run() -> RunSubject {
    let hosts = vec!["db-1.example.com".into(), "db-2.example.com".into()];
    RunSubject { id: "01JD7".into(), experiment: "checkout-survives-a-slow-database".into(), hosts }
}

fn fault() -> FaultSubject {
    FaultSubject {
        id: "01JD7-0".into(),
        name: "network-latency".into(),
        host: "db-1.example.com".into(),
        dose: "delay 100ms on port 5432".into(),
    }
}

fn labelled(what: What) -> Occurrence {
    let labels = BTreeMap::from([("team".to_owned(), "payments".to_owned())]);
    Occurrence::new(at("10:03:30"), labels, what)
}

fn finished(verdict: RunVerdict, stopped_by: Option<StoppedBy>) -> Occurrence {
    let because = "checkout: p99 latency below 300ms: p99 412 ms".to_owned();
    labelled(What::RunFinished { run: run(), verdict, because, started_at: at("10:00:00"), stopped_by })
}

fn stuck() -> What {
    What::FaultStuck {
        run: Some(run()),
        fault: fault(),
        because: "eth0 is gone".into(),
        command: "tc qdisc del dev eth0 root".into(),
    }
}

/// One of each event.
pub(in crate::notify) fn one_of_each() -> Vec<Occurrence> {
    let by = || "ada".to_owned();
    let whats = [
        What::RunQueued { run: run(), requested_by: by() },
        What::RunWaitingForApproval {
            run: run(),
            requested_by: by(),
            plan_hash: "sha256:5f1c".into(),
            approvals_needed: 2,
            deadline: Some(at("12:00:00")),
        },
        What::RunCancelled { run: run(), because: "everything was halted".into() },
        What::RunStarted { run: run(), requested_by: by(), hypothesis: "It stays fast.".into() },
        What::FaultInjected { run: run(), fault: fault() },
        What::GuardrailBreached {
            run: run(),
            guardrail: "checkout: errors below 5%".into(),
            because: "9.1% of 320".into(),
        },
        What::FaultUndone { run: run(), fault: fault(), since: at("10:01:00") },
        stuck(),
        What::CleanupNotVerified { run: run(), hosts: vec!["db-2".into()], because: "its agent is gone".into() },
        What::CleanedUp { run: run(), because: "the agent of db-2 came back with nothing active".into() },
        finished(RunVerdict::Violated, None).what,
        What::HaltSet { by: by(), reason: "real incident".into(), stopped: 2, cancelled: 5 },
        What::HaltReleased { by: by(), since: at("10:00:00"), reason: "real incident".into() },
        What::AgentVanished { host: "db-1.example.com".into(), last_seen: at("10:03:00"), active_faults: 1 },
        What::AgentReturned { host: "db-1.example.com".into(), last_seen: at("10:03:00") },
        What::ScheduleMissed { schedule: "nightly".into(), slot: at("02:30:00"), because: "halted".into() },
    ];
    whats.into_iter().chain(of_a_game_day()).map(labelled).collect()
}

/// One of each event of a game day.
fn of_a_game_day() -> [What; 8] {
    let game_day = GameDaySubject { id: "gd1".into(), name: "q4".into(), title: "Q4 failover".into() };
    let (of, since) = (vec!["owners".to_owned()], Some(at("10:00:00")));
    [
        What::GameDaySubmitted { game_day: game_day.clone(), requested_by: "dennis".into() },
        What::GameDayWaitingForApproval {
            game_day: game_day.clone(),
            plan_hash: "sha256:5f1c".into(),
            approvals_missing: 2,
            of: of.clone(),
            deadline: Some(at("16:00:00")),
        },
        What::GameDayHold {
            game_day: game_day.clone(),
            asks: "before-1".into(),
            ask: "Before cut-the-primary".into(),
            of,
        },
        What::GameDayDecided {
            game_day: game_day.clone(),
            asked: "before-1".into(),
            by: "ada".into(),
            answer: Answer::Go,
            remark: Some("replication is caught up".into()),
            since,
        },
        What::GameDayStarted { game_day: game_day.clone() },
        What::GameDayStep {
            game_day: game_day.clone(),
            step: "cut-the-primary".into(),
            state: StepState::Failed,
            note: Some("violated: orders were lost".into()),
        },
        What::GameDayFinished { game_day: game_day.clone(), summary: "cut-the-primary: violated".into(), since },
        What::GameDayAborted { game_day, because: "no-go by ada at the hold".into(), since },
    ]
}

fn body(format: Format, occurrence: &Occurrence) -> Option<Value> {
    format.render(occurrence, SOURCE, "KEY").map(|rendered| rendered.body)
}

fn pretty(body: Option<Value>) -> String {
    serde_json::to_string_pretty(&body.unwrap()).unwrap()
}

#[test]
fn every_event_has_a_name_an_id_of_its_own_and_comes_back_from_json() {
    let all = one_of_each();
    let names: Vec<&str> = all.iter().map(|one| one.what.name()).collect();
    assert_eq!(names, EVENTS);
    let ids: BTreeSet<&str> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    for one in &all {
        let text = serde_json::to_value(one).unwrap();
        assert_eq!(text["what"]["event"], one.what.name());
        assert_eq!(serde_json::from_value::<Occurrence>(text).unwrap(), *one);
        assert!(one.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/%".contains(&byte)), "{}", one.id);
    }
}

#[test]
fn an_id_tells_what_happened_to_whom_and_never_changes() {
    let ids: Vec<String> = one_of_each().into_iter().map(|one| one.id).collect();
    insta::assert_snapshot!(ids.join("\n"));
}

#[test]
fn the_same_told_later_has_the_same_id_and_another_host_another() {
    let fault_on =
        |host: &str| What::FaultInjected { run: run(), fault: FaultSubject { host: host.into(), ..fault() } };
    let id = |second, what| Occurrence::new(Timestamp::from_second(second).unwrap(), BTreeMap::new(), what).id;
    assert_eq!(id(1, fault_on("a.b")), id(2, fault_on("a.b")));
    assert_ne!(id(1, fault_on("a.b")), id(1, fault_on("a-b")));
    assert_ne!(id(1, fault_on("a/b")), id(1, fault_on("a%2Fb")));
}

/// CloudEvents 1.0.2, section "Context Attributes", and the JSON format.
#[test]
fn every_cloud_event_has_what_the_specification_requires() {
    let (mut seen, types) = (BTreeSet::new(), EVENTS.iter().map(|name| format!("dev.faultline.{name}.v1")));
    for (one, expected) in one_of_each().iter().zip(types) {
        let rendered = Format::CloudEvents.render(one, SOURCE, "").unwrap();
        assert_eq!(rendered.content_type, "application/cloudevents+json; charset=utf-8");
        let event = rendered.body.as_object().unwrap();
        for required in ["specversion", "id", "source", "type"] {
            assert!(event[required].as_str().is_some_and(|text| !text.is_empty()), "{required}");
        }
        assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!(expected)));
        assert!(event["source"].as_str().unwrap().parse::<http::Uri>().is_ok());
        assert!(event["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!(event["datacontenttype"], "application/json");
        assert!(event["data"].is_object() && !event.contains_key("data_base64"));
        for name in event.keys() {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
        }
        assert!(seen.insert((event["source"].to_string(), event["id"].to_string())), "source and id are unique");
    }
}

#[test]
fn a_cloud_event_in_full() {
    insta::assert_snapshot!(pretty(body(Format::CloudEvents, &finished(RunVerdict::Violated, None))));
}

#[test]
fn a_webhook_in_full() {
    insta::assert_snapshot!(pretty(body(Format::Webhook, &labelled(stuck()))));
}

#[test]
fn a_message_of_slack_in_full() {
    insta::assert_snapshot!(pretty(body(Format::Slack, &finished(RunVerdict::CleanupUnverified, None))));
}

#[test]
fn an_alert_of_pagerduty_in_full() {
    insta::assert_snapshot!(pretty(body(Format::Pagerduty, &labelled(stuck()))));
}

#[test]
fn an_annotation_of_grafana_in_full() {
    let undone = labelled(What::FaultUndone { run: run(), fault: fault(), since: at("10:01:00") });
    insta::assert_snapshot!(pretty(body(Format::Grafana, &undone)));
}

#[test]
fn nothing_from_a_document_becomes_a_mention_or_a_link_in_slack() {
    let reason = "<!channel> see <https://evil.example|here> & <@U1> > all";
    let halt = What::HaltSet { by: "<@U2>".into(), reason: reason.into(), stopped: 0, cancelled: 0 };
    let labels = BTreeMap::from([("<!here>".to_owned(), "<#C1>".to_owned())]);
    let message = body(Format::Slack, &Occurrence::new(at("10:00:00"), labels, halt)).unwrap();
    let mut texts = vec![message["text"].as_str().unwrap().to_owned()];
    for block in message["blocks"].as_array().unwrap().iter().skip(1) {
        let inner = block.get("fields").or_else(|| block.get("elements")).unwrap().as_array().unwrap();
        for text in inner {
            assert_eq!(text["verbatim"], true);
            texts.push(text["text"].as_str().unwrap().to_owned());
        }
    }
    for text in texts {
        // The one thing of Slack's that we write ourselves.
        let rest = text.replace("<!date^1795255200^", "").replace("2026-11-21T10:00:00Z>", "");
        assert!(!rest.contains('<') && !rest.contains('>'), "{text}");
    }
    assert_eq!(message["blocks"][0]["text"]["type"], "plain_text");
}

#[test]
fn no_text_is_longer_than_a_receiver_takes() {
    let long = "&".repeat(10_000);
    let subject = RunSubject { id: "r".into(), experiment: long.clone(), hosts: vec![long.clone(); 50] };
    let labels = (0..50).map(|number| (format!("label-{number}"), long.clone())).collect();
    let what = What::FaultUndone {
        run: subject.clone(),
        fault: FaultSubject { dose: long.clone(), host: long.clone(), ..fault() },
        since: at("10:00:00"),
    };
    let undone = Occurrence::new(at("10:01:00"), labels, what);
    let slack = body(Format::Slack, &undone).unwrap();
    assert!(slack["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
    let fields = slack["blocks"][1]["fields"].as_array().unwrap();
    assert!(fields.len() <= 10 && fields.iter().all(|field| field["text"].as_str().unwrap().len() <= 2000));
    assert!(slack["blocks"][2]["elements"][0]["text"].as_str().unwrap().len() <= 3000 * 2);
    let grafana = body(Format::Grafana, &undone).unwrap();
    assert!(grafana["tags"].as_array().unwrap().iter().all(|tag| tag.as_str().unwrap().chars().count() <= 100));
    let what = What::CleanupNotVerified { run: subject, hosts: vec![], because: long.clone() };
    let alert = Format::Pagerduty.render(&labelled(what), &long, "KEY").unwrap().body;
    assert!(alert["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
    assert!(alert["dedup_key"].as_str().unwrap().len() <= 255);
}

#[test]
fn pagerduty_is_told_what_people_must_see_to_and_of_its_end() {
    use RunVerdict::*;
    let told = |occurrence: &Occurrence| {
        let event = body(Format::Pagerduty, occurrence)?;
        assert_eq!(event["dedup_key"], "https://faultline.example.com/runs/01JD7");
        assert_eq!(event["routing_key"], "KEY");
        let severity = event["payload"]["severity"].as_str().unwrap_or_default();
        Some(format!("{} {severity}", event["event_action"].as_str().unwrap()).trim().to_owned())
    };
    for (verdict, stopped_by, expected) in [
        (CleanupUnverified, None, "trigger critical"),
        (Aborted, Some(StoppedBy::Guardrail), "trigger error"),
        (Aborted, Some(StoppedBy::LostLease), "trigger error"),
        (Aborted, Some(StoppedBy::Halt), "trigger warning"),
        (Aborted, None, "trigger error"),
        (Violated, None, "resolve"),
        (Held, None, "resolve"),
        (Refused, None, "resolve"),
        (Interrupted, Some(StoppedBy::Request), "resolve"),
    ] {
        assert_eq!(told(&finished(verdict, stopped_by)).as_deref(), Some(expected), "{verdict:?}");
    }
    let of_runs = || one_of_each().into_iter().filter(|one| one.what.game_day().is_none());
    let others: Vec<_> = of_runs().filter_map(|one| Some((one.what.name(), told(&one)?))).collect();
    let trigger = || "trigger critical".to_owned();
    let expected = [
        ("fault.stuck", trigger()),
        ("run.cleanup-not-verified", trigger()),
        ("run.cleaned-up", "resolve".into()),
        ("run.finished", "resolve".into()),
    ];
    assert_eq!(others, expected);
}

#[test]
fn grafana_gets_one_region_for_each_fault_halt_game_day_and_hold() {
    let told: Vec<_> =
        one_of_each().iter().filter(|one| Format::Grafana.tells(one)).map(|one| one.what.name()).collect();
    let of_game_days = ["game-day.decided", "game-day.finished", "game-day.aborted"];
    assert_eq!(told, [["fault.undone", "halt.released"].as_slice(), of_game_days.as_slice()].concat());
    let never_begun = of_a_game_day().map(|what| match what {
        What::GameDayAborted { game_day, because, .. } => What::GameDayAborted { game_day, because, since: None },
        What::GameDayDecided { game_day, asked, by, answer, remark, .. } => {
            What::GameDayDecided { game_day, asked, by, answer, remark, since: None }
        }
        other => other,
    });
    let told = never_begun.into_iter().map(labelled).filter(|one| Format::Grafana.tells(one));
    assert_eq!(told.map(|one| one.what.name()).collect::<Vec<_>>(), ["game-day.finished"], "nothing ran meanwhile");
}

#[test]
fn pagerduty_is_told_that_a_game_day_stands_still_until_somebody_answers() {
    let told: Vec<_> = of_a_game_day()
        .into_iter()
        .filter_map(|what| Some((what.name(), body(Format::Pagerduty, &labelled(what))?)))
        .map(|(name, event)| {
            assert_eq!(event["dedup_key"], "https://faultline.example.com/game-days/gd1");
            (name, event["event_action"].as_str().unwrap().to_owned(), event["payload"]["severity"].clone())
        })
        .collect();
    let resolved = |name| (name, "resolve".to_owned(), Value::Null);
    let expected = [
        ("game-day.hold", "trigger".to_owned(), "info".into()),
        resolved("game-day.decided"),
        resolved("game-day.finished"),
        resolved("game-day.aborted"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_game_day_in_every_format() {
    for format in ALL {
        let bodies: Vec<Value> = of_a_game_day().into_iter().filter_map(|what| body(format, &labelled(what))).collect();
        insta::assert_snapshot!(format!("a_game_day_as_{}", format.name()), pretty(Some(Value::Array(bodies))));
    }
}

#[test]
fn halts_and_what_may_be_left_behind_are_vital() {
    let all = one_of_each();
    let vital = all.iter().filter(|one| one.importance() == Importance::Vital).map(|one| one.what.name());
    let expected = ["fault.stuck", "run.cleanup-not-verified", "run.cleaned-up", "halt.set", "halt.released"];
    assert_eq!(vital.collect::<Vec<_>>(), expected);
    assert_eq!(finished(RunVerdict::CleanupUnverified, None).importance(), Importance::Vital);
}

#[test]
fn every_event_can_be_said_in_a_line() {
    let lines: Vec<String> = one_of_each().iter().map(crate::notify::words::headline).collect();
    insta::assert_snapshot!(lines.join("\n"));
    for format in ALL {
        assert_eq!(body(format, &finished(RunVerdict::Held, None)), body(format, &finished(RunVerdict::Held, None)));
    }
}
