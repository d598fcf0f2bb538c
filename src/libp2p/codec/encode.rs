//! Writing: what the engine says as fragments of an RPC. Nothing is encoded that no frame could hold.

use std::sync::Arc;

use ::libp2p::PeerId;
use unsigned_varint::encode;

use super::frame::WireLimits;
use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        message::Message,
        network::Libp2pNetwork,
    },
    network::{FullMessage, P2pMessage},
};

/// The parts of an RPC, in the order in which receivers read them (rust-, js-, py- and go-libp2p, and
/// we: subscriptions, messages, then control). An RPC holds fragments of ascending kind only: wherever
/// ours descend, a new one begins, so that what we say is heard in the order in which we said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::libp2p) enum Kind {
    Subscription,
    Message,
    IHave,
    IWant,
    Graft,
    Prune,
    IDontWant,
}

/// One encoded entry of an RPC (of its control part, for the control kinds), with its tag. Shared
/// between the peers that are sent the same message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::libp2p) struct Fragment {
    pub(in crate::libp2p) kind: Kind,
    pub(in crate::libp2p) bytes: Arc<[u8]>,
}

/// Why something that the engine wants to say can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It would need a larger frame than peers accept.
    #[error("{length} bytes exceed the limit of {max}")]
    TooLarge { length: usize, max: usize },
    /// It broke the signature policy and must not be passed on.
    #[error("the message is not valid: {0}")]
    Flawed(crate::libp2p::signature::policy::Flaw),
}

/// The bytes that the control part's own tag and length may take, and the frame's length.
pub(in crate::libp2p) const OVERHEAD: usize = 12;
/// The ids of an ihave, iwant or idontwant go into entries of about this size, so that entries fill frames well.
const ENTRY_TARGET: usize = 4_096;

/// The fragments that say `message`; none when there is nothing to say (a ping has no wire form).
pub(in crate::libp2p) fn fragments(
    message: &P2pMessage<Libp2pNetwork>,
    limits: &WireLimits,
) -> Result<Vec<Fragment>, EncodeError> {
    let fragments = match message {
        P2pMessage::Subscribe { topic } => vec![subscription(topic, true)],
        P2pMessage::Unsubscribe { topic } => vec![subscription(topic, false)],
        P2pMessage::Graft { topic } => vec![entry(Kind::Graft, 3, |out| put_topic(out, topic))],
        P2pMessage::Prune { topic, px, backoff } => {
            let px = &px[..px.len().min(limits.max_px_out)];
            let seconds = backoff.as_secs().saturating_add(u64::from(backoff.subsec_nanos() > 0));
            vec![prune(topic, px, seconds)]
        }
        P2pMessage::IHave { topic, message_ids } => chunks(message_ids)
            .map(|ids| {
                entry(Kind::IHave, 1, |out| {
                    put_topic(out, topic);
                    put_ids(out, 2, ids)
                })
            })
            .collect(),
        P2pMessage::IWant { message_ids } => {
            chunks(message_ids).map(|ids| entry(Kind::IWant, 2, |out| put_ids(out, 1, ids))).collect()
        }
        P2pMessage::FullMessage(full) => vec![full_message(full)?],
        P2pMessage::IDontWant { message_ids } => {
            chunks(message_ids).map(|ids| entry(Kind::IDontWant, 5, |out| put_ids(out, 1, ids))).collect()
        }
        P2pMessage::Ping => Vec::new(),
    };
    fragments.iter().try_for_each(|fragment| fits(fragment, limits))?;
    Ok(fragments)
}

fn fits(fragment: &Fragment, limits: &WireLimits) -> Result<(), EncodeError> {
    let length = fragment.bytes.len() + OVERHEAD;
    let max = match fragment.kind {
        Kind::Message => limits.max_frame_out,
        _ => limits.max_control_bytes_out,
    };
    if length <= max { Ok(()) } else { Err(EncodeError::TooLarge { length, max }) }
}

fn full_message(full: &FullMessage<Libp2pNetwork>) -> Result<Fragment, EncodeError> {
    match full.message.flaw() {
        Some(flaw) => Err(EncodeError::Flawed(flaw)),
        None => Ok(entry(Kind::Message, 2, |out| put_message(out, &full.topic, &full.message))),
    }
}

fn subscription(topic: &TopicName, subscribe: bool) -> Fragment {
    entry(Kind::Subscription, 1, |out| {
        put_varint(out, 1 << 3);
        put_varint(out, u64::from(subscribe));
        put_bytes(out, 2, topic.as_str().as_bytes());
    })
}

fn prune(topic: &TopicName, px: &[PeerId], seconds: u64) -> Fragment {
    entry(Kind::Prune, 4, |out| {
        put_topic(out, topic);
        for peer in px {
            let mut info = Vec::new();
            put_bytes(&mut info, 1, &peer.to_bytes());
            put_bytes(out, 2, &info);
        }
        put_varint(out, 3 << 3);
        put_varint(out, seconds);
    })
}

/// The signed part and the signature of a message, its fields in the order of their numbers.
fn put_message(out: &mut Vec<u8>, topic: &TopicName, message: &Message) {
    let content = message.content();
    let from = content.source.map(PeerId::to_bytes);
    let seqno = content.seqno.map(u64::to_be_bytes);
    put_signed_fields(
        out,
        from.as_deref(),
        content.data.as_deref(),
        seqno.as_ref().map(<[u8; 8]>::as_slice),
        topic.as_str(),
    );
    put_optional(out, 5, content.signature.as_deref());
    put_optional(out, 6, content.key.as_deref());
}

/// What a signature covers, as all implementations encode it anew before they verify.
pub(in crate::libp2p) fn put_signed_fields(
    out: &mut Vec<u8>,
    from: Option<&[u8]>,
    data: Option<&[u8]>,
    seqno: Option<&[u8]>,
    topic: &str,
) {
    put_optional(out, 1, from);
    put_optional(out, 2, data);
    put_optional(out, 3, seqno);
    put_bytes(out, 4, topic.as_bytes());
}

/// Ids in runs of about `ENTRY_TARGET` bytes.
fn chunks(ids: &[MessageId]) -> impl Iterator<Item = &[MessageId]> {
    let mut size = 0;
    ids.chunk_by(move |id, _| {
        size += id.as_bytes().len() + 4;
        let together = size < ENTRY_TARGET;
        if !together {
            size = 0;
        }
        together
    })
}

fn entry(kind: Kind, field: u64, write: impl FnOnce(&mut Vec<u8>)) -> Fragment {
    let mut body = Vec::new();
    write(&mut body);
    let mut bytes = Vec::with_capacity(body.len() + OVERHEAD);
    put_bytes(&mut bytes, field, &body);
    Fragment { kind, bytes: bytes.into() }
}

fn put_topic(out: &mut Vec<u8>, topic: &TopicName) {
    put_bytes(out, 1, topic.as_str().as_bytes());
}

fn put_ids(out: &mut Vec<u8>, field: u64, ids: &[MessageId]) {
    ids.iter().for_each(|id| put_bytes(out, field, id.as_bytes()));
}

fn put_optional(out: &mut Vec<u8>, field: u64, bytes: Option<&[u8]>) {
    if let Some(bytes) = bytes {
        put_bytes(out, field, bytes);
    }
}

pub(in crate::libp2p) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(in crate::libp2p) fn put_varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(encode::u64(value, &mut encode::u64_buffer()));
}
