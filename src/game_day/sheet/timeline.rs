use super::Moment;
use crate::game_day::alerts;
use crate::game_day::machine::{Answer, Entry, Event, Milestone, Stage, State};
use crate::report::{MomentKind, notation};

/// What happened, in order: what people said, what runs did, and when alerts fired.
pub(super) fn timeline<'a>(entries: impl Iterator<Item = &'a Entry>, state: &State) -> Vec<Moment> {
    let mut moments: Vec<Moment> = entries
        .filter_map(|entry| {
            let (kind, text) = words(&entry.event, state)?;
            Some(Moment { at: entry.at, kind, text })
        })
        .collect();
    for course in state.experiments() {
        let Some(watch) = &course.watch else { continue };
        for episode in watch.episodes() {
            let alert = alerts::in_words(&episode.alert.labels);
            if episode.fired_at() >= watch.begun() {
                let text = format!("alert {alert} fires");
                moments.push(Moment { at: episode.fired_at(), kind: MomentKind::Alarm, text });
                if let Some(gone) = episode.gone {
                    let text = format!("alert {alert} is resolved");
                    moments.push(Moment { at: gone, kind: MomentKind::Undo, text });
                }
            } else {
                let text = format!("alert {alert} was firing already");
                moments.push(Moment { at: episode.seen, kind: MomentKind::Service, text });
            }
        }
        for gap in watch.gaps() {
            let text = format!("Alertmanager cannot be read: {}", gap.reason);
            moments.push(Moment { at: gap.from, kind: MomentKind::Alarm, text });
        }
    }
    if let (Some(ended), Stage::Finished | Stage::Aborted(_)) = (state.times().2, state.stage()) {
        let text = match state.stage() {
            Stage::Aborted(ending) => format!("the game day was ended early: {}", ending.because),
            _ => "the game day is finished".into(),
        };
        moments.push(Moment { at: ended, kind: MomentKind::Verdict, text });
    }
    moments.sort_by_key(|moment| moment.at);
    moments
}

/// An event in words, for whoever follows; `None` of what says nothing to people.
pub fn in_words(event: &Event, state: &State) -> Option<String> {
    words(event, state).map(|(_, text)| text)
}

/// An event in words; `None` of what is told otherwise or says nothing to people.
fn words(event: &Event, state: &State) -> Option<(MomentKind, String)> {
    let name = |number: &usize| state.opening().experiments.get(*number).map_or("?", |one| one.name.as_str());
    let said = |remark: &Option<String>| remark.as_ref().map(|remark| format!(": {remark}")).unwrap_or_default();
    let told = match event {
        Event::Opened(opened) => (MomentKind::Run, format!("drafted, plan {}", opened.hash.short())),
        Event::Requested { by } => (MomentKind::Run, format!("{by} begins the game day")),
        Event::Planned { hash, by, differences, .. } => {
            let differences: String = differences.iter().map(|difference| format!("; {difference}")).collect();
            (MomentKind::Run, format!("{by} has it planned anew: plan {}{differences}", hash.short()))
        }
        Event::Drifted { experiment, because } => {
            (MomentKind::Alarm, format!("{} does not begin: {because}", name(experiment)))
        }
        Event::Approved { by, hash } => (MomentKind::Run, format!("{by} approves plan {}", hash.short())),
        Event::Withdrawn { by } => (MomentKind::Run, format!("{by} takes the approval back")),
        Event::Answered { item, by, answer, remark } => {
            let ask = state.spec().checklist.get(*item).map_or("?", |item| item.ask.as_str());
            let kind = if *answer == Answer::NoGo { MomentKind::Alarm } else { MomentKind::Run };
            (kind, format!("{by}: {}{} ({ask})", answer_word(*answer), said(remark)))
        }
        Event::Decided { by, answer, remark } => {
            let kind = if *answer == Answer::NoGo { MomentKind::Alarm } else { MomentKind::Run };
            (kind, format!("{by}: {}{}", answer_word(*answer), said(remark)))
        }
        Event::Queued { experiment, run } => {
            (MomentKind::Run, format!("{}: run {run} waits for its hosts", name(experiment)))
        }
        Event::Started { experiment, run } => (MomentKind::Run, format!("{} begins: run {run}", name(experiment))),
        Event::Progress { experiment, what } => {
            let of = name(experiment);
            match what {
                Milestone::Incited { fault } => (MomentKind::Fault, format!("{of}: {fault} in place")),
                Milestone::Breached { guardrail } => {
                    (MomentKind::Alarm, format!("{of}: guardrail breached: {guardrail}"))
                }
                Milestone::Undone { verified: true } => (MomentKind::Undo, format!("{of}: undone and verified")),
                Milestone::Undone { verified: false } => (MomentKind::Alarm, format!("{of}: the undo is not verified")),
                Milestone::Recovered { after } => {
                    (MomentKind::Undo, format!("{of}: steady again, {} after the undo", notation::seconds(*after)))
                }
            }
        }
        Event::Ended { experiment, verdict, because } => {
            let verdict = notation::run_verdict(*verdict);
            (MomentKind::Verdict, format!("{}: {verdict}: {because}", name(experiment)))
        }
        Event::Noted(note) => {
            let tags: String = note.tags.iter().map(|tag| format!(" #{tag}")).collect();
            (MomentKind::Service, format!("{}: {}{tags}", note.author, note.text))
        }
        Event::Found(finding) => {
            let severity = finding.severity.name();
            (MomentKind::Service, format!("{} found ({severity}): {}", finding.author, finding.text))
        }
        Event::Aborted { by, reason } => (MomentKind::Alarm, format!("{by} ends the game day: {reason}")),
        Event::Halted { reason } => (MomentKind::Alarm, format!("halted: {reason}")),
        Event::Alerts(_) | Event::Tick => return None,
    };
    Some(told)
}

pub(super) fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::Go => "go",
        Answer::NoGo => "no-go",
        Answer::Skip => "skip",
    }
}
