//! The transfer between an engine and the transport in one round of the driver: a bounded amount each way.

use std::task::{Context, Poll};

use super::{
    engine::{Engine, OutputSource},
    engine_inputs::{EngineInputs, Observe},
};
use crate::libp2p::swarm::behaviour::Behaviour;

/// The most items of each kind that are handled in one round.
pub(in crate::libp2p) const MAX_ITEMS_PER_ROUND: usize = 64;
/// The number of queued events of the transport beyond which no outputs are read.
const MAX_QUEUED_EVENTS: usize = 4_096;

/// Passes pending inputs to the engine, and its outputs to the transport. `Ready` if there were some; with `false` if the
/// engine has ended.
pub(in crate::libp2p) fn poll_transfer<E: Engine>(
    cx: &mut Context<'_>,
    inputs: &mut EngineInputs<E>,
    outputs: &mut impl OutputSource,
    transport: &mut Behaviour,
    observe: &mut Observe<'_>,
) -> Poll<bool> {
    let mut idle = true;
    for _ in 0..MAX_ITEMS_PER_ROUND {
        if inputs.poll_pending(cx, observe).is_pending() {
            break;
        }
        idle = false;
    }
    for _ in 0..MAX_ITEMS_PER_ROUND {
        if transport.queued_events() > MAX_QUEUED_EVENTS {
            idle = false;
            break;
        }
        let Poll::Ready(batch) = outputs.poll_next(cx) else { break };
        let Some(batch) = batch else { return Poll::Ready(false) };
        idle = false;
        transport.emit(batch);
    }
    if idle { Poll::Pending } else { Poll::Ready(true) }
}
