//! Who may do what with a controller: tokens, roles, scopes, and the one decision.
//!
//! Pure: no store, no clock. What each action needs is one table ([`ACTIONS`]), from which the documentation and the
//! checks of the API are made. Whatever is not known is refused: labels that nobody told, a requester who is not named.

mod action;
mod decide;
pub mod first_admin;
mod role;
mod scope;
#[cfg(test)]
mod tests;
mod token;

pub use action::{ACTIONS, Action, Reach, Rule};
pub use decide::{Denied, Object, Principal, allow};
pub use role::{Role, RoleError};
pub use scope::{Labels, Scope, ScopeError};
pub use token::ApiToken;
