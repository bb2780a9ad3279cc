use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NetworkLatency, netem};
use crate::facts::Feature;
use crate::fault::packet_scope::PacketScope;
use crate::fault::{PlanContext, PlanError};

/// What holds delayed packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyEngine {
    /// Whichever can do what is asked on this kernel; the plan says which and why.
    #[default]
    Auto,
    /// The worker, by a queue in user space. Undone by the kernel itself.
    Queue,
    /// The kernel's network emulator. Undone by the guard.
    Netem,
}

/// The engine chosen, and the reason in words.
#[derive(Debug)]
pub(super) enum Chosen {
    /// The queue in user space.
    Queue(String),
    /// The kernel's network emulator.
    Netem(String),
}

/// Chooses by what is asked, and by what the kernel of each namespace can do.
pub(super) fn choose(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<Chosen, PlanError> {
    let no_queue = || {
        scope.selections.iter().find_map(|selection| {
            let features = context.facts.kernel_features(&selection.namespace);
            [features.owner_tables, features.packet_queue].into_iter().find_map(|feature| match feature {
                Feature::Missing(why) => Some(why),
                Feature::Present => None,
            })
        })
    };
    let unsupported = |message: String| {
        Err(PlanError::Unsupported { message, hint: "`faultline doctor` lists what this host can do".into() })
    };
    match fault.engine {
        LatencyEngine::Queue => match no_queue() {
            None => Ok(Chosen::Queue("engine queue, as asked".into())),
            Some(why) => unsupported(format!("packets cannot be held in a queue: {why}")),
        },
        LatencyEngine::Netem => match netem::obstacle(fault, context, scope)? {
            None => Ok(Chosen::Netem("engine netem, as asked".into())),
            Some(why) => unsupported(format!("netem cannot do this: {why}")),
        },
        LatencyEngine::Auto => match (netem::obstacle(fault, context, scope)?, no_queue()) {
            (None, Some(why)) => Ok(Chosen::Netem(format!("engine netem: packets cannot be held in a queue ({why})"))),
            (None, None) => Ok(match netem::drawback(fault) {
                None => Chosen::Netem(format!("engine netem: {}", netem::merit(fault, scope))),
                Some(why) => Chosen::Queue(format!("engine queue: {why}")),
            }),
            (Some(why), None) => Ok(Chosen::Queue(format!("engine queue, since netem cannot do this: {why}"))),
            (Some(netem), Some(queue)) => {
                unsupported(format!("packets cannot be held in a queue: {queue}; and netem cannot do this: {netem}"))
            }
        },
    }
}
