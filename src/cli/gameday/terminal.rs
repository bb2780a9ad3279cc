//! People at a terminal: what they are asked, what they say, and what happens meanwhile.

use std::io::BufRead as _;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::flags::Global;
use super::super::live::{Live, LiveTarget};
use super::super::output;
use crate::game_day::alerts::Reading;
use crate::game_day::drive::Company;
use crate::game_day::machine::{
    Answer, Command, Entry, Event, HoldPoint, Identity, Illegal, ResolvedExperiment, Stage, State,
};
use crate::game_day::sheet::in_words;
use crate::game_day::spoken::{self, Spoken};
use crate::report::notation::{self, one_line};
use crate::run::record::Watcher;

/// Tells people on standard error what is asked and what happens.
pub(super) struct Terminal {
    target: LiveTarget,
    quiet: bool,
    /// Whether Alertmanager could be read when it was asked last.
    readable: bool,
    /// Whether runs are somewhere else: nobody but the game day tells of them.
    remote: bool,
}

impl Terminal {
    pub(super) fn new(global: &Global) -> Self {
        // Lines, also on a terminal: people type between them.
        let target =
            if global.quiet { LiveTarget::Quiet } else { LiveTarget::Lines { colour: global.colour_on_stderr() } };
        Self { target, quiet: global.quiet, readable: true, remote: false }
    }

    /// For a game day that a controller carries out.
    pub(super) fn of_controller(global: &Global) -> Self {
        Self { remote: true, ..Self::new(global) }
    }

    fn tell(&self, text: &str) {
        if !self.quiet {
            output::tell(&format!("{text}\n"));
        }
    }
}

impl Company for Terminal {
    fn asked(&mut self, state: &State, command: &Command) {
        let opening = state.opening();
        // Who speaks to a controller is known by the token.
        let who = if opening.identity == Identity::Token { "" } else { " NAME" };
        let name = |number: usize| one_line(&opening.experiments[number].name);
        let text = match command {
            Command::AskApprovals { missing } => {
                let mut text = format!("\n{}\nplan {}\n", one_line(&state.spec().title), state.hash());
                for (number, one) in opening.experiments.iter().enumerate() {
                    let hypothesis = one_line(&one.experiment.spec.hypothesis);
                    text += &format!(
                        "  {}. {} ({}): {hypothesis}\n",
                        number + 1,
                        one_line(&one.name),
                        state.plan_of(number).short()
                    );
                }
                let of = state.spec().approvals.as_ref().map(|approvals| approvals.of.join(", ")).unwrap_or_default();
                let plural = if *missing == 1 { "" } else { "s" };
                format!("{text}{missing} approval{plural} missing, of {of}: approve{who}")
            }
            Command::Ask { item } => {
                let Some(item) = state.spec().checklist.get(*item) else { return };
                let of = item.of.as_deref().unwrap_or("anybody");
                let required = if item.required { "required" } else { "optional, may be skipped" };
                format!("\n{} ({of}, {required}): go{who}, or no-go{who}", one_line(&item.ask))
            }
            Command::AskGo { experiment, when: HoldPoint::Before } => {
                format!("\nhold before {}: go{who}, no-go{who}, or skip{who}", name(*experiment))
            }
            Command::AskGo { experiment, when: HoldPoint::After } => {
                format!("\nhold after {}: go{who}, or no-go{who}", name(*experiment))
            }
            Command::AskPlan { experiment } => format!(
                "\n{} cannot be carried out as planned: `faultline gameday replan`, go{who} to look again, no-go{who}, or skip{who}",
                name(*experiment)
            ),
            _ => return,
        };
        self.tell(&text);
    }

