//! What a run sheet and a postmortem are made of, before either is Markdown or HTML.

use jiff::Timestamp;

use super::Sheet;
use crate::game_day::document::ZoneName;
use crate::report::MomentKind;

/// A whole document for people.
pub(super) struct Page {
    /// `run sheet` or `postmortem`.
    pub(super) what: &'static str,
    pub(super) badge: Badge,
    pub(super) title: String,
    /// The first sentence.
    pub(super) because: String,
    pub(super) quote: Option<String>,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) sections: Vec<Section>,
    pub(super) footer: String,
    pub(super) version: String,
}

pub(super) struct Section {
    /// An English word, which becomes the section's anchor.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Paragraph(String),
    /// What a person is asked to write here.
    Prompt(&'static str),
    Bullets(Vec<String>),
    /// Things to be done, none of them done yet.
    Actions(Vec<String>),
    Heading(String),
    Table {
        head: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
    },
    Timeline(Vec<(String, MomentKind, String)>),
}

pub(super) enum Cell {
    Text(String),
    Code(String),
    Badge(Badge),
    /// What is said of it, below.
    BadgeAnd(Badge, String),
}

/// A word that is good, bad, or neither.
#[derive(Clone)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) word: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Open,
    None,
}

impl Badge {
    pub(super) fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, word: word.into() }
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn badge(tone: Tone, word: impl Into<String>) -> Self {
        Self::Badge(Badge::new(tone, word))
    }
}

impl Section {
    pub(super) fn new(id: &str, title: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self { id: id.into(), title: title.into(), blocks }
    }
}

/// A moment by the clocks of the game day: `10:02:31`.
pub(super) fn clock(at: Timestamp, zone: &ZoneName) -> String {
    at.to_zoned(zone.rules().clone()).strftime("%H:%M:%S").to_string()
}

/// A moment with its day: `2026-12-01 10:02:31`.
pub(super) fn date_and_clock(at: Timestamp, zone: &ZoneName) -> String {
    at.to_zoned(zone.rules().clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl Sheet {
    pub(super) fn clock(&self, at: Timestamp) -> String {
        clock(at, &self.time_zone)
    }

    pub(super) fn timeline_block(&self) -> Block {
        let line = |moment: &super::Moment| (self.clock(moment.at), moment.kind, moment.text.clone());
        Block::Timeline(self.timeline.iter().map(line).collect())
    }

    pub(super) fn footer(&self) -> String {
        format!(
            "Made by faultline {} from the journal of game day {}, and from nothing else. Times are those of {}.",
            self.version, self.id, self.time_zone
        )
    }
}
