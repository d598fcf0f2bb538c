//! The inputs for which the engine has no room yet, by peer and in their order. It holds at most what
//! the gates of a peer's connections let through, and decides nothing.

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

use crate::libp2p::swarm::inputs::Inputs;

/// The pause before an engine that said it was ready, and was not, is asked again.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(in crate::libp2p) struct Held {
    peers: HashMap<PeerId, HeldPeer>,
    /// One for each of these peers: those of others are aborted.
    hopes: FuturesUnordered<Abortable<BoxFuture<'static, PeerId>>>,
}

struct HeldPeer {
    inputs: VecDeque<Inputs>,
    hope: AbortHandle,
}

impl Held {
    /// Whether inputs of `peer` wait, so that others of it must wait behind them.
    pub(in crate::libp2p) fn holds(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Puts inputs behind those of the same peer that wait already; there must be some.
    pub(in crate::libp2p) fn append(&mut self, inputs: Inputs) {
        if let Some(held) = self.peers.get_mut(&inputs.peer()) {
            held.inputs.push_back(inputs);
        }
    }

    /// Holds inputs of a peer until `ready`, which is asked at once or after a pause.
    pub(in crate::libp2p) fn hold(
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
        let (wait, hope) = abortable(wait.boxed());
        let before = self.peers.insert(peer, HeldPeer { inputs, hope });
        before.into_iter().for_each(|held| held.hope.abort());
        self.hopes.push(wait);
    }

    /// All that is held of `peer`.
    pub(in crate::libp2p) fn remove(&mut self, peer: &PeerId) -> VecDeque<Inputs> {
        let Some(HeldPeer { inputs, hope }) = self.peers.remove(peer) else { return VecDeque::new() };
        hope.abort();
        inputs
    }

    /// A peer for whose inputs there may be room now, with them.
    pub(in crate::libp2p) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<(PeerId, VecDeque<Inputs>)> {
        while let Poll::Ready(Some(hope)) = self.hopes.poll_next_unpin(cx) {
            // A peer that went and came back waits anew.
            if let Ok(peer) = hope {
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
    fn a_wait_of_a_peer_that_went_is_forgotten() {
        let (mut held, peer) = (Held::default(), PeerId::random());
        let inputs = || VecDeque::from([Inputs::new(peer, [P2pInput::connected(peer)], None)]);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        held.hold(peer, inputs(), Box::pin(future::ready(())), false);
        assert_eq!(held.remove(&peer).len(), 1);
        held.hold(peer, inputs(), Box::pin(future::pending()), false);
        assert!(held.poll_ready(&mut cx).is_pending());
        held.hold(peer, inputs(), Box::pin(future::ready(())), false);
        held.append(Inputs::new(peer, [], None));
        let Poll::Ready((ready, inputs)) = held.poll_ready(&mut cx) else { panic!("it is ready") };
        assert_eq!((ready, inputs.len()), (peer, 2));
        assert!(!held.holds(&peer));
        assert!(held.poll_ready(&mut cx).is_pending());
        assert!(held.hopes.is_empty());
    }
}
