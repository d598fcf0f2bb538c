//! The inputs for which the engine has no room yet, by peer and in their order. It holds at most what
//! the gates of a peer's connections let through, and decides nothing.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
    time::Duration,
};

use ::libp2p::PeerId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::sleep;

use super::Inputs;

/// The pause before an engine that said it was ready, and was not, is asked again.
const PAUSE: Duration = Duration::from_millis(5);

/// One wait for room. A peer that goes and comes back waits anew.
type Turn = (PeerId, u64);

#[derive(Default)]
pub(super) struct Held {
    peers: HashMap<PeerId, HeldPeer>,
    hopes: FuturesUnordered<BoxFuture<'static, Turn>>,
    turns: u64,
}

struct HeldPeer {
    inputs: VecDeque<Inputs>,
    turn: u64,
}

impl Held {
    /// Whether inputs of `peer` wait, so that others of it must wait behind them.
    pub(super) fn holds(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Puts inputs behind those of the same peer that wait already; there must be some.
    pub(super) fn append(&mut self, inputs: Inputs) {
        if let Some(held) = self.peers.get_mut(&inputs.peer()) {
            held.inputs.push_back(inputs);
        }
    }

    /// Holds inputs of a peer until `ready`, which is asked at once or after a pause.
    pub(super) fn hold(
        &mut self,
        peer: PeerId,
        inputs: VecDeque<Inputs>,
        ready: BoxFuture<'static, ()>,
        pause: bool,
    ) {
        self.turns += 1;
        let turn = self.turns;
        self.peers.insert(peer, HeldPeer { inputs, turn });
        let hope = async move {
            if pause {
                sleep(PAUSE).await;
            }
            ready.await;
            (peer, turn)
        };
        self.hopes.push(hope.boxed());
    }

    /// All that is held of `peer`.
    pub(super) fn remove(&mut self, peer: &PeerId) -> VecDeque<Inputs> {
        self.peers.remove(peer).map(|held| held.inputs).unwrap_or_default()
    }

    /// A peer for whose inputs there may be room now, with them.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<(PeerId, VecDeque<Inputs>)> {
        while let Poll::Ready(Some((peer, turn))) = self.hopes.poll_next_unpin(cx) {
            if self.peers.get(&peer).is_some_and(|held| held.turn == turn) {
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
    }
}
