//! The mesh actors of one arbiter and the mailbox that they share. [`ArbiterActor`](actor::ArbiterActor) owns the index
//! of these actors; inputs reach it from the handle and the supervisor through an
//! [`ArbiterMailbox`](mailbox::ArbiterMailbox). It runs each topic on the inputs that arrived for it, and sends the
//! results to the router and the supervisor once for the whole batch.

pub(crate) mod actor;
pub(in crate::actors) mod burst;
pub(crate) mod mailbox;
mod slot;