    fn happened(&mut self, entry: &Entry, state: &State) {
        let said = |remark: &Option<String>| remark.as_ref().map(|remark| format!(": {remark}")).unwrap_or_default();
        let word = |answer: Answer| match answer {
            Answer::Go => "go",
            Answer::NoGo => "no-go",
            Answer::Skip => "skip",
        };
        let text = match &entry.event {
            Event::Approved { by, .. } => format!("{by} approves"),
            Event::Withdrawn { by } => format!("{by} takes the approval back"),
            Event::Answered { by, answer, remark, .. } | Event::Decided { by, answer, remark } => {
                format!("{by}: {}{}", word(*answer), said(remark))
            }
            Event::Noted(note) => format!("{}: {}", note.author, note.text),
            Event::Found(finding) => format!("{} found: {}", finding.author, finding.text),
            Event::Aborted { by, reason } => format!("{by} ends the game day: {reason}"),
            Event::Halted { reason } => format!("halted: {reason}"),
            Event::Alerts(Reading::Unknown(reason)) => {
                if !std::mem::replace(&mut self.readable, false) {
                    return;
                }
                format!("Alertmanager cannot be read: {reason}")
            }
            Event::Alerts(reading) => {
                let back = !std::mem::replace(&mut self.readable, true);
                match reading {
                    Reading::Firing(alerts) => {
                        let names: Vec<String> =
                            alerts.iter().map(|alert| crate::game_day::alerts::in_words(&alert.labels)).collect();
                        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                        format!("alerts firing: {names}")
                    }
                    _ if back => "Alertmanager can be read again".into(),
                    _ => return,
                }
            }
            Event::Ended { experiment, verdict, because } => {
                let settling = match (state.stage(), state.opening().identity) {
                    (Stage::Settling { .. }, Identity::Typed) => {
                        "waiting for the alerts that are expected: go NAME to wait no longer"
                    }
                    (Stage::Settling { .. }, Identity::Token) => {
                        "waiting for the alerts that are expected: go to wait no longer"
                    }
                    _ => "",
                };
                let name = &state.opening().experiments[*experiment].name;
                match (self.remote, settling) {
                    (false, "") => return,
                    (false, settling) => settling.into(),
                    (true, "") => format!("{name}: {}: {because}", notation::run_verdict(*verdict)),
                    (true, settling) => format!("{name}: {}: {because}; {settling}", notation::run_verdict(*verdict)),
                }
            }
            Event::Queued { .. }
            | Event::Started { .. }
            | Event::Progress { .. }
            | Event::Planned { .. }
            | Event::Drifted { .. }
                if self.remote =>
            {
                match in_words(&entry.event, state) {
                    Some(text) => text,
                    None => return,
                }
            }
            _ => return,
        };
        let time = entry.at.to_zoned(state.spec().time_zone.rules().clone()).strftime("%H:%M:%S");
        self.tell(&format!("{time}  {}", one_line(&text)));
    }

    fn refused(&mut self, why: &Illegal) {
        let hint = why.hint();
        let hint = if hint.is_empty() { hint } else { format!("\nhint: {hint}") };
        output::tell(&format!("{why}{hint}\n"));
    }

    fn watcher(&mut self, experiment: &ResolvedExperiment) -> Box<dyn Watcher> {
        self.tell(&format!("\n{}", one_line(&experiment.name)));
        Box::new(Live::new(&experiment.experiment, self.target))
    }
}

/// What is said on standard input, from now on; by `speaker` if it is known who that is.
pub(super) fn listen(speaker: Option<String>) -> UnboundedReceiver<Spoken> {
    let (said, lines) = unbounded_channel();
    let listening = std::thread::Builder::new().name("listener".into()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if line.trim() == "help" {
                output::tell(spoken::words(speaker.is_some()));
                continue;
            }
            match spoken::parse(&line, speaker.as_deref()) {
                Ok(Some(Spoken::Wait(_))) => output::tell("`wait` is for files of answers\n"),
                Ok(Some(spoken)) => {
                    if said.send(spoken).is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(why) => output::tell(&format!("{why}\n")),
            }
        }
    });
    if let Err(error) = listening {
        output::tell(&format!("standard input is not read: {error}\n"));
    }
    lines
}
