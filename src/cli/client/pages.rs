//! Lists that the API gives page by page, read as a whole.

use serde::de::DeserializeOwned;

use super::{Client, Failure, query};
use crate::controller::agents::AgentsList;
use crate::controller::api_tokens::ApiTokensList;
use crate::controller::enrolment::EnrolmentTokensList;

/// So many are asked for at once: the most that are given.
const LIMIT: u32 = 500;

/// One page of a list.
pub(in crate::cli) trait Page: DeserializeOwned {
    /// After what the next page begins; nothing on the last one.
    fn take_next(&mut self) -> Option<String>;
    /// Takes in the page after this one.
    fn append(&mut self, later: Self);
}

macro_rules! pages {
    ($($list:ident of $elements:ident;)+) => {$(
        impl Page for $list {
            fn take_next(&mut self) -> Option<String> {
                self.next.take()
            }

            fn append(&mut self, later: Self) {
                self.$elements.extend(later.$elements);
            }
        }
    )+};
}

pages! {
    AgentsList of agents;
    ApiTokensList of tokens;
    EnrolmentTokensList of tokens;
}

impl Client {
    /// Reads a whole list.
    pub(in crate::cli) fn list<P: Page>(&self, path: &str) -> Result<P, Failure> {
        self.list_by(path, LIMIT)
    }

    /// The same, in pages of this length.
    pub(super) fn list_by<P: Page>(&self, path: &str, limit: u32) -> Result<P, Failure> {
        let page =
            |after| self.get::<P>(&format!("{path}{}", query([("limit", Some(limit.to_string())), ("after", after)])));
        let mut whole = page(None)?;
        let mut next = whole.take_next();
        while next.is_some() {
            let mut later = page(next)?;
            next = later.take_next();
            whole.append(later);
        }
        Ok(whole)
    }
}
