//! Follows a chain of records and says where it breaks.

use super::{Hash, Head, Record};

/// A chain that somebody has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log was tampered with at record {sequence}: {why}")]
pub struct Broken {
    /// The first record that does not fit.
    pub sequence: u64,
    /// How.
    pub why: Fault,
}

/// How a record does not fit into its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its contents do not have its hash.
    #[error("its contents were changed")]
    Changed,
    /// Records before it are missing.
    #[error("record {0} should stand here: records are missing or were moved")]
    Missing(u64),
    /// It does not name the hash of the one before.
    #[error("it does not follow the record before it: one of the two was replaced")]
    Unlinked,
    /// The log ends although its head says that there is more.
    #[error("the log ends before it: its newest records were removed")]
    CutOff,
    /// The log goes on after its head.
    #[error("it stands behind the head of the log: it was added around the chain")]
    Added,
    /// The record of this number is another one than was kept.
    #[error("it is not the record whose hash was kept: the log was written anew")]
    Rewritten,
}

/// Follows a chain record by record.
#[derive(Debug, Clone)]
pub struct Verifier {
    head: Head,
    kept: Vec<Head>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { head: Head::EMPTY, kept: Vec::new() }
    }
}

impl Verifier {
    /// Also demands that the chain contains this head, which was kept elsewhere or beside the log.
    #[must_use]
    pub fn must_contain(mut self, head: Head) -> Self {
        self.kept.push(head);
        self
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn push(&mut self, record: &Record) -> Result<(), Broken> {
        let expected = self.head.sequence + 1;
        let broken = |why| Err(Broken { sequence: record.sequence, why });
        if record.sequence != expected {
            return broken(Fault::Missing(expected));
        }
        if record.previous != self.head.hash {
            return broken(Fault::Unlinked);
        }
        if record.computed() != record.hash {
            return broken(Fault::Changed);
        }
        self.head = record.head();
        if self.kept.iter().any(|kept| kept.sequence == record.sequence && kept.hash != record.hash) {
            return broken(Fault::Rewritten);
        }
        Ok(())
    }

    /// The head of the chain that was followed.
    ///
    /// # Errors
    /// If it ends before a head that it must contain.
    pub fn finish(self) -> Result<Head, Broken> {
        match self.kept.iter().filter(|kept| kept.sequence > self.head.sequence).min_by_key(|kept| kept.sequence) {
            Some(_) => Err(Broken { sequence: self.head.sequence + 1, why: Fault::CutOff }),
            None if self.kept.iter().any(|kept| kept.sequence == 0 && kept.hash != Hash::ZERO) => {
                Err(Broken { sequence: 0, why: Fault::Rewritten })
            }
            None => Ok(self.head),
        }
    }
}

/// Follows a whole chain, oldest record first.
///
/// # Errors
/// At the first record that was changed, is missing, was moved or was added around the chain. What was cut off at the
/// end is not seen: see the module's description.
pub fn verify<R: std::borrow::Borrow<Record>>(records: impl IntoIterator<Item = R>) -> Result<Head, Broken> {
    let mut verifier = Verifier::default();
    for record in records {
        verifier.push(record.borrow())?;
    }
    verifier.finish()
}
