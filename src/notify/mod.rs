//! Notifications: what happens to runs, hosts, schedules and game days, told to whoever is to know.
//!
//! What happened is an [`Occurrence`]: plain data with an id of its own. [`Notifier::tell`] puts it into an [`Outbox`], once
//! for each endpoint of [`Settings`] that wants it, and returns; [`Notifier::deliver`] takes it from there. No receiver,
//! however slow, holds up a run, nor another receiver.
//!
//! Delivery is at least once, in the order of what happened to one subject, with the same id each time:
//!
//! - a CloudEvent's `source` and `id`, and the header `webhook-id`, by which a receiver drops what it has had;
//! - PagerDuty's `dedup_key`, by which two alerts are one.
//!
//! Slack and Grafana know no such id: there, what was delivered but whose answer was lost is seen twice.
//!
//! A receiver of signed messages finds in [`signature`] what to check, and [`signature::verify`] to check it.

mod counts;
mod deliver;
pub mod format;
mod notifier;
pub mod occurrence;
pub mod outbox;
pub mod retry;
pub mod settings;
pub mod signature;
mod words;

pub use self::counts::Counts;
pub use self::format::Format;
pub use self::notifier::Notifier;
pub use self::occurrence::{
    FaultSubject, GameDaySubject, Importance, Occurrence, RunSubject, StepState, StoppedBy, Subject, What,
};
pub use self::outbox::{MemoryOutbox, Outbox, OutboxError};
pub use self::settings::{Endpoint, Settings};
