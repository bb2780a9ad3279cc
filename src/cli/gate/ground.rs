//! Where runs that one command makes are carried out: on this host, or on a controller's fleet.

use anyhow::Context as _;
use faultline_agent::state::StateFolder;

use super::{fleet, here};
use crate::cli::client::ControllerFlags;
use crate::cli::flags::{Global, RunFlags};
use crate::gate::drive::Ground;

/// How the runs are made.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Making<'a> {
    /// The controller, if they are not to be made here.
    pub(in crate::cli) controller: &'a ControllerFlags,
    /// Whether the documents are as they stand in their files.
    pub(in crate::cli) as_it_is: bool,
    /// With which seed, and where their folders are made.
    pub(in crate::cli) flags: &'a RunFlags,
    /// How many may run beside one another.
    pub(in crate::cli) parallel: usize,
    /// Whether nothing is to be injected; only on this host.
    pub(in crate::cli) placebo: bool,
}

/// Does the work on this host or on a controller's fleet. `private` says whether any run has a private network.
///
/// # Errors
/// If the controller or the state folder cannot be used, an ordinary user can have no private network, or the work fails.
pub(in crate::cli) fn with_ground<T>(
    making: Making<'_>,
    private: bool,
    global: &Global,
    work: impl FnOnce(&dyn Ground) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if let Some(url) = &making.controller.controller {
        // Asked for now, so that a wrong token or address is told before anything is asked for.
        making.controller.client_of(url)?;
        return work(&fleet::OnFleet { making, url, global });
    }
    // The state folder belongs to the user who calls, so it is found before a user namespace makes him root.
    let state = StateFolder::resolve(global.state.as_deref())?;
    if private && !nix::unistd::geteuid().is_root() {
        faultline_agent::kernel::user_namespace::enter()
            .context("an ordinary user needs a user namespace for services of a run in a private network")?;
    }
    work(&here::Here { making, state: &state, global })
}
