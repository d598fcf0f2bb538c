//! The router actor: one for each engine. It owns the outputs that it has received and not yet sorted. Topics and the
//! supervisor send it their outputs; it merges them into the p2p stream and the application's stream, and keeps the
//! order of each sender.

pub(crate) mod actor;
pub(crate) mod messages;
