use jiff::Timestamp;
use tokio::sync::watch;

use super::{Reader, Reading};
use crate::game_day::document::Alertmanager;
use crate::signals::reach::Reach;

/// Asks Alertmanager, while alerts are watched. It ends when it is dropped.
#[derive(Debug)]
pub struct Sampler {
    /// Whether alerts are watched, and the number of the watch.
    wanted: watch::Sender<(bool, u64)>,
}

impl Sampler {
    /// Begins to ask, once [`watch`](Self::watch) says so, what `reach` allows alone. What is read is told until whoever is told answers `false`.
    /// Needs a runtime of tokio around it.
    ///
    /// # Errors
    /// What is wrong with the address of Alertmanager.
    pub fn start(
        alertmanager: &Alertmanager,
        reach: Reach,
        mut tell: impl FnMut(Timestamp, Reading) -> bool + Send + 'static,
    ) -> Result<Self, String> {
        let reader = Reader::new(alertmanager, reach)?;
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
                if !tell(at, told) {
                    return;
                }
            }
        });
        Ok(Self { wanted })
    }

    /// Whether alerts are watched now.
    pub fn watch(&self, wanted: bool) {
        self.wanted.send_if_modified(|now| std::mem::replace(&mut now.0, wanted) != wanted);
    }

    /// A new watch begins.
    pub fn begin(&self) {
        self.wanted.send_modify(|now| *now = (true, now.1 + 1));
    }
}
