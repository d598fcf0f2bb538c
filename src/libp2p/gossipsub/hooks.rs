//! What the engine and the connections ask of the application, on their threads.

use std::{collections::HashSet, sync::Arc};

use ::libp2p::PeerId;
use arc_swap::ArcSwap;

use super::{config::Config, message::Message, transform::DataTransform};
use crate::{
    libp2p::{
        network::{Libp2pNetwork, SubscriptionFilter},
        signature::policy::SignaturePolicy,
    },
    network::{FullMessage, Validity},
};

pub(super) type Transform = Arc<dyn DataTransform + Send + Sync>;

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
    let (message_id, decode) = (Arc::clone(&config.message_id), transform.clone());
    let builder = Libp2pNetwork::builder(policy)
        .limits(config.wire.clone())
        .message_id(move |topic, received| {
            let received = Message::from_wire(topic, received);
            let message = match &decode {
                // A message that can't be decoded is invalid, whatever its id.
                Some(decode) => decode.inbound_transform(received.clone().into()).unwrap_or(received),
                None => received,
            };
            message_id(&message)
        })
        .validator(move |delivery| check(&delivery.message, transform.as_ref(), &blacklist));
    let builder = if config.validate_messages { builder.manual_validation() } else { builder };
    match filter {
        Some(filter) => builder.subscription_filter(filter).build(),
        None => builder.build(),
    }
}

/// The validity of a message as far as the behaviour itself can find out.
pub(super) fn check(
    message: &FullMessage<Libp2pNetwork>,
    transform: Option<&Transform>,
    blacklist: &Blacklist,
) -> Validity {
    let blacklist = blacklist.load();
    if message.message.source().is_some_and(|source| blacklist.contains(source)) {
        return Validity::Outdated;
    }
    let decodes = |transform: &Transform| transform.inbound_transform(Message::from(message).into()).is_ok();
    if transform.is_none_or(decodes) { Validity::Valid } else { Validity::Invalid }
}
