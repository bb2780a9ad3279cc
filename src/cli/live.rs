//! The live view of a run on standard error: redrawn in place on a terminal, a line an event in a pipe.

mod frame;
mod state;

use std::io::{IsTerminal as _, Stderr, Write};

use rustix::termios::tcgetwinsize;

use self::state::State;
use super::flags::Global;
use crate::experiment::document::Experiment;
use crate::report::ink::Ink;
use crate::report::timeline::Words;
use crate::report::{MomentKind, notation};
use crate::run::journal::Entry;
use crate::run::record::Watcher;

/// Where the live view goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveTarget {
    /// A terminal: one picture, redrawn in place.
    Terminal {
        /// Whether to use colour.
        colour: bool,
    },
    /// A file or a pipe: one line an event.
    Lines {
        /// Whether to use colour.
        colour: bool,
    },
    /// Nowhere.
    Quiet,
}

impl LiveTarget {
    /// What the flags and standard error ask for: nothing with `--quiet`, a picture on a terminal that can redraw,
    /// else lines.
    pub fn choose(global: &Global) -> Self {
        let colour = global.colour_on_stderr();
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb" || terminal.is_empty());
        if global.quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() && !dumb {
            Self::Terminal { colour }
        } else {
            Self::Lines { colour }
        }
    }
}

/// The least time between two pictures, in seconds.
const PACE: f64 = 0.1;

/// The live view. Dropping it, also by a panic, gives the terminal its cursor back and leaves the last picture.
#[derive(Debug)]
pub struct Live<W: Write = Stderr> {
    stream: W,
    target: LiveTarget,
    state: State,
    words: Words,
    /// How many lines the last picture has.
    drawn: usize,
    drawn_at: Option<f64>,
    hidden_cursor: bool,
}

impl Live {
    /// The live view of a run of this experiment, on standard error.
    pub fn new(experiment: &Experiment, target: LiveTarget) -> Self {
        Self::on(std::io::stderr(), experiment, target)
    }
}

impl<W: Write> Live<W> {
    /// The live view on any stream.
    pub(super) fn on(stream: W, experiment: &Experiment, target: LiveTarget) -> Self {
        Self {
            stream,
            target,
            state: State::new(experiment),
            words: Words::default(),
            drawn: 0,
            drawn_at: None,
            hidden_cursor: false,
        }
    }

    /// Takes note of an entry of the run's journal.
    pub fn entry(&mut self, entry: &Entry) {
        if self.target == LiveTarget::Quiet {
            return;
        }
        let words = self.words.of(&entry.event);
        if let (LiveTarget::Lines { colour }, Some((kind, text))) = (self.target, &words) {
            write(&mut self.stream, &line(entry.at, *kind, text, colour));
        }
        self.state.take(entry, words);
    }

    /// Redraws the picture, if it is time. `now` counts seconds from the start of the run.
    pub fn tick(&mut self, now: f64) {
        // After the verdict the picture stands still, with the last numbers in it.
        if self.state.verdict.is_none() {
            self.state.now = now;
        }
        if self.drawn_at.is_none_or(|last| now < last || now - last >= PACE) {
            self.draw();
            self.drawn_at = Some(now);
        }
    }

    /// Draws the last picture and gives the terminal back.
    pub fn finish(mut self) {
        self.draw();
    }

    fn draw(&mut self) {
        let LiveTarget::Terminal { colour } = self.target else { return };
        let (width, height) = terminal_size();
        let picture = frame::frame(&self.state, frame::Room { width, height, colour });
        write(&mut self.stream, &redraw(&picture, self.drawn, !self.hidden_cursor));
        self.hidden_cursor = true;
        self.drawn = picture.lines().count();
    }
}

impl<W: Write + Send> Watcher for Live<W> {
    fn entry(&mut self, entry: &Entry) {
        Self::entry(self, entry);
    }

    fn tick(&mut self, now: f64) {
        Self::tick(self, now);
    }
}

impl<W: Write> Drop for Live<W> {
    fn drop(&mut self) {
        if self.hidden_cursor {
            write(&mut self.stream, SHOW_CURSOR);
        }
    }
}

const HIDE_CURSOR: &str = "\u{1b}[?25l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
/// Between these a terminal that knows them shows nothing half drawn; others ignore them.
const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";

