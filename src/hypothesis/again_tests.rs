//! Recorded runs, judged again by other objectives.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::verdict::RunVerdict;
use super::{Again, AgainError, judge_again};
use crate::experiment::document::{Experiment, Spec};
use crate::report::fixture::{Ending, document, journal};
use crate::run::journal::{Entry, Event};

/// The document of the fixture with bounds that so few requests can prove, and changed.
fn other(change: impl FnOnce(&mut Value)) -> Spec {
    let mut document = document();
    document["spec"]["steadyState"][0]["latency"]["quantile"] = json!(0.95);
    document["spec"]["steadyState"][1]["errors"]["below"] = json!("4%");
    document["spec"]["steadyState"].as_array_mut().unwrap().truncate(2);
    change(&mut document["spec"]);
    serde_json::from_value::<Experiment>(document).unwrap().spec
}

fn again(ending: Ending, change: impl FnOnce(&mut Value)) -> Again {
    judge_again(&journal(ending), Some(&other(change))).unwrap()
}

/// The new verdict and why, in one line.
fn told(again: &Again) -> String {
    let Some(Event::Finished { verdict, because }) = again.entries.last().map(|entry| &entry.event) else {
        panic!("not finished")
    };
    format!("{}: {because}", verdict.word())
}

fn text(entries: &[Entry]) -> String {
    serde_json::to_string(entries).unwrap()
}

#[test]
fn its_own_objectives_give_what_they_gave_byte_for_byte_and_a_difference_is_told() {
    for ending in [Ending::Held, Ending::Violated, Ending::Invalid, Ending::Aborted] {
        // The verdicts of the fixture are written by hand: the first judgement makes them true ones.
        let first = judge_again(&journal(ending), None).unwrap();
        assert!(!first.same, "{ending:?}");
        let second = judge_again(&first.entries, None).unwrap();
        assert!(second.same, "{ending:?}: {}", told(&second));
        assert_eq!(text(&second.entries), text(&first.entries));
        // Another document with the same objectives is no other judge.
        let mut alike = document();
        alike["spec"]["method"] = json!([{ "observe": "1s" }]);
        let alike = serde_json::from_value::<Experiment>(alike).unwrap().spec;
        let alike = judge_again(&first.entries, Some(&alike)).unwrap();
        assert!(alike.same, "{ending:?}");
    }
}

#[test]
fn a_bound_that_is_wider_or_narrower_changes_the_verdict_with_it() {
    assert_eq!(
        told(&again(Ending::Held, |spec| spec["recovery"] = json!({ "within": "61s" }))).split(':').next(),
        Some("held")
    );
    let wide = again(Ending::Violated, |spec| spec["steadyState"][0]["latency"]["below"] = json!("2s"));
    assert!(told(&wide).starts_with("held: all 2 objectives were shown to hold"), "{}", told(&wide));
    assert_eq!(wide.was.as_ref().map(|(verdict, _)| *verdict), Some(RunVerdict::Violated));
    let narrow = again(Ending::Held, |spec| spec["steadyState"][0]["latency"]["below"] = json!("90ms"));
    assert!(
        told(&narrow).starts_with("violated: during the fault, checkout: p95 latency below 90ms"),
        "{}",
        told(&narrow)
    );
    let never = again(Ending::Held, |spec| spec["steadyState"][0]["latency"]["below"] = json!("5ms"));
    assert!(told(&never).starts_with("refused: would not have begun: not steady before the fault"), "{}", told(&never));
}

#[test]
fn a_guardrail_that_would_have_fired_is_told_with_its_moment() {
    let slow = json!({ "signal": "checkout", "latency": { "quantile": 0.5, "below": "200ms" } });
    let fired = again(Ending::Violated, |spec| spec["guardrails"] = json!([slow]));
    let told = told(&fired);
    assert!(
        told.starts_with("aborted: would have aborted ") && told.contains(" into the fault: checkout: p50"),
        "{told}"
    );
    let breaches: Vec<f64> = fired
        .entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::Breached { .. }))
        .map(|entry| entry.at)
        .collect();
    assert!(matches!(breaches.as_slice(), [at] if (12.4..32.5).contains(at)), "{breaches:?}");
    assert!(fired.entries.is_sorted_by(|one, other| one.at <= other.at));
    let always = json!({ "signal": "checkout", "latency": { "quantile": 0.5, "below": "5ms" } });
    let before = again(Ending::Violated, |spec| spec["guardrails"] = json!([always]));
    let because = &before.entries.last().unwrap().event;
    assert!(
        matches!(because, Event::Finished { verdict: RunVerdict::Refused, because } if because.contains("into the baseline")),
        "{because:?}"
    );
}

