//! The default message ids.

use actix_gossipsub::libp2p::gossipsub::*;
use libp2p::{PeerId, gossipsub as official, identity::Keypair};

use super::{config, official_topic, topic};

/// IHAVE, IWANT and IDONTWANT work between the two without a configuration.
#[test]
fn the_default_id_of_a_signed_message_is_that_of_the_official_gossipsub() {
    let (ours, theirs) = (Config::default(), official::Config::default());
    let (source, sequence_number, data) = (Some(PeerId::random()), Some(7), b"data".to_vec());
    let message = Message { source, data, sequence_number, topic: topic().hash() };
    let id = ours.message_id(&message);
    let topic = official_topic().hash();
    let message = official::Message { source, data: message.data, sequence_number, topic };
    assert_eq!(id.as_bytes(), theirs.message_id(&message).0);
}

/// The ids of three messages of a behaviour: two with the same content, and one with another.
fn ids(authenticity: MessageAuthenticity, mode: ValidationMode) -> [MessageId; 3] {
    let gossipsub = Behaviour::new(authenticity, config().validation_mode(mode).build().unwrap()).unwrap();
    ["a", "a", "b"].map(|data| gossipsub.network().message(topic().hash(), data).unwrap().message_id)
}

#[test]
fn anonymous_messages_are_the_same_if_their_payloads_are() {
    for mode in [ValidationMode::Anonymous, ValidationMode::Permissive, ValidationMode::None] {
        let [first, same, other] = ids(MessageAuthenticity::Anonymous, mode);
        assert_eq!(first, same, "{mode:?}");
        assert_ne!(first, other, "{mode:?}");
        let (source, sequence_number, data) = (None, None, b"a".to_vec());
        let message = Message { source, data, sequence_number, topic: topic().hash() };
        assert_eq!(config().validation_mode(mode).build().unwrap().message_id(&message), first, "{mode:?}");
    }
}

/// Anyone can write a source and a sequence number into a message without a signature, and so suppress that of the source.
#[test]
fn the_id_of_a_message_that_nobody_signed_is_not_its_source_and_number() {
    let key = Keypair::generate_ed25519();
    let author = key.public().to_peer_id().to_base58();
    for (authenticity, mode, is_claimed) in [
        (MessageAuthenticity::Signed(key.clone()), ValidationMode::Strict, true),
        (MessageAuthenticity::Signed(key.clone()), ValidationMode::Permissive, true),
        (MessageAuthenticity::Signed(key.clone()), ValidationMode::None, false),
        (MessageAuthenticity::Author(key.public().to_peer_id()), ValidationMode::Permissive, false),
    ] {
        for id in ids(authenticity.clone(), mode) {
            assert_eq!(id.as_bytes().starts_with(author.as_bytes()), is_claimed, "{authenticity:?} {mode:?}");
        }
    }
}

#[test]
fn topics_have_message_ids_of_their_own_by_name_or_pattern() {
    let config = config()
        .message_id_fn(|message| MessageId::from([b"all".as_slice(), &message.data].concat()))
        .topic_message_id_fn("news", |message| MessageId::from(message.data.clone()))
        .topic_message_id_fn("/chat/*", |message| MessageId::from(message.topic.as_str().as_bytes().to_vec()))
        .topic_message_id_fn("/chat/late", |_| unreachable!("an earlier pattern matches"))
        .validation_mode(ValidationMode::Anonymous)
        .build()
        .unwrap();
    let gossipsub = Behaviour::new(MessageAuthenticity::Anonymous, config.clone()).unwrap();
    for (topic, id) in [("news", "a"), ("/chat/late", "/chat/late"), ("new", "alla"), ("news/1", "alla")] {
        let topic = TopicHash::from_raw(topic);
        let sent = gossipsub.network().message(topic.clone(), "a").unwrap();
        assert_eq!(sent.message_id.as_bytes(), id.as_bytes());
        let message = Message { source: None, data: b"a".to_vec(), sequence_number: None, topic };
        assert_eq!(config.message_id(&message).as_bytes(), id.as_bytes());
    }
}