/// What takes the last picture of so many lines away and puts the new one in its place.
fn redraw(picture: &str, drawn: usize, first: bool) -> String {
    let hide = if first { HIDE_CURSOR } else { "" };
    let up = if drawn > 0 { format!("\u{1b}[{drawn}A") } else { String::new() };
    // Each line clears what is left of the one before it, and the last everything below. Clearing the whole picture
    // at once would flicker, and some terminals would keep each picture in their history. A line that is too long
    // after the window was made narrower is cut by the terminal instead of wrapped.
    let lines: String = picture.lines().map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("{BEGIN}{hide}{up}\r\u{1b}[?7l{lines}\u{1b}[J\u{1b}[?7h{END}")
}

/// An event as a line.
fn line(at: f64, kind: MomentKind, text: &str, colour: bool) -> String {
    let ink = match kind {
        MomentKind::Alarm => Ink::Bad,
        MomentKind::Fault => Ink::Fault,
        MomentKind::Undo => Ink::Good,
        MomentKind::Verdict => Ink::Bold,
        MomentKind::Run | MomentKind::Service => Ink::Plain,
    };
    let time = Ink::Faint.paint(&notation::clock(at), colour);
    format!("{time}  {}\n", ink.paint(&notation::one_line(text), colour))
}

/// Columns and lines of the terminal behind standard error.
fn terminal_size() -> (usize, usize) {
    let size = tcgetwinsize(std::io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Writes in one go. If nobody listens any more the run goes on all the same: it must still undo.
fn write(stream: &mut impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};
    use crate::run::journal::Event;

    #[test]
    fn a_pipe_gets_one_line_an_event_and_none_a_sample() {
        let mut words = Words::default();
        let lines: String = fixture::journal(Ending::Aborted)
            .iter()
            .filter_map(|entry| words.of(&entry.event).map(|(kind, text)| line(entry.at, kind, &text, false)))
            .collect();
        insta::assert_snapshot!(lines);
    }

    /// What was written to a terminal by a view that ended so.
    fn written(end: impl FnOnce(Live<&mut Vec<u8>>) + std::panic::UnwindSafe) -> String {
        let mut stream = Vec::new();
        let entries = fixture::journal(Ending::Held);
        let Some(Entry { event: Event::Started(started), .. }) = entries.first() else { panic!("no start") };
        let target = LiveTarget::Terminal { colour: false };
        let mut live = Live::on(&mut stream, &started.experiment, target);
        for entry in entries.iter().take(40) {
            live.entry(entry);
            live.tick(entry.at);
        }
        let end = std::panic::AssertUnwindSafe(|| end(live));
        let _caught = std::panic::catch_unwind(end);
        String::from_utf8(stream).unwrap()
    }

    #[test]
    fn the_cursor_comes_back_whatever_ends_the_view() {
        let finished = written(|live| {
            live.finish();
        });
        let dropped = written(|live| {
            drop(live);
        });
        let panicked = written(|_live| panic!("a bug of the caller"));
        for text in [finished, dropped, panicked] {
            assert_eq!(text.matches(HIDE_CURSOR).count(), 1);
            assert!(text.ends_with(SHOW_CURSOR) && text.matches(SHOW_CURSOR).count() == 1);
            // Some entries come faster than pictures are drawn.
            assert!((2..40).contains(&text.matches(BEGIN).count()), "{}", text.matches(BEGIN).count());
        }
    }

    #[test]
    fn quiet_is_quiet() {
        let mut stream = Vec::new();
        let entries = fixture::journal(Ending::Aborted);
        let Some(Entry { event: Event::Started(started), .. }) = entries.first() else { panic!("no start") };
        let mut live = Live::on(&mut stream, &started.experiment, LiveTarget::Quiet);
        for entry in &entries {
            live.entry(entry);
            live.tick(entry.at);
        }
        live.finish();
        assert_eq!(stream, b"");
    }

    #[test]
    fn a_new_picture_takes_the_place_of_the_last_one() {
        let first = redraw("one\ntwo\n", 0, true);
        let lines = "one\u{1b}[K\ntwo\u{1b}[K\n";
        assert_eq!(first, format!("\u{1b}[?2026h\u{1b}[?25l\r\u{1b}[?7l{lines}\u{1b}[J\u{1b}[?7h\u{1b}[?2026l"));
        assert!(redraw("three\n", 2, false).starts_with("\u{1b}[?2026h\u{1b}[2A\r\u{1b}[?7lthree\u{1b}[K\n"));
    }
}
