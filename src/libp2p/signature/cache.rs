//! A cache of signature checks. Each peer of a mesh may deliver the same message, and verifying a signature costs
//! about fifty times as much as a lookup of the digest.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::policy::{Check, SignaturePolicy};
use crate::libp2p::{
    bounded_map::BoundedMap,
    codec::rpc::RawMessage,
    message::{Message, SignatureError},
};

/// Most digests in the cache.
const CAPACITY: usize = 16_384;

/// A digest of all fields of a message.
pub(super) type MessageDigest = [u8; 32];

/// The results of the last checks: what is wrong with a message, if anything, by its digest.
#[derive(Debug)]
pub(in crate::libp2p) struct SignatureCache(Mutex<BoundedMap<MessageDigest, Option<SignatureError>>>);

impl Default for SignatureCache {
    fn default() -> Self {
        Self(Mutex::new(BoundedMap::new(CAPACITY)))
    }
}

impl SignatureCache {
    /// Checks a received message against `policy`, or finds the result of an earlier check of the same bytes. All
    /// calls must have the same policy. Returns the message's digest too.
    pub(in crate::libp2p) fn verify(
        &self,
        policy: &SignaturePolicy,
        raw: &RawMessage<'_>,
    ) -> (MessageDigest, Result<Message, SignatureError>) {
        let digest = digest(raw);
        let cached = self.results().get(&digest).copied();
        let result = match cached {
            Some(Some(error)) => Err(error),
            Some(None) => policy.accept(raw, Check::Verified),
            None => policy.accept(raw, Check::Full),
        };
        if cached.is_none() {
            self.results().insert(digest, result.as_ref().err().copied());
        }
        (digest, result)
    }

    fn results(&self) -> MutexGuard<'_, BoundedMap<MessageDigest, Option<SignatureError>>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Covers every field, its presence and its length. The prefix keeps digests apart from message ids, which some
/// networks derive from SHA-256 too.
fn digest(raw: &RawMessage<'_>) -> MessageDigest {
    let mut hash = Sha256::new();
    hash.update(b"actix-gossipsub: a message and its signature");
    let fields = [raw.from, raw.data, raw.seqno, Some(raw.topic.as_bytes()), raw.signature, raw.key];
    for field in fields {
        let length = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(field.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_results_are_cached() {
        let cache = SignatureCache::default();
        let digest_of = |n: usize| {
            let raw = RawMessage { data: Some(&n.to_be_bytes()), ..RawMessage::default() };
            cache.verify(&SignaturePolicy::StrictNoSign, &raw).0
        };
        let digests: Vec<_> = (0..CAPACITY + 1).map(digest_of).collect();
        let results = cache.results();
        assert_eq!(results.get(&digests[0]), None);
        assert_eq!(results.get(&digests[1]), Some(&None));
        assert_eq!(results.get(&digests[CAPACITY]), Some(&None));
        assert_eq!(results.keys().count(), CAPACITY);
    }

    #[test]
    fn absent_and_empty_fields_differ_and_so_do_borders_between_fields() {
        let raw = RawMessage::default();
        let all = [
            digest(&raw),
            digest(&RawMessage { data: Some(b""), ..raw }),
            digest(&RawMessage { data: Some(b"ab"), ..raw }),
            digest(&RawMessage { data: Some(b"a"), seqno: Some(b"b"), ..raw }),
        ];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 4);
    }
}
