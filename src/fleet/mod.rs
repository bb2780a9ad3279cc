//! How agents are reached; the in-process agent of `run`.
