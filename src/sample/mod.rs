//! The sample service `shop`, to try experiments on.
