//! A run on a controller, followed from here to its verdict.

use std::time::{Duration, Instant};

use http::Method;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Client, part};
use crate::cli::failure::Failure;
use crate::console::Reason;
use crate::controller::journal::JournalPage;
use crate::controller::runs::{RunDetails, RunStanding, RunView};
use crate::run::journal::Entry;

/// How long the controller is asked to wait for news, in seconds.
const WAIT: u64 = 20;
/// How long a controller that cannot be reached is asked again.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a run that was followed ended.
#[derive(Debug)]
pub(in crate::cli) enum Followed {
    /// It has a verdict, and this is its journal.
    Finished(Vec<Entry>),
    /// It never began; why.
    Cancelled(String),
}

impl Client {
    /// Follows a run to its end. The first interruption asks the controller to end it, the second ends the following.
    pub(in crate::cli) fn follow(
        &self,
        run: &RunView,
        mut heard: impl FnMut(&Entry),
        mut told: impl FnMut(&str),
    ) -> Result<Followed, Failure> {
        self.runtime.block_on(async {
            let interrupts = signal(SignalKind::interrupt())
                .map_err(|error| Failure::precondition("interruptions cannot be listened to").because(error))?;
            let mut following =
                Following { client: self, id: &run.id, interrupts, interrupted: false, entries: Vec::new() };
            following.follow(&mut heard, &mut told).await
        })
    }
}

struct Following<'a> {
    client: &'a Client,
    id: &'a str,
    interrupts: Signal,
    interrupted: bool,
    entries: Vec<Entry>,
}

impl Following<'_> {
    async fn follow(
        &mut self,
        heard: &mut impl FnMut(&Entry),
        told: &mut impl FnMut(&str),
    ) -> Result<Followed, Failure> {
        let (mut from, mut last_heard) = (0, Instant::now());
        let mut waits = RunStanding::Running;
        loop {
            let path = format!("/v1/runs/{}/journal?from={from}&wait={WAIT}", part(self.id));
            let page = tokio::select! {
                page = self.client.ask::<JournalPage>(Method::GET, &path, None::<&()>) => page,
                _ = self.interrupts.recv() => {
                    self.interrupt(told).await?;
                    continue;
                }
            };
            let page = match page {
                Ok(page) => page,
                // A controller that is restarted finishes the run; it is waited for.
                Err(error) if last_heard.elapsed() < PATIENCE => {
                    told(&format!("{error}; asked again\n"));
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            last_heard = Instant::now();
            from = page.next;
            page.entries.iter().for_each(&mut *heard);
            self.entries.extend(page.entries);
            if page.over {
                return self.ended().await;
            }
            if self.entries.is_empty() {
                let run = self.show().await?.run;
                if run.state != waits {
                    waits = run.state;
                    told(&waiting(&run));
                }
            }
        }
    }

    async fn show(&self) -> Result<RunDetails, Failure> {
        self.client.ask(Method::GET, &format!("/v1/runs/{}", part(self.id)), None::<&()>).await
    }

    async fn ended(&mut self) -> Result<Followed, Failure> {
        let run = self.show().await?.run;
        if self.entries.is_empty() {
            return Ok(Followed::Cancelled(run.because.unwrap_or_else(|| "it has no journal".into())));
        }
        Ok(Followed::Finished(std::mem::take(&mut self.entries)))
    }

    async fn interrupt(&mut self, told: &mut impl FnMut(&str)) -> Result<(), Failure> {
        if self.interrupted {
            let message = format!("run {} is not followed any more; it was asked to end", self.id);
            return Err(Failure::new(130, message).hint(format!("`faultline runs show {}` says how it ended", self.id)));
        }
        self.interrupted = true;
        told("the run is asked to undo everything and end; interrupt again not to wait for that\n");
        let reason = Reason { reason: "interrupted at the terminal".into() };
        let path = format!("/v1/runs/{}/cancel", part(self.id));
        self.client.ask::<RunView>(Method::POST, &path, Some(&reason)).await?;
        Ok(())
    }
}

fn waiting(run: &RunView) -> String {
    match run.state {
        RunStanding::WaitingForApproval => format!(
            "run {} waits for {} approvals: `faultline runs approve {} --plan-hash {}`\n",
            run.id, run.approvals_needed, run.id, run.plan_hash
        ),
        RunStanding::Queued => format!("run {} is queued\n", run.id),
        _ => format!("run {} is {}\n", run.id, run.state.word()),
    }
}
