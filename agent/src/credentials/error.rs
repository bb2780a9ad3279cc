use std::error::Error;

/// Keys or certificates cannot be made, kept or used.
#[derive(Debug, thiserror::Error)]
#[error("{subject} {problem}")]
pub struct CredentialsError {
    /// What it is about: a file, a certificate.
    pub subject: String,
    /// What is wrong, as the rest of a sentence.
    pub problem: String,
    /// A way on.
    pub hint: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl CredentialsError {
    /// An error without a deeper cause.
    pub fn new(subject: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { subject: subject.into(), problem: problem.into(), hint: hint.into(), source: None }
    }

    /// The same with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
