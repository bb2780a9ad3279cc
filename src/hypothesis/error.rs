//! Why a hypothesis cannot be judged at all.

/// A hypothesis that cannot be judged as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// Nothing must hold, so nothing could be shown.
    #[error(
        "steadyState is empty: a run without an objective could never show anything\n  hint: name at least one objective, such as `{{ signal: checkout, errors: {{ below: 1% }} }}`"
    )]
    NoObjective,
    /// An objective bounds a signal that the document does not have.
    #[error(
        "an objective bounds the signal `{signal}`, which `signals` does not name\n  hint: add it under `signals`, or correct its name"
    )]
    NoSuchSignal {
        /// The name.
        signal: String,
    },
    /// An objective that no data could decide.
    #[error("the objective on `{signal}` cannot be judged: {why}")]
    Objective {
        /// The signal's name.
        signal: String,
        /// Why, and what to write instead.
        why: String,
    },
    /// An error rate that says nothing.
    #[error("errorRate is {given}, but must lie above 0% and at most at 50%\n  hint: leave it out for 5%")]
    ErrorRate {
        /// As written.
        given: String,
    },
    /// A journal from which no judgement can be made.
    #[error(
        "the journal does not say how the run began, so it cannot be judged again\n  hint: its first line must be `started`"
    )]
    NoBeginning,
}
