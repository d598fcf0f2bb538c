//! The inputs for which the engine has no room yet, by peer and in their order. The read budgets of a peer's
//! connections bound them.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
    time::Duration,
};

use ::libp2p::PeerId;
use futures::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, BoxFuture, abortable},
    stream::FuturesUnordered,
};
use tokio::time::sleep;

use crate::libp2p::swarm::event::Inputs;

/// The pause before the next attempt at an engine that was ready and then took nothing.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(super) struct PendingInputs {
    peers: HashMap<PeerId, PendingPeer>,
    /// One readiness future for each of these peers. The futures of other peers are aborted.
    readiness: FuturesUnordered<Abortable<BoxFuture<'static, PeerId>>>,
}

struct PendingPeer {
    inputs: VecDeque<Inputs>,
    /// Aborts the peer's readiness future.
    readiness: AbortHandle,
}

impl PendingInputs {
    /// Whether inputs of `peer` are pending, so that later ones must be queued behind them.
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Queues inputs behind the pending ones of the same peer, of which there must be some.
    pub(super) fn append(&mut self, inputs: Inputs) {
        if let Some(pending) = self.peers.get_mut(&inputs.peer()) {
            pending.inputs.push_back(inputs);
        }
    }

    /// Stores inputs of a peer until `ready` completes, which is polled at once or after a pause.
    pub(super) fn insert(
        &mut self,
        peer: PeerId,
        inputs: VecDeque<Inputs>,
        ready: BoxFuture<'static, ()>,
        pause: bool,
    ) {
        let wait = async move {
            if pause {
                sleep(PAUSE).await;
            }
            ready.await;
            peer
        };
        let (wait, readiness) = abortable(wait.boxed());
        let before = self.peers.insert(peer, PendingPeer { inputs, readiness });
        before.into_iter().for_each(|pending| pending.readiness.abort());
        self.readiness.push(wait);
    }

    /// Takes all pending inputs of `peer`.
    pub(super) fn remove(&mut self, peer: &PeerId) -> VecDeque<Inputs> {
        let Some(PendingPeer { inputs, readiness }) = self.peers.remove(peer) else { return VecDeque::new() };
        readiness.abort();
        inputs
    }

    /// Takes the inputs of a peer for which the engine may have room now.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<(PeerId, VecDeque<Inputs>)> {
        while let Poll::Ready(Some(ready)) = self.readiness.poll_next_unpin(cx) {
            // An aborted future belongs to a peer whose inputs were removed or replaced.
            if let Ok(peer) = ready {
                return Poll::Ready((peer, self.remove(&peer)));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;
    use crate::network::P2pInput;

    #[test]
    fn the_readiness_of_a_removed_peer_has_no_effect() {
        let (mut pending, peer) = (PendingInputs::default(), PeerId::random());
        let inputs = || VecDeque::from([Inputs::new(peer, [P2pInput::connected(peer)], None)]);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        pending.insert(peer, inputs(), Box::pin(future::ready(())), false);
        assert_eq!(pending.remove(&peer).len(), 1);
        pending.insert(peer, inputs(), Box::pin(future::pending()), false);
        assert!(pending.poll_ready(&mut cx).is_pending());
        pending.insert(peer, inputs(), Box::pin(future::ready(())), false);
        pending.append(Inputs::new(peer, [], None));
        let Poll::Ready((ready, inputs)) = pending.poll_ready(&mut cx) else { panic!("it is ready") };
        assert_eq!((ready, inputs.len()), (peer, 2));
        assert!(!pending.contains(&peer));
        assert!(pending.poll_ready(&mut cx).is_pending());
        assert!(pending.readiness.is_empty());
    }
}
