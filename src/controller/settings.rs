use std::time::Duration;

use crate::experiment::document::BlastRadius;
use crate::signals::reach::Reach;

/// What whoever starts a controller decides once, and no call can change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Ceilings over all runs together.
    pub ceilings: BlastRadius,
    /// Whether `exec` signals, which run a command on the controller's own host, are allowed.
    pub allow_exec_signals: bool,
    /// What the signals of runs and the alerts of game days may reach, which are asked from the controller's own host.
    pub signal_reach: Reach,
    /// How long an approval counts.
    pub approvals_last: Duration,
    /// How long a halt, and a release, wait for the agents.
    pub halt_patience: Duration,
    /// Approvals that every run needs at the least, whoever asks for it.
    pub least_approvals: u32,
    /// So many game days that are over are kept, the newest; older ones are forgotten with their journals.
    pub keep_game_days: u32,
    /// Whether the run sheet and the postmortem of a game day are kept in the controller's folder when it is forgotten.
    pub keep_postmortems: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ceilings: BlastRadius::default(),
            allow_exec_signals: false,
            signal_reach: Reach::default(),
            approvals_last: Duration::from_secs(24 * 3600),
            halt_patience: Duration::from_secs(30),
            least_approvals: 0,
            keep_game_days: 100,
            keep_postmortems: true,
        }
    }
}
