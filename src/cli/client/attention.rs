//! What following a run and following a game day have in common: interruptions, and patience with a controller that does
//! not answer.

use std::time::{Duration, Instant};

use http::Method;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Client;
use crate::cli::failure::Failure;
use crate::console::Reason;

/// How long the controller is asked to wait for news, in seconds.
pub(super) const WAIT: u64 = 20;
/// How long a controller that cannot be reached is asked again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long after it did not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Whoever follows something.
#[derive(Debug)]
pub(super) struct Attention {
    interrupts: Signal,
    interrupted: bool,
    /// When the controller last answered.
    heard: Instant,
}

/// What is followed, as people are told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed<'a> {
    /// `run`, `game day`.
    pub(super) what: &'a str,
    /// Its id.
    pub(super) id: &'a str,
    /// The command that shows how it ended.
    pub(super) shown_by: &'a str,
    /// Where it is asked to end.
    pub(super) ended_at: &'a str,
}

impl Attention {
    pub(super) fn new() -> Result<Self, Failure> {
        let interrupts = signal(SignalKind::interrupt())
            .map_err(|error| Failure::precondition("interruptions cannot be listened to").because(error))?;
        Ok(Self { interrupts, interrupted: false, heard: Instant::now() })
    }

    /// Waits for the next interruption.
    pub(super) async fn interruption(&mut self) {
        self.interrupts.recv().await;
    }

    /// The controller has answered.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Whether a controller that does not answer is asked again.
    pub(super) fn is_patient(&self) -> bool {
        self.heard.elapsed() < PATIENCE
    }

    /// Waits until it is.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }

    /// With the first interruption what is followed is asked to end, with the second it is followed no more.
    pub(super) async fn interrupt<T: DeserializeOwned>(
        &mut self,
        client: &Client,
        followed: Followed<'_>,
        told: impl FnOnce(&str),
    ) -> Result<(), Failure> {
        let Followed { what, id, shown_by, ended_at } = followed;
        if self.interrupted {
            let message = format!("{what} {id} is not followed any more; it was asked to end");
            return Err(Failure::new(130, message).hint(format!("`{shown_by} {id}` says how it ended")));
        }
        self.interrupted = true;
        told(&format!("the {what} is asked to undo everything and end; interrupt again not to wait for that\n"));
        let reason = Reason { reason: "interrupted at the terminal".into() };
        client.ask::<T>(Method::POST, ended_at, Some(&reason)).await?;
        Ok(())
    }
}
