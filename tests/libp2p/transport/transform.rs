//! Nodes whose network has a data transform.

use std::time::Duration;

use actix_gossipsub::{
    AppOutputs,
    libp2p::{
        AuthorError, Keypair, Libp2pNetwork, Libp2pNetworkBuilder, Node, PublishError, SignaturePolicy,
        gossipsub::{SnappyTransform, ethereum_message_id},
    },
};
use tokio::time::timeout;

/// The longest content, in bytes.
const MAX: usize = 100;
const WAIT: Duration = Duration::from_secs(20);

async fn start(
    network: impl FnOnce(Libp2pNetworkBuilder) -> Libp2pNetworkBuilder,
    dial: Option<&Node>,
) -> (Node, AppOutputs<Libp2pNetwork>) {
    let key = Keypair::generate_ed25519();
    let policy = SignaturePolicy::StrictSign(Box::new(key.clone()));
    let mut builder = Node::builder(key)
        .network(network(Libp2pNetwork::builder(policy)).build())
        .listen("/ip4/127.0.0.1/tcp/0")
        .topic("news");
    if let Some(other) = dial {
        builder = builder.dial(other.addresses()[0].clone());
    }
    builder.start().await.unwrap()
}

fn compressed(builder: Libp2pNetworkBuilder) -> Libp2pNetworkBuilder {
    builder.data_transform(SnappyTransform::new(MAX)).raw_message_id(ethereum_message_id)
}

#[actix_rt::test]
async fn messages_are_encoded_on_the_wire_and_what_cannot_be_decoded_is_invalid() {
    let (alice, mut received) = start(compressed, None).await;
    let (bob, _) = start(compressed, Some(&alice)).await;
    // It sends what it likes.
    let (raw, _) = start(|builder| builder.raw_message_id(ethereum_message_id), Some(&alice)).await;
    timeout(WAIT, alice.wait_for_mesh("news", 2)).await.unwrap().unwrap();

    let too_long = bob.publish("news", "a".repeat(MAX + 1)).err();
    assert!(matches!(too_long, Some(PublishError::Message(AuthorError::Transform(_)))), "{too_long:?}");
    // A content of 101 bytes, and one that is shorter than the block says.
    for block in ["\x65\x00a", "\x05\x08xyz"] {
        raw.publish("news", block).unwrap();
    }
    timeout(WAIT, async {
        while alice.worker().stats().count_recv_invalid_app_messages < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("both are invalid (P4)");

    bob.publish("news", "hello").unwrap();
    let full = timeout(WAIT, received.recv()).await.unwrap().expect("the node runs");
    assert_eq!(full.message.data(), b"\x05\x10hello", "as it was received");
    assert_eq!(alice.network().decode(&full).unwrap().data, b"hello");
    assert_eq!(*alice.network().payload(&full), *b"hello");
    assert_eq!(full.message_id, bob.network().message_id(&full.topic, &full.message));
    for node in [alice, bob, raw] {
        node.shutdown().await;
    }
}
