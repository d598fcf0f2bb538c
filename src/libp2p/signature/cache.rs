//! The messages whose signatures were checked lately. A message comes from each peer of the mesh, and
//! verifying costs some fifty times as much as recognising it. Bounded; it never decides anything.

use std::{collections::HashMap, mem};

use sha2::{Digest, Sha256};

use super::policy::Flaw;
use crate::libp2p::codec::rpc::RawMessage;

/// Messages in one of the two generations that are remembered.
const GENERATION: usize = 8_192;

pub(in crate::libp2p) type MessageDigest = [u8; 32];

/// What was wrong with a message, if anything, by its digest.
#[derive(Debug, Default)]
pub(in crate::libp2p) struct Verdicts {
    young: HashMap<MessageDigest, Option<Flaw>>,
    old: HashMap<MessageDigest, Option<Flaw>>,
}

impl Verdicts {
    pub(in crate::libp2p) fn get(&self, digest: &MessageDigest) -> Option<Option<Flaw>> {
        self.young.get(digest).or_else(|| self.old.get(digest)).copied()
    }

    pub(in crate::libp2p) fn insert(&mut self, digest: MessageDigest, flaw: Option<Flaw>) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, flaw);
    }
}

/// Covers every field, whether it is there, and where it ends; it is no id of any network's messages.
pub(in crate::libp2p) fn digest(raw: &RawMessage<'_>) -> MessageDigest {
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
    fn two_generations_are_remembered() {
        let key = |n: usize| digest(&RawMessage { data: Some(&n.to_be_bytes()), ..RawMessage::default() });
        let mut verdicts = Verdicts::default();
        (0..2 * GENERATION + 1).for_each(|n| verdicts.insert(key(n), None));
        assert_eq!(verdicts.get(&key(0)), None);
        assert_eq!(verdicts.get(&key(GENERATION)), Some(None));
        assert_eq!(verdicts.get(&key(2 * GENERATION)), Some(None));
        assert!(verdicts.young.len() + verdicts.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn absent_and_empty_differ_and_so_do_borders() {
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
