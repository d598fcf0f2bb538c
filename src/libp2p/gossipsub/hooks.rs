//! The hooks of the application that the engine and the connections call, on their threads.

use std::{collections::HashSet, sync::Arc};

use ::libp2p::PeerId;
use arc_swap::ArcSwap;

use super::{
    config::Config, message::Message, message_ids::MessageIds, message_life::add_expiry, topic::TopicHash,
};
use crate::libp2p::{
    ids::MessageId,
    message::Message as WireMessage,
    network::{Libp2pNetwork, SubscriptionFilter, content_digest, default_message_id},
    signature::{policy::SignaturePolicy, validation::ValidationMode},
    transform::{Transform, decode},
};

/// The peers whose messages are ignored. Read for each message, changed seldom.
pub(super) type Blacklist = Arc<ArcSwap<HashSet<PeerId>>>;

/// The network of a behaviour.
pub(super) fn network(
    policy: SignaturePolicy,
    config: &Config,
    transform: Option<Transform>,
    blacklist: Blacklist,
    filter: Option<SubscriptionFilter>,
) -> Libp2pNetwork {
    let (message_id, decode) = (config.message_id.clone(), transform.clone());
    let mode = policy.mode();
    let mut builder = Libp2pNetwork::builder(policy)
        .limits(config.wire.clone())
        .default_backoff(config.limits.prune_backoff);
    for (topics, message_id) in config.topic_message_ids.clone() {
        let decode = transform.clone();
        builder = builder.topic_message_id(topics, move |topic, received| {
            id_by_function(&message_id, decode.as_ref(), topic, received)
        });
    }
    let builder = add_expiry(builder, config, transform.as_ref())
        .refuse_replays(config.limits.extensions.replay_check_authors)
        .message_id(move |topic, received| match &message_id {
            Some(message_id) => id_by_function(message_id, decode.as_ref(), topic, received),
            None => default_id(mode, topic, received),
        })
        .shared_transform(transform)
        .refuse_sources(move |message| is_blacklisted(message, &blacklist));
    let builder = if config.validate_messages { builder.manual_validation() } else { builder };
    match filter {
        Some(filter) => builder.subscription_filter(filter).build(),
        None => builder.build(),
    }
}

/// The default message id. That of a signed message is the default of rust-libp2p's gossipsub: the source in base58 and the
/// sequence number in decimal. Any other message has that of [`Libp2pNetwork`]: source and sequence number are what anyone
/// may have written, or are missing.
pub(super) fn default_id(mode: ValidationMode, topic: &TopicHash, message: &WireMessage) -> MessageId {
    match (message.source(), message.seqno()) {
        (Some(source), Some(number)) if message.is_verified() => {
            format!("{}{number}", source.to_base58()).into()
        }
        _ => default_message_id(mode, topic, message),
    }
}

/// The id by the application's function. A message that can't be decoded is invalid. A function of decoded messages is not
/// asked for its id, which is the digest of its bytes: the function could give it that of a message that is valid and has not
/// arrived yet.
fn id_by_function(
    message_id: &MessageIds,
    transform: Option<&Transform>,
    topic: &TopicHash,
    received: &WireMessage,
) -> MessageId {
    let decoded = decode(transform, Message::from_wire(topic, received));
    match (message_id, decoded) {
        (MessageIds::Raw(message_id), decoded) => message_id(topic, received, decoded.ok().as_ref()),
        (MessageIds::Decoded(message_id), Ok(message)) => message_id(&message),
        (MessageIds::Decoded(_), Err(_)) => {
            content_digest(b"actix-gossipsub: a message that can't be decoded", topic, received)
        }
    }
}

/// Whether a message is refused because of its source.
pub(super) fn is_blacklisted(message: &WireMessage, blacklist: &Blacklist) -> bool {
    message.source().is_some_and(|source| blacklist.load().contains(source))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::libp2p::{
        message::Content,
        transform::{DataTransform, RawMessage},
    };

    struct Marked;

    impl DataTransform for Marked {
        fn inbound_transform(&self, raw_message: RawMessage) -> io::Result<Message> {
            let mut message = Message::from(raw_message);
            match message.data.split_first() {
                Some((b'<', rest)) => message.data = rest.to_vec(),
                _ => return Err(io::Error::other("no mark")),
            }
            Ok(message)
        }

        fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
            Ok([b'<'].into_iter().chain(data).collect())
        }
    }

    #[test]
    fn a_message_that_cannot_be_decoded_does_not_get_the_id_of_one_that_can() {
        let transform: Transform = Arc::new(Marked);
        let id = |data: &[u8]| {
            let content = Content { data: Some(data.into()), ..Content::default() };
            let by_content =
                MessageIds::Decoded(Arc::new(|message: &Message| MessageId::from(message.data.clone())));
            id_by_function(&by_content, Some(&transform), &"t".into(), &WireMessage::new(content))
        };
        assert_eq!(id(b"<abc").as_bytes(), b"abc");
        assert_ne!(id(b"abc"), id(b"<abc"));
        assert_ne!(id(b"abc"), id(b"abd"));
    }
}
