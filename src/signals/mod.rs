//! Where samples come from: one file a source. A source only measures; what a sample means is for
//! [`hypothesis`](crate::hypothesis) to say.

pub mod sample;
