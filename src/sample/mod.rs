//! The sample service: a shop whose front end asks a backend over TCP, small enough to understand and real enough to
//! break. Its switches for timeout, retries and fallback let an experiment hold or fail for an honest reason.
//!
//! Front and backend are separate processes, so that each can be killed, paused or cut off by itself.

pub mod backend;
pub mod checkout;
pub mod front;
pub mod metrics;
mod server;
