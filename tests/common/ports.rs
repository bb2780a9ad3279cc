//! Ports of this host for services of a test.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "part of tests; one that cannot go on fails")]

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
