//! Delivery: one courier an endpoint, so that one which hangs costs nothing but its own queue.

mod courier;
mod post;
#[cfg(test)]
mod tests;

pub(super) use self::courier::{Courier, Turn};
