//! These tests check that the size limit of a topic counts the same bytes here and in the official implementation.

use actix_gossipsub::{NotPublished, PublishOptions, limits::TopicOverrides};
use libp2p::gossipsub::IdentTopic;

use super::{
    Signing, TOPIC,
    ours::{Ours, Setup, topic},
    theirs::{self, Theirs},
    wait,
};

/// The limit of the encoded message, in bytes.
const LIMIT: usize = 1_000;
/// What an encoded message has besides a payload of 128 to 16,383 bytes: source, sequence number, topic and signature with
/// their tags and lengths, and those of the payload.
const SIGNED: usize = (2 + 38) + (2 + 8) + (2 + TOPIC.len()) + (2 + 64) + 3;
/// The same of a message without an author.
const ANONYMOUS: usize = (2 + TOPIC.len()) + 3;

fn limited(signing: Signing) -> Setup {
    let mut setup = Setup::new(signing);
    let limit = TopicOverrides::default().with(|limits| limits.max_message_size = Some(LIMIT));
    setup.limits.topics.named = [(topic(), limit)].into();
    setup
}

async fn official(signing: Signing) -> Theirs {
    let mut config = theirs::config(signing);
    config.max_transmit_size_for_topic(LIMIT, IdentTopic::new(TOPIC).hash());
    Theirs::start("theirs", signing, &config).await
}

#[actix_rt::test]
async fn a_message_of_the_limit_passes_and_one_of_a_byte_more_is_refused_here_and_there() {
    for (signing, rest) in [(Signing::Strict, SIGNED), (Signing::Anonymous, ANONYMOUS)] {
        let (ours, theirs) = (Ours::start_with(limited(signing)).await, official(signing).await);
        let other = Ours::start_with(limited(signing)).await;
        ours.dial(&theirs.address).await;
        wait::meshed(&ours, &[&theirs]).await;
        other.dial(&ours.address).await;
        wait::until("the other node is in the mesh", &ours, &[], async || {
            (ours.mesh().await.contains(&other.peer) && other.mesh().await.contains(&ours.peer)).then_some(())
        })
        .await;
        let (largest, larger) = (vec![b'a'; LIMIT - rest], vec![b'b'; LIMIT - rest + 1]);

        // From here to there, and through our node.
        let sent = other.publish(vec![largest.clone()]);
        wait::delivered(&ours, 1, &[(&theirs, 1)]).await;
        wait::assert_exactly("theirs", &theirs.delivered(), &[&sent]);
        // From there to here.
        let received = theirs.publish(vec![vec![b'c'; LIMIT - rest]]).await;
        wait::delivered(&ours, 2, &[]).await;
        wait::until("the other node delivers it", &other, &[], async || {
            (other.delivered() == received).then_some(())
        })
        .await;
        for node in [&ours, &other] {
            let counts = node.worker.event_counts();
            assert!(!counts.iter().any(|(name, ..)| *name == "PENALTY"), "{signing:?}: {counts:?}");
        }

        // Our publisher refuses what peers would refuse.
        let full = other.network().message(topic(), larger.clone()).unwrap();
        let refused = other.worker.publish_with(full, PublishOptions::default()).await.err();
        assert_eq!(refused, Some(NotPublished::TooLarge));
        // The official one compares the payload only, and its peers refuse the message.
        theirs.publish(vec![larger.clone()]).await;
        let small = theirs.publish(vec![b"small".to_vec()]).await;
        wait::delivered(&ours, 3, &[]).await;
        wait::assert_exactly("ours", &ours.delivered(), &[&sent, &received, &small]);
        wait::until("the message is refused", &ours, &[&theirs], async || {
            (ours.score(&theirs.peer).await < 0.0).then_some(())
        })
        .await;

        // So does the official one, as a receiver.
        let unlimited = Ours::start(signing).await;
        let theirs = official(signing).await;
        unlimited.dial(&theirs.address).await;
        wait::meshed(&unlimited, &[&theirs]).await;
        let sent = unlimited.publish(vec![larger, largest]);
        wait::delivered(&unlimited, 0, &[(&theirs, 1)]).await;
        wait::assert_exactly("theirs", &theirs.delivered(), &[&sent[1..]]);
        for node in [ours, other, unlimited] {
            node.stop().await;
        }
    }
}
