//! Compressed messages with the message ids of Ethereum.

use actix_gossipsub::{libp2p::gossipsub::*, protocol::Penalty};

use super::{Composed, config, swarms::Node, theirs, topic};

/// The longest content, in bytes.
const MAX: usize = 100;

/// `sha256(b"\x01\0\0\0" + struct.pack("<Q", 4) + b"news" + b"abc")[:20]`, computed with Python's hashlib.
const ID_OF_ABC: &str = "a38a81220a1fcdd2adc41badfacbed5356602c3e";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_decompressed_or_is_too_long_is_invalid_and_not_delivered() {
    for is_manual in [false, true] {
        let node = Node::start(move |key| {
            let mut config = config();
            config.raw_message_id_fn(ethereum_message_id);
            if is_manual {
                config.validate_messages();
            }
            let signed = MessageAuthenticity::Signed(key.clone());
            let transform = SnappyTransform::new(MAX);
            let behaviour = Behaviour::new_with_transform(signed, config.build().unwrap(), transform);
            Composed::new(key, behaviour.unwrap())
        })
        .await;
        node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
        let theirs = theirs().await;
        node.dial(&theirs.address).await;
        node.meshed_with(theirs.peer).await;
        theirs.meshed(node.peer).await;

        let too_long = node.publish(&"a".repeat(MAX + 1)).await;
        assert!(matches!(too_long, Err(PublishError::TransformFailed(_))), "{too_long:?}");
        let id = node.publish("abc").await.unwrap();
        assert_eq!(hex(id.as_bytes()), ID_OF_ABC);
        theirs.message_from("\x03\x08abc").await;

        // A content of 101 bytes, and one that is shorter than the block says.
        for block in ["\x65\x00a", "\x05\x08xyz"] {
            node.events().clear();
            theirs.send(block).await;
            let them = theirs.peer;
            node.gossipsub_event("the penalty", |event| {
                matches!(event, Event::Penalty { peer_id, penalty: Penalty::InvalidMessage, .. }
                    if *peer_id == them)
                .then_some(())
            })
            .await;
        }
        theirs.send("\x03\x08xyz").await;
        let (_, _, message) = node.message("xyz").await;
        assert_eq!(message.data, b"xyz");
        let messages = node.events().iter().filter(|event| is_message(event)).count();
        assert_eq!(messages, 1, "only the last one is delivered");
    }
}

fn is_message(event: &super::ComposedEvent) -> bool {
    matches!(event, super::ComposedEvent::Gossipsub(Event::Message { .. }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
