//! From a frame to the messages that the engine gets. The order within an RPC is that of the other implementations:
//! subscriptions, messages, IHAVEs, IWANTs, GRAFTs, PRUNEs, IDONTWANTs.

use std::time::Duration;

use ::libp2p::PeerId;

use super::{
    WireNetwork,
    limits::MAX_PEER_RECORD,
    limits::WireLimits,
    rpc::{self, IHave, Prune, RawMessage, RpcError},
};
use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        message::Message,
    },
    network::{FullMessage, P2pMessage, PxPeer},
};

/// What the decoder asks of the network that the messages are for.
pub(in crate::libp2p) trait DecodeHooks {
    /// The limits for frames that are read.
    fn limits(&self) -> &WireLimits;
    /// Checks the signature of a message and makes its id. `None` if the application's function for ids panics: the
    /// message is dropped.
    fn verify(&self, topic: &TopicName, raw: &RawMessage<'_>) -> Option<(MessageId, Message)>;
    /// The backoff of a PRUNE that names none (gossipsub v1.0).
    fn default_backoff(&self) -> Duration;
    /// Takes the signed peer record that came with `peer` in a PRUNE. The record is not verified yet.
    fn px_record(&self, peer: PeerId, record: &[u8]);
}

/// The messages of one RPC, in the order in which the engine handles them.
#[derive(Debug)]
pub(in crate::libp2p) struct Decoded<N: WireNetwork> {
    pub(in crate::libp2p) messages: Vec<P2pMessage<N>>,
    /// How many of the messages are IDONTWANTs. They are the last ones.
    pub(in crate::libp2p) idontwants: usize,
}

/// Decodes a frame.
///
/// # Errors
/// The frame is not an RPC within the limits.
pub(in crate::libp2p) fn decode<N: WireNetwork>(
    frame: &[u8],
    hooks: &impl DecodeHooks,
) -> Result<Decoded<N>, RpcError> {
    let rpc = rpc::decode(frame, hooks.limits())?;
    let mut messages = Vec::new();
    messages.extend(rpc.subscriptions.iter().map(|entry| subscription(entry.subscribe, entry.topic.into())));
    messages.extend(rpc.messages.iter().filter_map(|raw| full_message(raw, hooks)));
    messages.extend(rpc.ihave.iter().map(ihave));
    messages.extend(rpc.iwant.iter().map(|ids| P2pMessage::IWant { message_ids: message_ids(ids) }));
    messages.extend(rpc.graft.iter().map(|topic| P2pMessage::Graft { topic: (*topic).into() }));
    messages.extend(rpc.prune.iter().map(|entry| prune(entry, hooks)));
    messages.extend(rpc.idontwant.iter().map(|ids| P2pMessage::IDontWant { message_ids: message_ids(ids) }));
    Ok(Decoded { messages, idontwants: rpc.idontwant.len() })
}

fn subscription<N: WireNetwork>(subscribe: bool, topic: TopicName) -> P2pMessage<N> {
    if subscribe { P2pMessage::subscribe(topic) } else { P2pMessage::Unsubscribe { topic } }
}

fn ihave<N: WireNetwork>(entry: &IHave<'_>) -> P2pMessage<N> {
    P2pMessage::IHave { topic: entry.topic.into(), message_ids: message_ids(&entry.ids) }
}

fn message_ids(ids: &[&[u8]]) -> Vec<MessageId> {
    ids.iter().map(|id| MessageId::from(*id)).collect()
}

fn full_message<N: WireNetwork>(raw: &RawMessage<'_>, hooks: &impl DecodeHooks) -> Option<P2pMessage<N>> {
    let topic = TopicName::from(raw.topic);
    let (message_id, message) = hooks.verify(&topic, raw)?;
    Some(P2pMessage::FullMessage(FullMessage { topic, message_id, message }.into()))
}

fn prune<N: WireNetwork>(entry: &Prune<'_>, hooks: &impl DecodeHooks) -> P2pMessage<N> {
    let mut px = Vec::with_capacity(entry.px.len());
    for info in &entry.px {
        // An entry without a valid peer id is of no use; the others are.
        let Ok(peer) = PeerId::from_bytes(info.peer) else { continue };
        let mut px_peer = PxPeer::new(peer);
        if let Some(record) = info.record.filter(|record| record.len() <= MAX_PEER_RECORD) {
            hooks.px_record(peer, record);
            px_peer = px_peer.with_record(record);
        }
        px.push(px_peer);
    }
    let backoff = entry.backoff.map_or(hooks.default_backoff(), Duration::from_secs);
    P2pMessage::Prune { topic: entry.topic.into(), px, backoff }
}
