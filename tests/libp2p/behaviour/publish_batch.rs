//! Messages that are published together, and messages that are too large to be published.

use actix_gossipsub::libp2p::gossipsub::{self, PublishError};

use super::{ComposedEvent, config, ours, ours_with, theirs, topic};

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

/// The size is that of the encoded message, in bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_above_the_limit_of_its_topic_is_refused_at_once() {
    const LIMIT: usize = 1_000;
    let mut limited = config();
    let ours = ours_with(limited.max_transmit_size_for_topic(LIMIT, topic().hash())).await;
    // Source, sequence number, topic and signature with their tags and lengths, and those of the payload.
    let rest = (2 + 38) + (2 + 8) + (2 + 4) + (2 + 64) + 3;
    let (largest, larger) = (vec![1; LIMIT - rest], vec![2; LIMIT - rest + 1]);
    let other = gossipsub::IdentTopic::new("other");
    let results = ours.call(move |it| {
        let gossipsub = &mut it.gossipsub;
        let mut results = vec![
            gossipsub.publish(topic(), larger.clone()).err(),
            gossipsub.publish_batch([(topic(), largest.clone()), (topic(), larger.clone())]).err(),
            gossipsub.publish(topic(), largest).err(),
            gossipsub.publish(other.clone(), larger.clone()).err(),
        ];
        // The limit may change while the engine runs.
        let worker = gossipsub.worker().expect("the engine runs").clone();
        worker.change_limits(|limits| limits.max_message_size = LIMIT).unwrap();
        results.push(gossipsub.publish(other, larger).err());
        results
            .into_iter()
            .map(|refused| matches!(refused, Some(PublishError::MessageTooLarge)))
            .collect::<Vec<_>>()
    });
    assert_eq!(results.await, [true, true, false, false, true]);
}
