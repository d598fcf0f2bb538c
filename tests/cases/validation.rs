//! Verdicts, together with what the application publishes itself.

use crate::{
    TOPIC, cases,
    peer::Options,
    target::{Kind, Setup},
    trial::trial,
    wire::{Message, message},
};

cases! {
    "33" an_ignored_message_that_the_application_publishes_is_sent Differs(
        "a publication",
        "it takes the publication for a duplicate",
    );
}

/// In an anonymous network two messages with the same payload are the same message.
async fn an_ignored_message_that_the_application_publishes_is_sent(kind: Kind) {
    trial(kind, Setup { anonymous: true, validates: true, ..Setup::default() }, async |trial| {
        let anonymous = async || {
            let peer = trial.peer(Options { anonymous: true, ..Options::default() }).await;
            trial.enter_mesh(&peer).await;
            peer
        };
        let (sender, peer) = (anonymous().await, anonymous().await);
        let (data, topic) = (Some(vec![b'I'; 100]), Some(TOPIC.to_owned()));
        let ignored = Message { data, topic, ..Message::default() };
        sender.send(message(&ignored));
        trial.handled(&sender).await;
        trial.handled(&peer).await;
        assert_eq!(peer.copies(&ignored.id()), 0);
        trial.target_publishes(TOPIC, vec![b'I'; 100]).await;
        peer.wait_for_message(&ignored).await;
    })
    .await;
}
