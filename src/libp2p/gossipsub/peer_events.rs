//! The events about peers on their way from the engine's threads to the behaviour.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use crate::{libp2p::network::Libp2pNetwork, protocol::PeerEvent};

/// Most queued penalties. Further ones are counted: the picture of the peers does not depend on them.
const MAX_PENALTIES: usize = 4_096;

/// Events in the order of the engine. Those that change the picture are never dropped. Their number is bounded by that of
/// the engine's queued inputs, from which they follow: the behaviour passes on inputs only when it has taken all events.
#[derive(Default)]
pub(super) struct PeerEvents(Mutex<Queued>);

#[derive(Default)]
pub(super) struct Queued {
    pub(super) events: VecDeque<PeerEvent<Libp2pNetwork>>,
    penalties: usize,
    /// The number of penalties that were dropped.
    pub(super) lost: usize,
    waker: Option<Waker>,
}

impl PeerEvents {
    pub(super) fn push(&self, event: PeerEvent<Libp2pNetwork>) {
        let mut queued = self.lock();
        if matches!(event, PeerEvent::Penalised(..)) {
            if queued.penalties >= MAX_PENALTIES {
                queued.lost += 1;
                return;
            }
            queued.penalties += 1;
        }
        queued.events.push_back(event);
        let waker = queued.waker.take();
        drop(queued);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes all events. The task of `cx` is woken by the next one in any case: events that change only the picture of the
    /// peers are no reason for the caller to poll again.
    pub(super) fn take(&self, cx: &Context<'_>) -> Queued {
        let mut queued = self.lock();
        queued.waker = Some(cx.waker().clone());
        let Queued { events, penalties, lost, waker: _ } = &mut *queued;
        *penalties = 0;
        Queued { events: std::mem::take(events), lost: std::mem::take(lost), ..Queued::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        // No code panics while it has the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use ::libp2p::PeerId;

    use super::*;
    use crate::protocol::Penalty;

    #[test]
    fn penalties_are_bounded_and_other_events_are_not_lost() {
        let (queue, peer) = (PeerEvents::default(), PeerId::random());
        for _ in 0..MAX_PENALTIES + 10 {
            queue.push(PeerEvent::Penalised(peer, None, Penalty::SlowPeer));
        }
        queue.push(PeerEvent::Connected(peer));
        let cx = Context::from_waker(Waker::noop());
        let queued = queue.take(&cx);
        assert_eq!((queued.events.len(), queued.lost), (MAX_PENALTIES + 1, 10));
        assert_eq!(queued.events.back(), Some(&PeerEvent::Connected(peer)));
        let queued = queue.take(&cx);
        assert_eq!((queued.events.len(), queued.lost), (0, 0));
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection is no event for the application: the behaviour takes it and is not polled again before the next one.
    #[test]
    fn an_event_wakes_the_task_also_if_it_took_others_before() {
        let (queue, wakes) = (PeerEvents::default(), Arc::new(Wakes::default()));
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = Context::from_waker(&waker);
        queue.push(PeerEvent::Connected(PeerId::random()));
        assert_eq!(queue.take(&cx).events.len(), 1);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        queue.push(PeerEvent::Connected(PeerId::random()));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(queue.take(&cx).events.len(), 1);
    }
}
