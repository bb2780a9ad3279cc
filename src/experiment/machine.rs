//! The pure state machine of a run: `step(State, Event) -> (State, Vec<Command>)`. No clock, no await.
