//! Permits that are given to peers in turn: one with many messages delays those of another by one message only.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::libp2p::PeerId;
use tokio::sync::oneshot;

/// A number of permits, and the messages that wait for one.
pub(super) struct FairPermits(Mutex<State>);

struct State {
    /// The number of free permits. While it is above 0, no message waits.
    free: usize,
    /// The number of the next message that waits.
    next: u64,
    /// The messages that wait, by peer, each peer's in the order of their arrival.
    waiting: HashMap<PeerId, BTreeMap<u64, oneshot::Sender<()>>>,
    /// The peers with such messages, in the order of their turns.
    turns: VecDeque<PeerId>,
}

/// One of the permits. It is given to the next message when this is dropped.
pub(super) struct Permit(Arc<FairPermits>);

impl FairPermits {
    pub(super) fn new(count: usize) -> Self {
        let (waiting, turns) = (HashMap::new(), VecDeque::new());
        Self(Mutex::new(State { free: count, next: 0, waiting, turns }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit for a message of this peer. A message whose future is dropped waits no longer.
    pub(super) async fn acquire(self: Arc<Self>, peer: PeerId) -> Permit {
        let waits = self.lock().take_or_wait(peer);
        if let Some((number, turn)) = waits {
            let mut waiter = Waiter { permits: Arc::clone(&self), peer, number, has_permit: false };
            // The sender is used before it is dropped, unless this is dropped first.
            waiter.has_permit = turn.await.is_ok();
        }
        Permit(self)
    }

    /// Gives a permit to the next message, if one waits.
    fn release(&self) {
        let mut state = self.lock();
        let next = state.take_next();
        if next.is_none() {
            state.free += 1;
        }
        drop(state);
        // One that is dropped meanwhile releases the permit itself.
        if let Some(turn) = next {
            let _ = turn.send(());
        }
    }
}

impl State {
    /// Takes a permit, or adds a message that waits and returns its number and the end of its wait.
    fn take_or_wait(&mut self, peer: PeerId) -> Option<(u64, oneshot::Receiver<()>)> {
        if self.free > 0 {
            self.free -= 1;
            return None;
        }
        let (sender, turn) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        let messages = self.waiting.entry(peer).or_default();
        if messages.is_empty() {
            self.turns.push_back(peer);
        }
        messages.insert(number, sender);
        Some((number, turn))
    }

    /// Removes the message whose turn it is. Its peer's next one has its turn after those of all other peers.
    fn take_next(&mut self) -> Option<oneshot::Sender<()>> {
        let peer = self.turns.pop_front()?;
        let messages = self.waiting.get_mut(&peer)?;
        let (_, turn) = messages.pop_first()?;
        if messages.is_empty() {
            self.waiting.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(turn)
    }

    /// Removes a message. Returns false if it does not wait.
    fn remove(&mut self, peer: &PeerId, number: u64) -> bool {
        let Some(messages) = self.waiting.get_mut(peer) else { return false };
        let found = messages.remove(&number).is_some();
        if messages.is_empty() {
            self.waiting.remove(peer);
            self.turns.retain(|other| other != peer);
        }
        found
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A message that waits.
struct Waiter {
    permits: Arc<FairPermits>,
    peer: PeerId,
    number: u64,
    has_permit: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.has_permit {
            let waited = self.permits.lock().remove(&self.peer, self.number);
            if !waited {
                self.permits.release();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::{FutureExt, executor::block_on, future::poll_immediate};

    use super::*;

    type Acquire = Pin<Box<dyn Future<Output = Permit>>>;

    /// A message that waits for its turn already, if there is no permit.
    fn wait(permits: &Arc<FairPermits>, peer: PeerId) -> Acquire {
        let mut acquire: Acquire = Box::pin(Arc::clone(permits).acquire(peer));
        assert!(acquire.as_mut().now_or_never().is_none(), "there is no permit");
        acquire
    }

    fn get(acquire: &mut Acquire) -> Option<Permit> {
        block_on(poll_immediate(acquire))
    }

    #[test]
    fn a_message_waits_for_one_message_of_each_other_peer_only() {
        let permits = Arc::new(FairPermits::new(1));
        let [flooding, honest] = [PeerId::random(), PeerId::random()];
        let mut permit = block_on(Arc::clone(&permits).acquire(flooding));
        let peers = [flooding, flooding, flooding, honest, honest];
        let mut waiting: Vec<_> = peers.iter().map(|peer| Some(wait(&permits, *peer))).collect();
        let mut order = Vec::new();
        while order.len() < peers.len() {
            drop(permit);
            let mut next = waiting.iter_mut().enumerate().filter_map(|(index, acquire)| {
                let permit = get(acquire.as_mut()?)?;
                *acquire = None;
                Some((index, permit))
            });
            let (index, got) = next.next().expect("one has its turn");
            assert!(next.next().is_none(), "there is one permit");
            order.push(index);
            permit = got;
        }
        assert_eq!(order, [0, 3, 1, 4, 2]);
        drop(permit);
        let state = permits.lock();
        assert_eq!((state.free, state.waiting.len(), state.turns.len()), (1, 0, 0));
    }

    #[test]
    fn a_message_that_is_given_up_takes_no_permit_with_it() {
        let permits = Arc::new(FairPermits::new(1));
        let peers = [PeerId::random(), PeerId::random(), PeerId::random()];
        let permit = block_on(Arc::clone(&permits).acquire(peers[0]));
        let [before, with_turn, mut last] = peers.map(|peer| wait(&permits, peer));
        drop(before);
        drop(permit);
        // It has its turn and was not polled since.
        drop(with_turn);
        let permit = get(&mut last).expect("it is the only one");
        drop(permit);
        let state = permits.lock();
        assert_eq!((state.free, state.waiting.len(), state.turns.len()), (1, 0, 0));
    }
}