#[test]
fn what_was_cut_short_by_a_guardrail_that_is_no_more_is_never_held() {
    let wide = |spec: &mut Value| {
        spec["guardrails"] = json!([]);
        spec["steadyState"] = json!([{ "signal": "checkout", "errors": { "below": "50%" } }]);
    };
    let cut = again(Ending::Aborted, wide);
    assert!(told(&cut).starts_with("inconclusive: the run was cut short by its own guardrail"), "{}", told(&cut));
    assert!(cut.notes.iter().any(|note| note.contains("ended by a guardrail of its own")), "{:?}", cut.notes);
    // What it shows to be violated stays so.
    let bad = again(Ending::Aborted, |spec| {
        spec["guardrails"] = json!([]);
        spec["steadyState"] = json!([{ "signal": "checkout", "errors": { "below": "4%" } }]);
    });
    assert!(told(&bad).starts_with("violated: during the fault"), "{}", told(&bad));
    // And what never acted is no test, whatever the objectives.
    let invalid = again(Ending::Invalid, wide);
    assert!(told(&invalid).starts_with("invalid: network-latency"), "{}", told(&invalid));
}

#[test]
fn recovery_is_judged_by_the_other_documents_time_as_far_as_was_watched() {
    let soon = again(Ending::Held, |spec| spec["recovery"] = json!({ "within": "2s" }));
    assert_eq!(told(&soon), "violated: the steady state was not shown again in the time given for recovery");
}

#[test]
fn a_run_that_did_not_finish_gets_no_verdict_by_being_judged_again() {
    let cut_off = again(Ending::CutOff, |spec| spec["steadyState"][0]["latency"]["below"] = json!("2s"));
    assert_eq!(cut_off.was, None);
    assert!(matches!(cut_off.entries.last().unwrap().event, Event::Judged { .. }));
    let report = crate::report::RunReport::from_entries(&cut_off.entries).unwrap();
    assert_eq!(report.verdict, RunVerdict::CleanupUnverified);
}

#[test]
fn signals_must_be_those_that_were_recorded() {
    let judged = judge_again(
        &journal(Ending::Held),
        Some(&other(|spec| {
            spec["signals"]["basket"] = spec["signals"]["checkout"].clone();
            spec["steadyState"][1]["signal"] = json!("basket");
        })),
    );
    let error = judged.unwrap_err();
    assert!(matches!(&error, AgainError::NotRecorded { signal, .. } if signal == "basket"), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "it recorded checkout, orders, queue, shop-host; what was not measured then cannot be judged now"
    );
    let moved = again(Ending::Held, |spec| spec["signals"]["checkout"]["http"]["rate"] = json!("10/s"));
    assert!(
        moved.notes.iter().any(|note| note.starts_with("Signal checkout is defined otherwise")),
        "{:?}",
        moved.notes
    );
    let mut older = journal(Ending::Held);
    if let Event::Started(started) = &mut older[0].event {
        started.version = "0.0.9".into();
    }
    let notes = judge_again(&older, None).unwrap().notes;
    assert!(notes[0].starts_with("The run was recorded by faultline 0.0.9"), "{notes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// The order of samples between two looks, and in how many pieces the journal is read, change nothing.
    #[test]
    fn the_same_journal_and_document_give_the_same_bytes(seed: u64, below in 60u32..500) {
        let spec = other(|spec| {
            spec["steadyState"][0]["latency"]["below"] = json!(format!("{below}ms"));
            spec["guardrails"][0]["errors"]["below"] = json!("3%");
        });
        let entries = journal(Ending::Violated);
        let first = judge_again(&entries, Some(&spec)).unwrap();
        let mut shuffled = entries.clone();
        for place in 1..shuffled.len() {
            let with = place - (seed.rotate_left(u32::try_from(place % 64).unwrap()) % 2) as usize;
            let same_look = |at: f64| ((at - 0.4) / 0.1).floor();
            let both = [&shuffled[place], &shuffled[with]];
            if both.iter().all(|entry| matches!(entry.event, Event::Sample(_))) && same_look(both[0].at) == same_look(both[1].at) {
                let event = shuffled[place].event.clone();
                shuffled[place].event = std::mem::replace(&mut shuffled[with].event, event);
            }
        }
        let lines: Vec<String> = shuffled.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let second = judge_again(&read, Some(&spec)).unwrap();
        let judged = |again: &Again| {
            let of = |entry: &&Entry| !matches!(entry.event, Event::Sample(_));
            again.entries.iter().filter(of).map(|entry| serde_json::to_string(entry).unwrap()).collect::<Vec<_>>()
        };
        prop_assert_eq!(judged(&first), judged(&second));
    }
}
