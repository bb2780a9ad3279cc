use std::sync::Arc;
use std::time::Duration;

use super::Clock;
use super::desk::Desk;
use crate::node::MustStop;

/// How often the host is looked at: whether somebody halted it, whether the guard lives, and, after a suspend, how late it
/// is (timers of the runtime do not count the time asleep).
const LOOK: Duration = Duration::from_secs(1);

const GUARD_LOST: &str = "the guard is gone";

/// Keeps the law of the lease on this host, connected or not, until the guard is lost.
pub(super) async fn keep<C: Clock>(desk: Arc<Desk<C>>) -> MustStop {
    let mut halted = false;
    loop {
        let earlier = desk.due_earlier.notified();
        tokio::pin!(earlier);
        earlier.as_mut().enable();
        desk.host.heartbeat();
        let must_stop = desk.must_stop();
        if halted != matches!(must_stop, Some(MustStop::Halted(_))) {
            halted = !halted;
            // The controllers are to hear of it now, and not with the next heartbeat.
            desk.changed.notify_waiters();
            continue;
        }
        // Without a fault as well: nothing can be put in place until the agent is started again, with another guard.
        if must_stop == Some(MustStop::GuardLost) {
            desk.undo_all(GUARD_LOST).await;
            return MustStop::GuardLost;
        }
        let due = match must_stop {
            Some(MustStop::Halted(halt)) => desk.take_all(&format!("the host was halted: {}", halt.reason)),
            _ => desk.take_due(),
        };
        if !due.is_empty() {
            // Beside this loop: an undo that waits for a slow step must not hold up the next one's.
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.undo_alone(due).await });
        }
        let left = desk.next().map_or(LOOK, |next| next.since(desk.clock.now()));
        // What is due already is under way, and says when it is over.
        let pause = if left.is_zero() { LOOK } else { left.min(LOOK) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut earlier => {}
        }
    }
}
