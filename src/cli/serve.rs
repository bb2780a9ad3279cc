//! `faultline serve`: the controller of a fleet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::flags::Global;
use super::output;
use crate::controller::Settings;
use crate::run::stop::StopSignals;
use crate::serve::{Options, serve};
use crate::signals::reach::{Network, Reach};
use crate::store::StoreAddress;

/// Serve a fleet: agents, schedules, and an API for people and programs
///
/// `faultline init` makes the data folder first. Agents dial the port for agents with certificates of the authority in it;
/// people and programs use the API with tokens. Standard error says first where it serves; then it is the log, one JSON
/// object a line. SIGTERM ends every run of this controller, undone, before the process ends; what a kill leaves is closed at
/// the next start.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The controller's own folder, made by `faultline init`
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where people and programs, and hosts that enrol, reach it
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// Where agents reach it
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7444")]
    pub agents: SocketAddr,
    /// The name or address by which agents, people and other controllers reach it [default: the first of `faultline init`]
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,
    /// The store, if several controllers share one: `postgres://USER@HOST/DATABASE` [default: a file in the data folder]
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreAddress>,
    /// Approvals that every run needs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub approvals: u32,
    /// Let documents have `exec` signals, whose commands run on this host with the rights of this process
    #[arg(long)]
    pub allow_exec_signals: bool,
    /// Networks that the http, tcp and prometheus signals of runs and the Alertmanager of game days may be in, which are
    /// asked from this host: these alone
    /// [default: all but link-local addresses and the metadata services of clouds]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    pub signal_allow: Vec<Network>,
    /// Game days that are over and kept, the newest; of older ones the run sheet and the postmortem stay, as files below
    /// `game-days` in the data folder
    #[arg(long, value_name = "N", default_value_t = Settings::default().keep_game_days, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_game_days: u32,
    /// Forget old game days without leaving their run sheets and postmortems
    #[arg(long)]
    pub forget_postmortems: bool,
}

/// Serves until a signal.
///
/// # Errors
/// If it cannot start.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let Arguments { data, listen, agents, advertise, store, approvals, .. } = arguments;
    let settings = Settings {
        allow_exec_signals: arguments.allow_exec_signals,
        least_approvals: approvals,
        signal_reach: Reach::only(arguments.signal_allow),
        keep_game_days: arguments.keep_game_days,
        keep_postmortems: !arguments.forget_postmortems,
        ..Settings::default()
    };
    let options = Options { data, api: listen, agents, store, advertise, settings };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let name = signals.next().await;
            tracing::info!(signal = name, "the controller stops: its runs are ended first");
            stopped.cancel();
        });
        let quiet = global.quiet;
        let served = serve(options, stop, |listening| {
            if !quiet {
                output::tell(&format!("serving: API on {}, agents on {}\n", listening.api, listening.agents));
            }
        });
        served.await.map_err(|error| {
            let hint = error.hint();
            Failure::precondition(error.to_string()).hint(hint)
        })?;
        Ok(ExitCode::SUCCESS)
    })
}
