//! Where samples come from: one file a source. A source only measures; what a sample means is for
//! [`hypothesis`](crate::hypothesis) to say.

#[allow(dead_code, reason = "the sources to come need the rest")]
pub(crate) mod command;
#[allow(dead_code, reason = "the sources to come need the rest")]
pub(crate) mod exchange;
pub mod sample;
