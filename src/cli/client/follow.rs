//! A run on a controller, followed from here to its verdict.
//!
//! When that controller is gone, another one has the run, and closes it; its journal is read from there anew, since it is
//! another file.

use http::Method;

use super::attention::{self, Attention, WAIT};
use super::{Client, part};
use crate::cli::failure::Failure;
use crate::controller::controllers::ControllersList;
use crate::controller::journal::JournalPage;
use crate::controller::runs::{RunDetails, RunStanding, RunView};
use crate::run::journal::{Entry, Event};

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
            let (attention, heard_before) = (Attention::new()?, Heard::default());
            let mut following =
                Following { client: self, id: &run.id, attention, entries: Vec::new(), heard: heard_before };
            following.look_for_controllers().await;
            following.follow(&mut heard, &mut told).await
        })
    }
}

struct Following<'a> {
    client: &'a Client,
    id: &'a str,
    attention: Attention,
    /// Those of the controller that is asked.
    entries: Vec<Entry>,
    heard: Heard,
}

/// How many entries but for samples were passed on, from whichever controller: these are the same on all of them.
#[derive(Debug, Default)]
struct Heard(usize);

impl Heard {
    /// Passes on what of a page was not before, if from another controller; `before` is what came before the page there.
    fn pass_on(&mut self, before: &[Entry], page: &[Entry], mut heard: impl FnMut(&Entry)) {
        let decides = |entry: &Entry| !matches!(entry.event, Event::Sample(_));
        let mut known = before.iter().filter(|entry| decides(entry)).count();
        for entry in page {
            let decisive = decides(entry);
            known += usize::from(decisive);
            if known > self.0 || known == self.0 && !decisive {
                heard(entry);
                self.0 = known;
            }
        }
    }
}

impl Following<'_> {
    async fn follow(
        &mut self,
        heard: &mut impl FnMut(&Entry),
        told: &mut impl FnMut(&str),
    ) -> Result<Followed, Failure> {
        let mut from = 0;
        let mut waits = String::new();
        let (mut asked, mut trouble) = (self.client.url(), String::new());
        loop {
            let path = format!("/v1/runs/{}/journal?from={from}&wait={WAIT}", part(self.id));
            let page = tokio::select! {
                page = self.client.ask::<JournalPage>(Method::GET, &path, None::<&()>) => page,
                () = self.attention.interruption() => {
                    self.interrupt(told).await?;
                    continue;
                }
            };
            let answers = self.client.url();
            if answers != asked {
                asked = answers;
                if from > 0 {
                    told(&format!("the run is followed on {asked}\n"));
                    self.entries.clear();
                    from = 0;
                    continue;
                }
            }
            let page = match page {
                Ok(page) => page,
                // A controller that is restarted finishes the run, or another one does; that is waited for.
                Err(error) if self.attention.is_patient() => {
                    let again = error.to_string();
                    if trouble != again {
                        told(&format!("{again}; asked again\n"));
                        trouble = again;
                    }
                    // Whoever answers next, be it at the same place, may have a journal without what its predecessor alone had.
                    self.entries.clear();
                    from = 0;
                    self.attention.pause().await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.attention.heard();
            from = page.next;
            self.heard.pass_on(&self.entries, &page.entries, &mut *heard);
            self.entries.extend(page.entries);
            if page.over {
                return self.ended().await;
            }
            if self.entries.is_empty() {
                let now = waiting(&self.show().await?);
                if now != waits {
                    told(&now);
                    waits = now;
                }
            }
        }
    }

    /// Learns where the other controllers are, as long as there is one that can be asked.
    async fn look_for_controllers(&self) {
        let list = self.client.ask::<ControllersList>(Method::GET, "/v1/controllers", None::<&()>).await;
        let urls = list.map(|list| list.controllers.into_iter().map(|controller| controller.url).collect::<Vec<_>>());
        self.client.also(&urls.unwrap_or_default());
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
        let (client, id) = (self.client, self.id);
        let ended_at = format!("/v1/runs/{}/cancel", part(id));
        let followed = attention::Followed { what: "run", id, shown_by: "faultline runs show", ended_at: &ended_at };
        self.attention.interrupt::<RunView>(client, followed, told).await
    }
}

fn waiting(details: &RunDetails) -> String {
    let RunDetails { run, waiting_for, .. } = details;
    match run.state {
        RunStanding::WaitingForApproval => format!(
            "run {} waits for {} approvals: `faultline runs approve {} --plan-hash {}`\n",
            run.id, run.approvals_needed, run.id, run.plan_hash
        ),
        RunStanding::Queued => format!("run {} is queued; it waits for {}\n", run.id, waiting_for.join("; for ")),
        _ => format!("run {} is {}\n", run.id, run.state.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Ending, journal};

    #[test]
    fn what_another_controller_tells_again_is_heard_once_and_in_its_order() {
        let whole = journal(Ending::Held);
        // What a controller tells that was not there: everything but samples.
        let kept: Vec<Entry> = whole.iter().filter(|entry| !matches!(entry.event, Event::Sample(_))).cloned().collect();
        assert!(kept.len() < whole.len());
        for seen in 0..whole.len() {
            let (mut heard, mut told) = (Heard::default(), Vec::new());
            heard.pass_on(&whole[..seen / 2], &[], |_| {});
            heard.pass_on(&[], &whole[..seen / 2], |entry| told.push(entry.clone()));
            heard.pass_on(&whole[..seen / 2], &whole[seen / 2..seen], |entry| told.push(entry.clone()));
            assert_eq!(told, whole[..seen]);
            // From the other one, page by page.
            let middle = kept.len() / 2;
            heard.pass_on(&[], &kept[..middle], |entry| told.push(entry.clone()));
            heard.pass_on(&kept[..middle], &kept[middle..], |entry| told.push(entry.clone()));
            let decisive: Vec<Entry> =
                told.into_iter().filter(|entry| !matches!(entry.event, Event::Sample(_))).collect();
            assert_eq!(decisive, kept);
        }
    }
}
