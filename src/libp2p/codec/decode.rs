//! From a frame to the messages that the engine gets. The order within an RPC is that of the other implementations:
//! subscriptions, messages, IHAVEs, IWANTs, GRAFTs, PRUNEs, IDONTWANTs.

use std::time::Duration;

use ::libp2p::PeerId;

use super::{
    WireNetwork,
    entry::{Entry, IHave, Prune, RawMessage, RpcError},
    limits::{MAX_PEER_RECORD, WireLimits},
    rpc::RpcReader,
    turn::{SignatureCheck, TurnBudget},
};
use crate::{
    libp2p::ids::MessageId,
    network::{FullMessage, P2pMessage, PxPeer},
};

/// The functions of the network that the decoder calls.
pub(in crate::libp2p) trait DecodeHooks<N: WireNetwork> {
    /// The limits for frames that are read.
    fn limits(&self) -> &WireLimits;
    /// Checks the signature of a message and makes its id. `None` if the application's function for ids panics: the
    /// message is dropped.
    fn verify(&self, raw: &RawMessage<'_>) -> (SignatureCheck, Option<FullMessage<N>>);
    /// The backoff of a PRUNE that names none (gossipsub v1.0).
    fn default_backoff(&self) -> Duration;
    /// Counts a signed peer record in a PRUNE that is longer than [`MAX_PEER_RECORD`]. It is ignored; the peer that it came
    /// with is not.
    fn add_long_record(&self);
}

/// Messages of one RPC, in the order in which the engine handles them.
#[derive(Debug)]
pub(in crate::libp2p) struct Decoded<N: WireNetwork> {
    pub(in crate::libp2p) messages: Vec<P2pMessage<N>>,
    /// How many of the messages are IDONTWANTs. They are the last ones.
    pub(in crate::libp2p) idontwants: usize,
    /// The bytes of the frame that these messages had.
    pub(in crate::libp2p) bytes: usize,
}

/// Decodes further entries of the frame that `reader` was begun with, until the turn or the frame ends.
///
/// # Errors
/// The frame is not an RPC. [`RpcReader::begin`] has found that before.
pub(in crate::libp2p) fn decode<N: WireNetwork>(
    frame: &[u8],
    reader: &mut RpcReader,
    turn: &mut TurnBudget,
    hooks: &impl DecodeHooks<N>,
) -> Result<Decoded<N>, RpcError> {
    let mut decoded = Decoded { messages: Vec::new(), idontwants: 0, bytes: 0 };
    while !turn.is_exhausted()
        && let Some((entry, bytes)) = reader.next(frame, hooks.limits())?
    {
        turn.charge_entry(entry.kind(), bytes);
        decoded.bytes += bytes;
        decoded.idontwants += usize::from(matches!(entry, Entry::IDontWant(_)));
        decoded.messages.extend(message(entry, turn, hooks));
    }
    Ok(decoded)
}

/// Decodes a whole frame. Returns the messages, and how many entries were ignored because of the limits.
///
/// # Errors
/// The frame is not an RPC within the limits.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::libp2p) fn decode_frame<N: WireNetwork>(
    frame: &[u8],
    hooks: &impl DecodeHooks<N>,
) -> Result<(Vec<P2pMessage<N>>, u64), RpcError> {
    let mut reader = RpcReader::default();
    reader.begin(frame, hooks.limits())?;
    let decoded = decode(frame, &mut reader, &mut TurnBudget::unlimited(), hooks)?;
    Ok((decoded.messages, reader.take_ignored()))
}

fn message<N: WireNetwork>(
    entry: Entry<'_>,
    turn: &mut TurnBudget,
    hooks: &impl DecodeHooks<N>,
) -> Option<P2pMessage<N>> {
    Some(match entry {
        Entry::Subscription(entry) if entry.subscribe => P2pMessage::subscribe(entry.topic.into()),
        Entry::Subscription(entry) => P2pMessage::Unsubscribe { topic: entry.topic.into() },
        Entry::Message(raw) => {
            let (check, message) = hooks.verify(&raw);
            turn.charge_check(check);
            P2pMessage::FullMessage(message?.into())
        }
        Entry::IHave(IHave { topic, ids }) => {
            P2pMessage::IHave { topic: topic.into(), message_ids: message_ids(&ids) }
        }
        Entry::IWant(ids) => P2pMessage::IWant { message_ids: message_ids(&ids) },
        Entry::Graft(topic) => P2pMessage::Graft { topic: topic.into() },
        Entry::Prune(entry) => prune(&entry, hooks),
        Entry::IDontWant(ids) => P2pMessage::IDontWant { message_ids: message_ids(&ids) },
    })
}

fn message_ids(ids: &[&[u8]]) -> Vec<MessageId> {
    ids.iter().map(|id| MessageId::from(*id)).collect()
}

fn prune<N: WireNetwork>(entry: &Prune<'_>, hooks: &impl DecodeHooks<N>) -> P2pMessage<N> {
    let mut px = Vec::with_capacity(entry.px.len());
    for info in &entry.px {
        // An entry without a valid peer id is of no use; the others are.
        let Ok(peer) = PeerId::from_bytes(info.peer) else { continue };
        let mut px_peer = PxPeer::new(peer);
        match info.record {
            Some(record) if record.len() > MAX_PEER_RECORD => hooks.add_long_record(),
            Some(record) => px_peer = px_peer.with_record(record),
            None => {}
        }
        px.push(px_peer);
    }
    let backoff = entry.backoff.map_or(hooks.default_backoff(), Duration::from_secs);
    P2pMessage::Prune { topic: entry.topic.into(), px, backoff }
}
