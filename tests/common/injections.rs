//! How often an agent injected, by its own journal: no step is before its record, and every record is a file.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// The journal of one agent, watched from now on.
pub struct Injections {
    folder: PathBuf,
    begun: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Injections {
    /// Of a state folder.
    pub fn of(state: &Path) -> Self {
        let folder = state.join("faults");
        let watched = inotify::init(CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watched, &folder, WatchFlags::MOVED_TO | WatchFlags::DELETE).unwrap();
        let begun = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let counted = Arc::clone(&begun);
        std::thread::spawn(move || {
            let mut buffer = [const { MaybeUninit::uninit() }; 8192];
            let mut events = inotify::Reader::new(watched, &mut buffer);
            let mut there = BTreeSet::new();
            // It ends with the folder.
            while let Ok(event) = events.next() {
                let Some(name) = event.file_name().and_then(|name| name.to_str().ok()).filter(|name| is_record(name))
                else {
                    if event.events().contains(ReadFlags::IGNORED) { return } else { continue }
                };
                if event.events().contains(ReadFlags::DELETE) {
                    there.remove(name);
                } else if there.insert(name.to_owned()) {
                    // A record that is written again is the same injection; one that comes back is another.
                    *counted.lock().unwrap().entry(name.to_owned()).or_default() += 1;
                }
            }
        });
        Self { folder, begun }
    }

    /// How many were begun until now.
    pub fn count(&self) -> usize {
        self.begun.lock().unwrap().values().sum()
    }

    /// The records that are there: of faults that are, or may be, in place.
    pub fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).filter(|name| is_record(name)).collect()
    }
}

fn is_record(name: &str) -> bool {
    name.ends_with(".json") && !name.starts_with('.')
}
