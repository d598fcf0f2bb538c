//! Messages that are larger than what the default bounds of the transport have room for.

use actix_gossipsub::libp2p::gossipsub::Event;

use super::{config, ours_with, topic};

const SIZE: usize = 10 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_ten_mebibytes_is_published_and_forwarded() {
    let mut large = config();
    large.max_transmit_size(SIZE + (64 << 10));
    let nodes = [ours_with(&large).await, ours_with(&large).await, ours_with(&large).await];
    for pair in nodes.windows(2) {
        pair[0].dial(&pair[1].address).await;
        pair[0].meshed_with(pair[1].peer).await;
        pair[1].meshed_with(pair[0].peer).await;
    }
    let [publisher, readers @ ..] = &nodes;
    let id = publisher.call(|it| it.gossipsub.publish(topic(), vec![7; SIZE])).await.unwrap();
    for reader in readers {
        let received = reader.gossipsub_event("the message", |event| match event {
            Event::Message { message_id, message, .. } if *message_id == id => Some(message.data.len()),
            _ => None,
        });
        assert_eq!(received.await, SIZE);
    }
    assert_eq!(publisher.published(&id).await, Ok(1));
}
