use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Notifier;

/// With which controllers a session stands, over which address, and what is wrong with the others: for the service
/// manager, and so that no controller that is known by two addresses has two sessions.
#[derive(Debug)]
pub(super) struct Standing {
    known: Mutex<Known>,
    /// Raised whenever a session ends.
    ended: watch::Sender<u64>,
    notifier: Notifier,
}

#[derive(Debug, Default)]
struct Known {
    /// By the controller's id, the address of its session.
    held: BTreeMap<String, String>,
    /// By address, why there is no session.
    troubles: BTreeMap<String, String>,
}

impl Standing {
    pub(super) fn new(notifier: Notifier) -> Self {
        Self { known: Mutex::default(), ended: watch::Sender::new(0), notifier }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session with a controller stands. It takes the place of one over another address, which the controller ends.
    pub(super) fn enter(&self, controller: &str, peer: &str) {
        let mut known = self.known();
        known.held.insert(controller.to_owned(), peer.to_owned());
        known.troubles.remove(peer);
        drop(known);
        self.notifier.ready();
        self.tell();
    }

    /// The session over that address is over.
    pub(super) fn leave(&self, peer: &str) {
        self.known().held.retain(|_, other| other != peer);
        self.ended.send_modify(|count| *count += 1);
    }

    /// Why there is no session over an address, for people; nothing if that address is given up.
    pub(super) fn trouble(&self, peer: &str, trouble: Option<&str>) {
        let mut known = self.known();
        match trouble {
            Some(trouble) => known.troubles.insert(peer.to_owned(), trouble.to_owned()),
            None => known.troubles.remove(peer),
        };
        drop(known);
        self.tell();
    }

    /// Whether a session stands over this address.
    pub(super) fn stands(&self, peer: &str) -> bool {
        self.known().held.values().any(|held| held == peer)
    }

    /// Over which other address a session with this controller stands.
    pub(super) fn elsewhere(&self, controller: &str, peer: &str) -> Option<String> {
        self.known().held.get(controller).filter(|held| *held != peer).cloned()
    }

    /// Waits while a session with this controller stands over another address.
    pub(super) async fn while_elsewhere(&self, controller: &str, peer: &str) {
        let mut ended = self.ended.subscribe();
        while self.elsewhere(controller, peer).is_some() {
            if ended.changed().await.is_err() {
                return;
            }
        }
    }

    fn tell(&self) {
        self.notifier.status(&self.known().told());
    }
}

impl Known {
    fn told(&self) -> String {
        let connected: Vec<&str> = self.held.values().map(String::as_str).collect();
        let mut parts = Vec::new();
        if !connected.is_empty() {
            parts.push(format!("connected to {}", connected.join(", ")));
        }
        parts.extend(self.troubles.values().cloned());
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_controller_has_one_session_and_whoever_lost_it_waits_for_its_end() {
        let standing = Standing::new(Notifier::default());
        standing.enter("c1", "a:1");
        standing.trouble("b:1", Some("cannot reach b:1"));
        assert_eq!(standing.known().told(), "connected to a:1; cannot reach b:1");
        standing.enter("c1", "b:1");
        assert_eq!(standing.known().told(), "connected to b:1");
        assert!(standing.stands("b:1") && !standing.stands("a:1"));
        assert_eq!(standing.elsewhere("c1", "a:1").as_deref(), Some("b:1"));
        let waiting = standing.while_elsewhere("c1", "a:1");
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(10), &mut waiting).await.is_err());
        standing.leave("a:1");
        assert!(standing.stands("b:1"), "the older one's end is not its end");
        standing.leave("b:1");
        waiting.await;
        assert_eq!(standing.elsewhere("c1", "a:1"), None);
    }
}
