//! The supervisor actor: one for each engine. It owns the state of the peers (connections, scores, px, parked messages,
//! batches), starts and restarts the mesh actors, and handles the inputs of passive topics, which need no actor.
//! Everything comes in order through its inbox, as [`SupervisorItem`](messages::SupervisorItem)s: actix messages of the
//! handle, events of topics, and ticks of the heartbeat. It sends commands to topics and outputs to the router.

pub(crate) mod actor;
mod connections;
mod heartbeat;
mod listing;
pub(crate) mod messages;
mod settings;
mod topics;
