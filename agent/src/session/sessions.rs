//! One session with each controller, beside one another: each with its own back-off, over the same desk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::converse::{End, Party, converse};
use super::desk::Desk;
use super::renew::Renewing;
use super::standing::Standing;
use super::wire::Others;
use super::{Clock, Closing, Dial, Greeting, Notifier, Renewal, backoff};
use crate::crash_point;

/// So many controllers an agent dials at the most, beside those that it was started with.
const MOST: usize = 16;

/// What becomes of addresses of controllers that other controllers have told.
pub trait Directory: Send + Sync + 'static {
    /// Those that were remembered.
    fn known(&self) -> Vec<Arc<dyn Dial>>;
    /// How an address is dialled; nothing if it is none.
    fn dial(&self, address: &str) -> Option<Arc<dyn Dial>>;
    /// These are all the addresses that are known beside those of the start: to be known after a restart too.
    fn remember(&self, addresses: &[String]);
}

/// What all sessions of an agent share.
pub(super) struct Shared<C> {
    pub(super) desk: Arc<Desk<C>>,
    pub(super) greeting: Greeting,
    pub(super) renewing: Renewing,
    pub(super) standing: Standing,
    seed: u64,
    numbers: AtomicU64,
    told: UnboundedSender<Told>,
}

/// The other controllers, as one of them tells.
pub(super) struct Told {
    by: String,
    addresses: Vec<String>,
}

impl<C> Shared<C> {
    pub(super) fn new(
        desk: Arc<Desk<C>>,
        greeting: Greeting,
        seed: u64,
        notifier: Notifier,
        renewal: Option<Arc<dyn Renewal>>,
    ) -> (Arc<Self>, UnboundedReceiver<Told>) {
        let (told, heard) = unbounded_channel();
        let (renewing, standing) = (Renewing::new(renewal), Standing::new(notifier));
        let shared = Self { desk, greeting, renewing, standing, seed, numbers: AtomicU64::new(0), told };
        (Arc::new(shared), heard)
    }

    /// The number of a new session among all of this process.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A controller tells which others there are.
    pub(super) fn heard_of(&self, by: &str, others: Others) {
        // Nobody listens any more when the agent ends.
        let _ = self.told.send(Told { by: by.to_owned(), addresses: others.agents });
    }
}

/// Holds a session with each controller, those included that are heard of later, until the agent ends.
pub(super) async fn hold_all<C: Clock>(
    shared: Arc<Shared<C>>,
    dials: Vec<Arc<dyn Dial>>,
    directory: Option<Arc<dyn Directory>>,
    mut heard: UnboundedReceiver<Told>,
    mut closing: Closing,
) {
    let mut sessions = Sessions { shared, tasks: JoinSet::new(), open: BTreeMap::new(), began: 0 };
    for dial in dials {
        sessions.begin(dial, true);
    }
    for dial in directory.iter().flat_map(|directory| directory.known()).take(MOST) {
        sessions.begin(dial, false);
    }
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let reason = loop {
        tokio::select! {
            reason = closing.wait() => break reason,
            Some(Told { by, addresses }) = heard.recv() => {
                let Some(directory) = &directory else { continue };
                told.insert(by, addresses);
                sessions.follow(directory.as_ref(), &told);
            }
        }
    };
    sessions.end(&reason).await;
}

struct Sessions<C> {
    shared: Arc<Shared<C>>,
    tasks: JoinSet<()>,
    open: BTreeMap<String, Open>,
    began: u64,
}

/// An address that is dialled.
struct Open {
    close: watch::Sender<Option<String>>,
    /// Whether it was there from the start, and so stays.
    given: bool,
}

