//! Runs of the gate on a controller's fleet, as `faultline run --controller` has them. The controller keeps runs that meet
//! on a host apart as well, whatever the gate thinks of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::ground::Making;
use super::here;
use crate::cli::client::follow::Followed;
use crate::cli::client::part;
use crate::cli::client::run::{Asked, submit};
use crate::cli::flags::Global;
use crate::cli::output;
use crate::console::Reason;
use crate::controller::runs::RunView;
use crate::experiment::machine::Stop;
use crate::gate::drive::Ground;
use crate::gate::{Attempt, Candidate};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::RunReport;

/// A controller's fleet.
pub(super) struct OnFleet<'a> {
    pub(super) making: Making<'a>,
    pub(super) url: &'a str,
    pub(super) global: &'a Global,
}

impl Ground for OnFleet<'_> {
    fn run(&self, candidate: &Candidate, orders: UnboundedReceiver<Stop>) -> Attempt {
        let tell = |text: &str| {
            if !self.global.quiet {
                output::tell(text);
            }
        };
        let refused = |error: &dyn std::fmt::Display| Attempt::without_report(RunVerdict::Refused, error.to_string());
        // A client drives one exchange at a time: each run has its own, and so has whoever ends it.
        let client = match self.making.controller.client_of(self.url) {
            Ok(client) => client,
            Err(error) => return refused(&error),
        };
        let asked = Asked { as_it_is: self.making.as_it_is, seed: self.making.flags.seed, ..Asked::default() };
        let run = match submit(&client, &candidate.loaded, asked, tell) {
            Ok(run) => run,
            Err(error) => return refused(&error),
        };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.end_when_told(orders, &run.id, &over));
            let mut live = here::live(&candidate.loaded.document, self.making.parallel, self.global);
            let followed = client.follow(&run, |entry| live.entry(entry), tell);
            live.finish();
            over.store(true, Ordering::Release);
            match followed {
                Ok(Followed::Finished(entries)) => RunReport::from_entries(&entries).map_or_else(
                    |error| Attempt::without_report(RunVerdict::CleanupUnverified, error.to_string()),
                    |report| Attempt::of(report, None),
                ),
                Ok(Followed::Cancelled(because)) => refused(&format!("run {} did not begin: {because}", run.id)),
                // It goes on, or has ended, and nobody here saw how.
                Err(error) => Attempt::without_report(
                    RunVerdict::CleanupUnverified,
                    format!("run {} could not be followed to its end: {error}", run.id),
                ),
            }
        })
    }
}

/// How often it is asked whether a run is to end.
const LOOK: Duration = Duration::from_millis(200);

impl OnFleet<'_> {
    /// Asks the controller to end a run, once, when that is ordered. Waiting for its recovery is the controller's own affair.
    fn end_when_told(&self, mut orders: UnboundedReceiver<Stop>, run: &str, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            let reason = match orders.try_recv() {
                Ok(
                    Stop::Interrupted(reason) | Stop::Halted(reason) | Stop::Broken(reason) | Stop::Impossible(reason),
                ) => reason,
                Err(TryRecvError::Empty) => {
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
            };
            let path = format!("/v1/runs/{}/cancel", part(run));
            let asked = self
                .making
                .controller
                .client_of(self.url)
                .and_then(|client| client.send_once::<RunView>(&path, None, &Reason { reason }, |_| {}));
            if let Err(error) = asked {
                output::tell(&format!("run {run} could not be asked to end: {error}\n"));
            }
            return;
        }
    }
}
