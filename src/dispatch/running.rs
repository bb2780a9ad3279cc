use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::experiment::machine::Stop;

/// The runs that are under way in this process, and how to end each. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<BTreeMap<String, Under>>>);

#[derive(Debug)]
struct Under {
    epoch: i64,
    /// None for a run that is being closed: it ends by itself, as soon as its agents have answered.
    orders: Option<UnboundedSender<Stop>>,
    stopped: bool,
}

impl Running {
    fn all_of_them(&self) -> MutexGuard<'_, BTreeMap<String, Under>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run is under way from now on; its driver listens to what this returns.
    pub(crate) fn begin(&self, run: &str, epoch: i64) -> UnboundedReceiver<Stop> {
        let (orders, ordered) = unbounded_channel();
        self.all_of_them().insert(run.to_owned(), Under { epoch, orders: Some(orders), stopped: false });
        ordered
    }

    /// A run is being closed from now on.
    pub(super) fn begin_closing(&self, run: &str, epoch: i64) {
        self.all_of_them().insert(run.to_owned(), Under { epoch, orders: None, stopped: true });
    }

    /// A run is over here.
    pub(super) fn end(&self, run: &str) {
        self.all_of_them().remove(run);
    }

    /// Each run with its epoch.
    pub(super) fn all(&self) -> Vec<(String, i64)> {
        self.all_of_them().iter().map(|(run, under)| (run.clone(), under.epoch)).collect()
    }

    /// Whether a run is under way here.
    pub fn has(&self, run: &str) -> bool {
        self.all_of_them().contains_key(run)
    }

    /// How many are.
    pub fn len(&self) -> usize {
        self.all_of_them().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends a run: it undoes, and comes to its verdict. The first order counts. Answers whether it is under way here.
    pub fn stop(&self, run: &str, why: Stop) -> bool {
        match self.all_of_them().get_mut(run) {
            Some(under) => {
                under.stop(why);
                true
            }
            None => false,
        }
    }

    /// Ends every run.
    pub fn stop_all(&self, why: &Stop) {
        for under in self.all_of_them().values_mut() {
            under.stop(why.clone());
        }
    }
}

impl Under {
    fn stop(&mut self, why: Stop) {
        if !self.stopped
            && let Some(orders) = &self.orders
        {
            self.stopped = true;
            // Its driver has ended by itself if nobody listens.
            let _ = orders.send(why);
        }
    }
}
