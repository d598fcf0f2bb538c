//! The signed messages that were verified lately, so that the copies of a message that the other peers of a mesh deliver
//! are not verified again. A copy is compared with the message byte by byte: no digest decides whether a signature is
//! right, so that nobody can forge a message by a collision. Only right signatures are stored, so that forged messages
//! evict nothing. Lookups take no lock.

use std::{
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use crate::libp2p::{
    codec::entry::RawMessage,
    ids::{MessageId, TopicName},
    message::{Message, WeakMessage},
};

/// Most verified messages. A power of two.
const CAPACITY: usize = 1 << 14;
/// A message is stored in one of as many places. A power of two.
const WAYS: usize = 4;

/// The last verified messages that still exist: the memory of a message is freed when the engine drops it.
#[derive(Debug, Default)]
pub(in crate::libp2p) struct VerifiedMessages {
    /// Places, in groups of [`WAYS`]. Allocated for the first message.
    places: OnceLock<Box<[ArcSwapOption<Verified>]>>,
    /// Random, so that no peer knows which messages share a group. A peer that signs messages of its own can evict others
    /// all the same, each of which then costs one more check.
    hasher: RandomState,
}

#[derive(Debug)]
struct Verified {
    /// The source as it was sent; a peer id has several encodings.
    from: Box<[u8]>,
    topic: TopicName,
    id: MessageId,
    message: WeakMessage,
}

impl VerifiedMessages {
    /// The verified message of which `raw` is a copy, with its topic and its id.
    pub(in crate::libp2p) fn find(&self, raw: &RawMessage<'_>) -> Option<(TopicName, MessageId, Message)> {
        self.group(self.places.get()?, raw).0.iter().find_map(|place| {
            let verified = place.load();
            let verified = verified.as_ref()?;
            let message = verified.original_of(raw)?;
            Some((verified.topic.clone(), verified.id.clone(), message))
        })
    }

    /// Stores a message whose signature is right, in the place of one that no longer exists, or else of any other.
    pub(in crate::libp2p) fn insert(
        &self,
        raw: &RawMessage<'_>,
        topic: &TopicName,
        id: &MessageId,
        message: &Message,
    ) {
        let from = raw.from.unwrap_or_default().into();
        let verified = Verified { from, topic: topic.clone(), id: id.clone(), message: message.downgrade() };
        let places = self.places.get_or_init(|| (0..CAPACITY).map(|_| ArcSwapOption::empty()).collect());
        let (group, way) = self.group(places, raw);
        let is_free = |place: &&ArcSwapOption<Verified>| {
            place.load().as_ref().is_none_or(|verified| !verified.message.exists())
        };
        group.iter().find(is_free).unwrap_or(&group[way]).store(Some(Arc::new(verified)));
    }

    /// The places where the message may be stored, and the index of the one that it takes if all are in use.
    fn group<'a>(
        &self,
        places: &'a [ArcSwapOption<Verified>],
        raw: &RawMessage<'_>,
    ) -> (&'a [ArcSwapOption<Verified>], usize) {
        let hash = self.hasher.hash_one((raw.from, raw.seqno));
        let first = hash as usize % (CAPACITY / WAYS) * WAYS;
        (&places[first..first + WAYS], (hash >> 32) as usize % WAYS)
    }
}

impl Verified {
    /// The message, if `raw` has the same fields.
    fn original_of(&self, raw: &RawMessage<'_>) -> Option<Message> {
        if raw.from != Some(&*self.from) || raw.topic != self.topic.as_str() {
            return None;
        }
        let message = self.message.upgrade()?;
        let content = message.content();
        let same = raw.seqno == content.seqno.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)
            && raw.signature == content.signature.as_deref()
            && raw.key == content.key.as_deref()
            && raw.data == content.data.as_deref();
        same.then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::message::Content;

    const SOURCE: &[u8] = b"a source";

    /// A message, as if its signature were right, and its fields.
    fn message(number: u64, data: &[u8]) -> (Message, [u8; 8]) {
        let signature = Some(b"a signature".as_slice().into());
        let content =
            Content { seqno: Some(number), data: Some(data.into()), signature, ..Content::default() };
        (Message::new(content), number.to_be_bytes())
    }

    fn raw<'a>(seqno: &'a [u8; 8], data: &'a [u8]) -> RawMessage<'a> {
        let signature = Some(b"a signature".as_slice());
        RawMessage {
            from: Some(SOURCE),
            data: Some(data),
            seqno: Some(seqno),
            topic: "t",
            signature,
            key: None,
        }
    }

    fn insert(cache: &VerifiedMessages, number: u64) -> Message {
        let (message, seqno) = message(number, b"data");
        cache.insert(&raw(&seqno, b"data"), &"t".into(), &vec![1].into(), &message);
        message
    }

    #[test]
    fn only_a_copy_of_every_byte_is_known() {
        let cache = VerifiedMessages::default();
        let message = insert(&cache, 7);
        let seqno = 7u64.to_be_bytes();
        let copy = raw(&seqno, b"data");
        assert_eq!(cache.find(&copy), Some(("t".into(), vec![1].into(), message.clone())));
        let other = 8u64.to_be_bytes();
        for forged in [
            RawMessage { data: Some(b"Data"), ..copy },
            RawMessage { data: None, ..copy },
            RawMessage { seqno: Some(&other), ..copy },
            RawMessage { topic: "u", ..copy },
            RawMessage { from: Some(b"another"), ..copy },
            RawMessage { signature: Some(b"another"), ..copy },
            RawMessage { key: Some(b""), ..copy },
        ] {
            assert_eq!(cache.find(&forged), None, "{forged:?}");
        }
        drop(message);
        assert_eq!(cache.find(&copy), None);
    }

    #[test]
    fn the_number_of_messages_is_bounded_and_those_that_exist_no_longer_are_evicted_first() {
        let cache = VerifiedMessages::default();
        let kept: Vec<_> = (0..1_000).map(|number| insert(&cache, number)).collect();
        let found = || {
            let known = |number: &u64| cache.find(&raw(&number.to_be_bytes(), b"data")).is_some();
            (0..1_000).filter(known).count()
        };
        let before = found();
        assert!(before > 990, "{before}");
        // As many again, none of which exists any longer.
        (1_000..100_000).for_each(|number| drop(insert(&cache, number)));
        assert!(found() >= before - 5, "{} of {before}", found());
        assert_eq!(cache.places.get().unwrap().len(), CAPACITY);
        drop(kept);
        assert_eq!(found(), 0);
    }
}
