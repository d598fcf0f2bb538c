//! The message that the heartbeat actor takes.

use actix::Message;

/// From its own timer: a heartbeat is due. The actor sends it to the supervisor and arms the timer again. If the last
/// heartbeat is still in progress, it reports this one as skipped instead, so that ticks do not accumulate. Not
/// answered.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HeartbeatDue;
