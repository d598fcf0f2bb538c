//! Messages that expire, and messages that are replayed.

use std::{sync::Arc, time::SystemTime};

use actix_gossipsub::{Delivery, Network, Validity, libp2p::gossipsub::*, protocol::Penalty};
use libp2p::PeerId;

use super::{ComposedEvent, behaviour, config, ours_with, theirs, topic};

/// Messages that begin with `old` have expired.
fn expiring() -> ConfigBuilder {
    let mut config = config();
    config.expires_at(|message| message.data.starts_with(b"old").then_some(SystemTime::UNIX_EPOCH));
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_message_is_not_delivered_and_its_sender_not_penalised() {
    let (node, theirs) = (ours_with(&expiring()).await, theirs().await);
    node.dial(&theirs.address).await;
    node.meshed_with(theirs.peer).await;
    theirs.meshed(node.peer).await;
    for data in ["old 1", "new"] {
        theirs.send(data).await;
    }
    let (_, _, message) = node.message("new").await;
    assert_eq!(message.data, b"new");
    let is_unexpected = |event: &&ComposedEvent| match event {
        ComposedEvent::Gossipsub(Event::Message { message, .. }) => message.data.starts_with(b"old"),
        ComposedEvent::Gossipsub(Event::Penalty { penalty, .. }) => *penalty == Penalty::InvalidMessage,
        _ => false,
    };
    let unexpected: Vec<_> =
        node.events().iter().filter(is_unexpected).map(|event| format!("{event:?}")).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");

    let id = node.publish("old 2").await.unwrap();
    let result = node
        .gossipsub_event("the report on the publication", |event| match event {
            Event::Published { message_id, result, .. } if *message_id == id => {
                Some(matches!(result, Err(PublishError::Outdated)))
            }
            _ => None,
        })
        .await;
    assert!(result, "it has expired");
}

#[test]
fn a_behaviour_refuses_replays_and_remembers_ids_at_least_as_long_as_messages_are_requested() {
    let mut config = config();
    config.refuse_replays(8);
    let key = libp2p::identity::Keypair::generate_ed25519();
    let behaviour = behaviour(&key, &config);
    let network = behaviour.network();
    let [first, second] = [(); 2].map(|()| {
        let full = network.message(topic().hash(), *b"data").unwrap();
        Delivery::new(PeerId::random(), Arc::new(full))
    });
    let verdicts = [&second, &second, &first].map(|delivery| network.validate(delivery));
    assert_eq!(verdicts, [Validity::Valid, Validity::Outdated, Validity::Outdated]);

    // 4 heartbeats, and messages are requested for 20.
    config.duplicate_cache_time(super::HEARTBEAT * 4);
    let Err(ConfigBuilderError::Limits(error)) = config.build() else { panic!("it breaks a rule") };
    let [violation] = &error.0[..] else { panic!("{error}") };
    assert_eq!((violation.field.as_str(), violation.value.as_str()), ("seen_history_length", "4"));
    config.refuse_replays(0).build().unwrap();
}
