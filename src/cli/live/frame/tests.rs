use super::*;
use crate::report::fixture::{self, Ending};
use crate::report::timeline::Words;
use crate::run::journal::{Entry, Event};

fn state_at(ending: Ending, at: f64) -> State {
    let entries = fixture::journal(ending);
    let Some(Entry { event: Event::Started(started), .. }) = entries.first() else { panic!("no start") };
    let mut state = State::new(&started.experiment);
    let mut words = Words::default();
    for entry in entries.iter().take_while(|entry| entry.at <= at) {
        let said = words.of(&entry.event);
        state.take(entry, said);
    }
    state.now = at;
    state
}

fn room(width: usize, height: usize) -> Room {
    Room { width, height, colour: false }
}

#[test]
fn the_baseline() {
    insta::assert_snapshot!(frame(&state_at(Ending::Held, 8.0), room(80, 24)));
}

#[test]
fn under_the_fault() {
    insta::assert_snapshot!(frame(&state_at(Ending::Violated, 24.0), room(100, 30)));
}

#[test]
fn aborted_in_a_small_window() {
    insta::assert_snapshot!(frame(&state_at(Ending::Aborted, 17.0), room(46, 14)));
}

#[test]
fn the_end() {
    insta::assert_snapshot!(frame(&state_at(Ending::Held, 60.0), room(80, 24)));
}

#[test]
fn every_picture_fits_its_room_and_colour_says_nothing_more() {
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    for ending in Ending::ALL {
        for at in [0.0, 3.0, 12.5, 16.5, 21.0, 40.0] {
            let state = state_at(ending, at);
            for (width, height) in [(20, 5), (46, 14), (80, 24), (200, 60)] {
                let plain = frame(&state, room(width, height));
                assert!(plain.lines().count() < height.max(4), "{plain}");
                assert!(plain.lines().all(|line| line.chars().count() <= width), "{plain}");
                let coloured = frame(&state, Room { colour: true, ..room(width, height) });
                let bare: String =
                    escapes.replace_all(&coloured, "").lines().map(|line| line.trim_end().to_owned() + "\n").collect();
                assert_eq!(bare, plain);
            }
        }
    }
}