impl<C: Clock> Sessions<C> {
    fn begin(&mut self, dial: Arc<dyn Dial>, given: bool) {
        let peer = dial.peer();
        if self.open.contains_key(&peer) {
            return;
        }
        let (close, closed) = watch::channel(None);
        let seed = self.shared.seed.wrapping_add(self.began);
        self.began += 1;
        self.tasks.spawn(connect(Arc::clone(&self.shared), dial, seed, Closing(closed)));
        self.open.insert(peer, Open { close, given });
    }

    /// Dials what is new in what was told, and gives up what nobody tells of any more and cannot be reached either.
    fn follow(&mut self, directory: &dyn Directory, told: &BTreeMap<String, Vec<String>>) {
        let mut wanted = BTreeSet::new();
        for address in told.values().flatten() {
            let Some(dial) = directory.dial(address) else {
                tracing::warn!(address, "a controller told of another at an address that is none");
                continue;
            };
            let known = self.open.get(&dial.peer());
            if known.is_some_and(|open| open.given) || wanted.len() >= MOST {
                continue;
            }
            wanted.insert(dial.peer());
            if known.is_none() {
                tracing::info!(peer = dial.peer(), "there is another controller; it is dialled too");
                self.begin(dial, false);
            }
        }
        let shared = Arc::clone(&self.shared);
        self.open.retain(|peer, open| {
            let stays = open.given || wanted.contains(peer) || shared.standing.stands(peer);
            if !stays {
                open.close.send_replace(Some("this controller is no more".into()));
                shared.standing.trouble(peer, None);
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        let learned = self.open.iter().filter(|(_, open)| !open.given).map(|(peer, _)| peer.clone());
        directory.remember(&learned.collect::<Vec<_>>());
    }

    async fn end(mut self, reason: &str) {
        for open in self.open.values() {
            open.close.send_replace(Some(reason.to_owned()));
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Holds sessions at one address, one after the other, until it is told to end.
async fn connect<C: Clock>(shared: Arc<Shared<C>>, dial: Arc<dyn Dial>, seed: u64, mut closing: Closing) {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut failures = 0;
    let peer = dial.peer();
    let mut controller: Option<Arc<str>> = None;
    let mut told = None;
    loop {
        if let Some(known) = &controller
            && let Some(other) = shared.standing.elsewhere(known, &peer)
        {
            tracing::info!(peer, other, controller = &**known, "the same controller: one session with it is enough");
            shared.standing.trouble(&peer, None);
            tokio::select! {
                () = shared.standing.while_elsewhere(known, &peer) => {}
                _ = closing.wait() => return,
            }
        }
        let dialled_with = shared.renewing.generation();
        let dialled = tokio::select! {
            dialled = dial.dial() => dialled,
            _ = closing.wait() => return,
        };
        let end = match dialled {
            Err(trouble) => End::Lost { trouble, had_stood: false },
            Ok(stream) => {
                crash_point!("session/{}", if controller.is_some() { "dialled-again" } else { "dialled" });
                let (shared, closing, controller) = (shared.as_ref(), &mut closing, &mut controller);
                converse(&mut Party { shared, peer: &peer, closing, controller, dialled_with }, stream).await
            }
        };
        let (trouble, had_stood) = match end {
            End::Lost { trouble, had_stood } => (trouble, had_stood),
            // Dialled again at once, with the new certificate.
            End::Renewed => continue,
            End::Closed => return,
        };
        failures = if had_stood { 1 } else { failures + 1 };
        if trouble.lasting {
            // Nothing changes by asking often; a person is needed.
            failures = failures.max(7);
        }
        shared.standing.trouble(&peer, Some(&trouble.message));
        // Said once, and again when it is another trouble.
        if told.as_ref() != Some(&trouble) || had_stood {
            tracing::warn!(hint = trouble.hint, "{trouble}");
            told = Some(trouble);
        }
        let pause = backoff::wait(failures, random.random_range(0.0..1.0), !shared.desk.is_idle());
        tokio::select! {
            () = tokio::time::sleep(pause.max(Duration::from_millis(10))) => {}
            _ = closing.wait() => return,
        }
    }
}
