//! The heartbeat actor: one for each engine with timers. It owns the timer of the heartbeat and the number of the last
//! tick. At each `heartbeat_interval` it sends `Tick` and `CheckParked` to the supervisor, which runs the heartbeat.

pub(crate) mod actor;
mod messages;
