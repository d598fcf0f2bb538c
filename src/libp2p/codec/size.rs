//! The memory of decoded messages, which is a multiple of the bytes of their frame if these are short ids and names.

use super::WireNetwork;
use crate::{
    libp2p::ids::{MessageId, TopicName},
    network::{FullMessage, P2pMessage, PxPeer},
};

/// The approximate bytes of decoded messages.
pub(in crate::libp2p) fn memory_of<N: WireNetwork>(messages: &[P2pMessage<N>]) -> usize {
    size_of_val(messages) + messages.iter().map(heap).sum::<usize>()
}

/// The heap bytes of a message.
fn heap<N: WireNetwork>(message: &P2pMessage<N>) -> usize {
    let topic = message.topic().map_or(0, topic);
    let content = match message {
        P2pMessage::IHave { message_ids, .. }
        | P2pMessage::IWant { message_ids }
        | P2pMessage::IDontWant { message_ids } => message_ids.iter().map(id).sum(),
        P2pMessage::Prune { px, .. } => px.iter().map(PxPeer::size).sum(),
        P2pMessage::FullMessage(full) => {
            size_of::<FullMessage<N>>() + full.message.size() + id(&full.message_id)
        }
        P2pMessage::Graft { .. }
        | P2pMessage::Subscribe { .. }
        | P2pMessage::Unsubscribe { .. }
        | P2pMessage::Ping => 0,
    };
    topic + content
}

fn topic(topic: &TopicName) -> usize {
    MessageId::HEADER + topic.as_str().len()
}

fn id(id: &MessageId) -> usize {
    size_of_val(id) + MessageId::HEADER + id.as_bytes().len()
}
