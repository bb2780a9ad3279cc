//! Carries out what the agenda orders: runs in threads, and signals to this process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::agenda::{Agenda, Event, Order};
use super::{Attempt, Candidate};
use crate::experiment::machine::Stop;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::stop::StopSignals;

/// Where runs are carried out: on this host, or on a controller's fleet.
pub trait Ground: Sync {
    /// Runs an experiment to its verdict. Orders end it early; it undoes then.
    fn run(&self, candidate: &Candidate, orders: UnboundedReceiver<Stop>) -> Attempt;
}

/// What became of the experiments.
#[derive(Debug, Default)]
pub struct Driven {
    /// The runs of each, in order.
    pub attempts: BTreeMap<usize, Vec<Attempt>>,
    /// What was not run, or not run again, and why.
    pub left_out: BTreeMap<usize, String>,
    /// By what the gate was interrupted, if it was.
    pub interrupted: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What comes to the loop.
enum Message {
    Ended(usize, Box<Attempt>),
    Signal(&'static str),
}

/// Runs everything to the end of the agenda.
///
/// # Errors
/// If signals cannot be listened to: nothing was started then.
pub fn drive(candidates: &[Candidate], mut agenda: Agenda, ground: &dyn Ground) -> std::io::Result<Driven> {
    let (messages, inbox) = channel();
    // Dropped at the end, which ends the listener.
    let tell_signal = messages.clone();
    let _listener = listen(move |name| tell_signal.send(Message::Signal(name)).is_ok())?;
    let begun = Instant::now();
    let mut driven = Driven::default();
    std::thread::scope(|scope| {
        let mut lines: BTreeMap<usize, UnboundedSender<Stop>> = BTreeMap::new();
        let mut event = Event::Time;
        loop {
            for order in agenda.step(begun.elapsed(), event) {
                match order {
                    Order::Start(index) => {
                        let (line, orders) = unbounded_channel();
                        lines.insert(index, line);
                        let (messages, candidate) = (messages.clone(), &candidates[index]);
                        scope.spawn(move || {
                            let attempt = catch_unwind(AssertUnwindSafe(|| ground.run(candidate, orders)));
                            // It was announced; the run's guard undoes, but nobody here saw it.
                            let attempt = attempt.unwrap_or_else(|_| {
                                let because = "the run broke down; its guard undoes what was injected";
                                Attempt::without_report(RunVerdict::CleanupUnverified, because)
                            });
                            let _ = messages.send(Message::Ended(index, Box::new(attempt)));
                        });
                    }
                    Order::Cut(index) | Order::Hurry(index) => {
                        tell(&lines, index, Stop::Halted("the time box of the gate ended".into()));
                    }
                    Order::Interrupt(index) => {
                        let by = driven.interrupted.clone().unwrap_or_default();
                        tell(&lines, index, Stop::Interrupted(format!("interrupted by {by}")));
                    }
                }
            }
            if agenda.is_over() {
                break;
            }
            let wait = agenda.wake(begun.elapsed()).map(|at| at.saturating_sub(begun.elapsed()));
            let message = match wait {
                Some(wait) => inbox.recv_timeout(wait),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            event = match message {
                Ok(Message::Ended(index, attempt)) => {
                    lines.remove(&index);
                    let verdict = attempt.verdict;
                    driven.attempts.entry(index).or_default().push(*attempt);
                    Event::Ended(index, verdict)
                }
                Ok(Message::Signal(name)) => {
                    driven.interrupted.get_or_insert_with(|| name.into());
                    Event::Interrupted
                }
                // This function holds a sender itself, so that it is never disconnected.
                Err(_) => Event::Time,
            };
        }
    });
    driven.left_out = agenda.left_out().clone();
    driven.took = begun.elapsed();
    Ok(driven)
}

fn tell(lines: &BTreeMap<usize, UnboundedSender<Stop>>, index: usize, stop: Stop) {
    // A run that has just ended listens no more, and needs no order.
    let _ = lines.get(&index).map(|line| line.send(stop));
}

/// Listens to signals in a thread of its own until what it returns is dropped, or what it tells listens no more. From then on
/// none ends the process by itself.
pub(crate) fn listen(
    told: impl Fn(&'static str) -> bool + Send + Sync + 'static,
) -> std::io::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        StopSignals::listen()?
    };
    runtime.spawn(async move { while told(signals.next().await) {} });
    Ok(runtime)
}
