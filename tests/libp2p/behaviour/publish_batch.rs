//! Messages that are published together.

use actix_gossipsub::libp2p::gossipsub::{self, PublishError};

use super::{ComposedEvent, ours, theirs, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_messages_of_a_batch_arrive_and_each_has_a_report() {
    let (ours, peers) = (ours().await, [theirs().await, theirs().await]);
    for theirs in &peers {
        ours.dial(&theirs.address).await;
        ours.meshed_with(theirs.peer).await;
        theirs.meshed(ours.peer).await;
    }
    let contents = ["1", "2", "3", "4"];
    let batch = contents.map(|content| (topic(), content));
    let ids = ours.call(|it| it.gossipsub.publish_batch(batch)).await.unwrap();
    for (id, content) in ids.iter().zip(contents) {
        for theirs in &peers {
            let (_, from) = theirs.message_from(content).await;
            assert_eq!(from, ours.peer);
        }
        assert_eq!(ours.published(id).await, Ok(2), "{content}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_a_message_that_is_too_large_is_not_published() {
    let ours = ours().await;
    let max = ours.call(|it| it.gossipsub.network().limits().max_frame_out).await;
    let batch = [(topic(), vec![1; 10]), (topic(), vec![2; max])];
    let refused = ours.call(|it| it.gossipsub.publish_batch(batch)).await;
    assert!(matches!(refused, Err(PublishError::MessageTooLarge)), "{refused:?}");
    let id = ours.call(|it| it.gossipsub.publish(topic(), vec![1; 10])).await.unwrap();
    assert!(ours.published(&id).await.is_err(), "there are no peers");
    let is_report = |event: &&ComposedEvent| {
        matches!(event, ComposedEvent::Gossipsub(gossipsub::Event::Published { .. }))
    };
    assert_eq!(ours.events().iter().filter(is_report).count(), 1, "the batch has no report");
}
