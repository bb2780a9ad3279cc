use crate::engine::EngineError;

/// An agent that cannot work on this host.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NodeError(#[from] EngineError);

impl NodeError {
    /// A way on, where there is one.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// The error with its causes and its hint in one text.
    pub fn told(&self) -> String {
        super::answer::told(&self.0, self.hint())
    }
}
