//! The check of sequence numbers: a message of an author is accepted only if its number is above those before it.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use ::libp2p::PeerId;

use crate::{
    libp2p::{bounded_map::BoundedMap, message::Message},
    network::Validity,
};

/// The highest accepted sequence number of each author. Of authors beyond a maximum, the one whose last message was accepted
/// first is evicted and counted.
pub(super) struct ReplayCheck {
    highest: Mutex<BoundedMap<PeerId, u64>>,
    evictions: AtomicU64,
}

impl ReplayCheck {
    pub(super) fn new(max_authors: usize) -> Self {
        Self { highest: Mutex::new(BoundedMap::new(max_authors)), evictions: AtomicU64::new(0) }
    }

    #[cfg(feature = "libp2p-node")]
    pub(super) fn max_authors(&self) -> usize {
        self.lock().capacity()
    }

    /// The number of authors that were evicted.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Whether a message with this number or a higher one of its author was accepted before.
    pub(super) fn is_replay(&self, message: &Message) -> bool {
        author(message).is_some_and(|(source, seqno)| is_known(&self.lock(), &source, seqno))
    }

    /// The verdict on a message that passed the check before it was validated. A valid one raises the number of its author;
    /// it is outdated if one with a higher number was accepted during its validation.
    pub(super) fn settle(&self, message: &Message, verdict: Validity) -> Validity {
        let Some((source, seqno)) = author(message).filter(|_| verdict == Validity::Valid) else {
            return verdict;
        };
        let mut highest = self.lock();
        if is_known(&highest, &source, seqno) {
            return Validity::Outdated;
        }
        if highest.insert(source, seqno).is_some() {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    /// The state behind the lock is consistent at any time.
    fn lock(&self) -> MutexGuard<'_, BoundedMap<PeerId, u64>> {
        self.highest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The author and its number. Only a signature shows that they are not what another peer wrote to suppress the author's
/// messages.
fn author(message: &Message) -> Option<(PeerId, u64)> {
    if message.is_verified() { message.source().copied().zip(message.seqno()) } else { None }
}

fn is_known(highest: &BoundedMap<PeerId, u64>, source: &PeerId, seqno: u64) -> bool {
    highest.get(source).is_some_and(|highest| seqno <= *highest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::libp2p::identity::Keypair;
    use futures::FutureExt;

    use super::*;
    use crate::{
        libp2p::{Libp2pNetwork, SignaturePolicy, Validator, message::Content},
        network::{Delivery, Network},
    };

    fn message(source: PeerId, seqno: u64, is_verified: bool) -> Message {
        Message::new(Content { source: Some(source), seqno: Some(seqno), is_verified, ..Content::default() })
    }

    #[test]
    fn a_sequence_number_that_is_not_above_the_last_one_is_ignored() {
        let (check, [a, b, c]) = (ReplayCheck::new(2), [(); 3].map(|()| PeerId::random()));
        let settle = |peer, seqno| check.settle(&message(peer, seqno, true), Validity::Valid);
        assert_eq!(settle(a, 5), Validity::Valid);
        assert_eq!([4, 5, 6].map(|seqno| check.is_replay(&message(a, seqno, true))), [true, true, false]);
        // A validation that ended late.
        assert_eq!(settle(a, 4), Validity::Outdated);
        assert_eq!(settle(b, 4), Validity::Valid);
        // Only a valid message of the author itself raises the number.
        for verdict in [Validity::Invalid, Validity::Outdated, Validity::Unknown] {
            assert_eq!(check.settle(&message(a, 9, true), verdict), verdict);
        }
        check.settle(&message(a, 9, false), Validity::Valid);
        assert!(!check.is_replay(&message(a, 6, true)) && !check.is_replay(&message(a, 5, false)));
        // It is bounded: `b` is evicted, whose last message is older than that of `a`.
        assert_eq!((settle(a, 6), check.evictions()), (Validity::Valid, 0));
        assert_eq!((settle(c, 1), check.evictions()), (Validity::Valid, 1));
        assert!(check.is_replay(&message(a, 6, true)) && !check.is_replay(&message(b, 4, true)));
    }

    #[test]
    fn a_network_ignores_replays_whatever_kind_its_validator_is() {
        for validator in
            [Validator::new(|_| Validity::Valid), Validator::asynchronous(|_| async { Validity::Valid })]
        {
            let key = Box::new(Keypair::ed25519_from_bytes([7; 32]).unwrap());
            let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(key)).refuse_replays(8).build();
            network.set_validator(None, validator);
            let [first, second] = [(); 2].map(|()| {
                let full = network.message("t".into(), *b"data").unwrap();
                Delivery::new(PeerId::random(), Arc::new(full))
            });
            let verdict = |delivery: &Delivery<_>| match network.validate_async(delivery) {
                Some(verdict) => verdict.now_or_never().unwrap(),
                None => network.validate(delivery),
            };
            let verdicts = [&second, &second, &first].map(verdict);
            assert_eq!(verdicts, [Validity::Valid, Validity::Outdated, Validity::Outdated]);
        }
    }
}
