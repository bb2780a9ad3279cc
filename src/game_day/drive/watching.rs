use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::Report;
use crate::game_day::alerts::{Reader, Reading};
use crate::game_day::document::Alertmanager;
use crate::game_day::machine::Event;

/// Asks Alertmanager, while alerts are watched.
pub(super) struct Sampler {
    /// Whether alerts are watched, and the number of the watch.
    wanted: watch::Sender<(bool, u64)>,
}

impl Sampler {
    /// Begins to ask, once [`watch`](Self::watch) says so.
    pub(super) fn start(alertmanager: &Alertmanager, reports: UnboundedSender<Report>) -> Result<Self, String> {
        let reader = Reader::new(alertmanager)?;
        let (wanted, mut wants) = watch::channel((false, 0));
        let mut interval = tokio::time::interval(alertmanager.interval.duration());
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::spawn(async move {
            let mut last: Option<(u64, Reading)> = None;
            while wants.wait_for(|(wanted, _)| *wanted).await.is_ok() {
                interval.tick().await;
                let number = wants.borrow().1;
                let reading = reader.read().await;
                let at = Timestamp::now();
                let told = match &reading {
                    // The first reading of a watch is told in full, and one after a gap too.
                    Reading::Firing(_) if last == Some((number, reading.clone())) => Reading::Unchanged,
                    _ => reading.clone(),
                };
                last = Some((number, reading));
                if reports.send(Report::Event(at, Event::Alerts(told))).is_err() {
                    return;
                }
            }
        });
        Ok(Self { wanted })
    }

    /// Whether alerts are watched now.
    pub(super) fn watch(&self, wanted: bool) {
        self.wanted.send_if_modified(|now| std::mem::replace(&mut now.0, wanted) != wanted);
    }

    /// A new watch begins.
    pub(super) fn begin(&self) {
        self.wanted.send_modify(|now| *now = (true, now.1 + 1));
    }
}
