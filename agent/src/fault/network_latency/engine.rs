use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NetworkLatency;
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
}

/// Chooses by what the kernel of each namespace can do.
pub(super) fn choose(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<Chosen, PlanError> {
    let mut reason = None;
    for selection in &scope.selections {
        let features = context.facts.kernel_features(&selection.namespace);
        let missing = [features.owner_tables, features.packet_queue].into_iter().find_map(|feature| match feature {
            Feature::Missing(why) => Some(why),
            Feature::Present => None,
        });
        reason = reason.or(missing);
    }
    let unsupported = |message: String| {
        Err(PlanError::Unsupported { message, hint: "`faultline doctor` lists what this host can do".into() })
    };
    match (fault.engine, reason) {
        (LatencyEngine::Auto | LatencyEngine::Queue, Some(why)) => {
            unsupported(format!("packets cannot be held in a queue: {why}"))
        }
        (LatencyEngine::Netem, _) => unsupported("the netem engine is not in this version".into()),
        (LatencyEngine::Queue, None) => Ok(Chosen::Queue("engine queue, as asked".into())),
        (LatencyEngine::Auto, None) => {
            Ok(Chosen::Queue("engine queue: it acts on exactly these packets and the kernel undoes it".into()))
        }
    }
}
