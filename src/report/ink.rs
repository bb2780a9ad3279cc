//! Colour on a terminal. It carries no meaning alone: whatever is coloured says the same in words or by a sign.

use crate::hypothesis::verdict::{RunVerdict, Verdict};

use super::LinkState;

/// What a piece of text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// As the terminal has it.
    Plain,
    /// Headings and names.
    Bold,
    /// Less important.
    Faint,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Open: neither good nor bad.
    Open,
    /// A fault in place.
    Fault,
}

impl Ink {
    /// The text in this ink, if colour is on.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => return text.into(),
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Open => "33",
            Self::Fault => "35",
        };
        if colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

/// The sign and ink of an objective's verdict.
pub(crate) fn of_verdict(verdict: Verdict) -> (&'static str, Ink) {
    match verdict {
        Verdict::Held => ("✔", Ink::Good),
        Verdict::Violated => ("✘", Ink::Bad),
        Verdict::Inconclusive | Verdict::NoData => ("?", Ink::Open),
    }
}

/// The sign and ink of a run's verdict.
pub(crate) fn of_run(verdict: RunVerdict) -> (&'static str, Ink) {
    match verdict {
        RunVerdict::Held => ("✔", Ink::Good),
        RunVerdict::Violated | RunVerdict::CleanupUnverified | RunVerdict::Aborted => ("✘", Ink::Bad),
        RunVerdict::Invalid
        | RunVerdict::NoData
        | RunVerdict::Inconclusive
        | RunVerdict::Refused
        | RunVerdict::Interrupted => ("?", Ink::Open),
    }
}

/// The sign, ink and word of a link.
pub(crate) fn of_link(state: LinkState) -> (&'static str, Ink, &'static str) {
    match state {
        LinkState::Proven => ("✔", Ink::Good, "proven"),
        LinkState::Broken => ("✘", Ink::Bad, "broken"),
        LinkState::Unproven => ("?", Ink::Open, "unproven"),
        LinkState::NotReached => ("–", Ink::Faint, "not reached"),
    }
}
