//! Topics that the application relays.

use libp2p::identity::Keypair;

use super::{Composed, behaviour, config, swarms::Node, theirs, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayed_topic_connects_its_subscribers_and_the_application_receives_nothing() {
    let node = Node::start(|key| {
        let mut gossipsub = behaviour(key, &config());
        assert!(gossipsub.relay(&topic()).unwrap());
        assert!(!gossipsub.relay(&topic()).unwrap());
        Composed::new(key, gossipsub)
    })
    .await;
    let (source, sink) = (theirs().await, theirs().await);
    for peer in [&source, &sink] {
        node.dial(&peer.address).await;
        node.meshed_with(peer.peer).await;
        peer.meshed(node.peer).await;
    }
    source.send("relayed").await;
    let (_, relay) = sink.message_from("relayed").await;
    assert_eq!(relay, node.peer);
    // Its own messages are published as on any topic.
    node.publish("ours").await.unwrap();
    sink.message_from("ours").await;

    assert!(node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap());
    source.send("delivered").await;
    node.message("delivered").await;
    assert!(!node.has_message("relayed"));
    assert!(node.call(|behaviours| behaviours.gossipsub.stop_relay(&topic())).await);
    assert!(!node.call(|behaviours| behaviours.gossipsub.stop_relay(&topic())).await);
    source.send("still subscribed").await;
    node.message("still subscribed").await;
}

#[test]
fn a_topic_that_may_not_be_subscribed_to_is_not_relayed() {
    let mut gossipsub = behaviour(&Keypair::generate_ed25519(), &config());
    let nameless = actix_gossipsub::libp2p::gossipsub::IdentTopic::new("");
    assert!(gossipsub.relay(&nameless).is_err());
    assert!(gossipsub.relay(&topic()).unwrap() && gossipsub.stop_relay(&topic()));
    assert!(!gossipsub.stop_relay(&topic()));
}
