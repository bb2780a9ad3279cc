//! The messages of the wire, made from `proto/faultline/agent/v1/session.proto`, where each field is explained.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "generated code"
)]

tonic::include_proto!("faultline.agent.v1");
