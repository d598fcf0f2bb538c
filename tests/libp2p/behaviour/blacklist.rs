//! A blacklisted source, where message ids follow from the content.

use actix_gossipsub::libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::gossipsub as official;

use super::{Ours, Theirs, config};

async fn ours(validates: bool) -> Ours {
    let mut config = config();
    config.message_id_fn(|message| MessageId::from(message.data.clone()));
    if validates {
        config.validate_messages();
    }
    super::ours_with(&config).await
}

async fn theirs() -> Theirs {
    super::theirs_with(|config| {
        config.message_id_fn(|message| official::MessageId::from(message.data.clone()));
    })
    .await
}

async fn connect(ours: &Ours, theirs: &Theirs) {
    ours.dial(&theirs.address).await;
    ours.meshed_with(theirs.peer).await;
    theirs.meshed(ours.peer).await;
}

/// The blacklisted source is connected to a relay only, the other source to our node only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blacklisted_source_does_not_suppress_the_same_content_of_another_source() {
    for validates in [false, true] {
        let (ours, relay, blocked, other) =
            (ours(validates).await, theirs().await, theirs().await, theirs().await);
        let peer = blocked.peer;
        ours.call(move |behaviours| behaviours.gossipsub.blacklist_peer(&peer)).await;
        connect(&ours, &relay).await;
        connect(&ours, &other).await;
        blocked.dial(&relay.address).await;
        blocked.meshed(relay.peer).await;
        relay.meshed(peer).await;

        blocked.send("content").await;
        relay.message_from("content").await;
        // Our node has the refused message before this one, by the same connection.
        relay.send("of the relay").await;
        ours.message("of the relay").await;
        assert!(!ours.has_message("content"));

        other.send("content").await;
        let (id, propagation_source, message) = ours.message("content").await;
        assert_eq!((propagation_source, message.source), (other.peer, Some(other.peer)));
        let accept = ours.call(move |behaviours| {
            let accept = MessageAcceptance::Accept;
            behaviours.gossipsub.report_message_validation_result(&id, &propagation_source, accept)
        });
        assert_eq!(accept.await, validates, "only then it waits for a verdict");
    }
}
