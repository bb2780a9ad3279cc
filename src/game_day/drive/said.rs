//! What people say on this host, put to the machine.

use jiff::Timestamp;

use super::{Drive, DriveError};
use crate::game_day::machine::{Asked, Event};
use crate::game_day::spoken::Spoken;

impl Drive<'_> {
    /// What people said; what makes no sense is told to them and changes nothing.
    pub(super) fn said(&mut self, spoken: Spoken) -> Result<(), DriveError> {
        let event = match spoken {
            Spoken::Event(event) => event,
            Spoken::Approve(by) => Spoken::approval(by, self.state.hash().clone()),
            Spoken::Answer { by, answer, remark } => {
                let asked = self.state.asked().filter(|asked| *asked != Asked::Approvals);
                match asked.and_then(|asked| asked.answered(by.clone(), answer, remark.clone())) {
                    Some(event) => event,
                    // The machine says why this is no moment for it.
                    None => Event::Decided { by, answer, remark },
                }
            }
            Spoken::Wait(_) => return Ok(()),
        };
        match self.event(Timestamp::now(), event) {
            Err(DriveError::Illegal(illegal)) => {
                self.company.refused(&illegal);
                Ok(())
            }
            other => other,
        }
    }
}
