//! Verdicts that come late, and verdicts together with what the application publishes itself.

use std::time::Duration;

use crate::cases::{
    TOPIC, cases,
    peer::{Options, Peer},
    target::{Kind, Setup},
    trial::trial,
    wire::{Message, ihave, message},
};

cases! {
    "33" an_ignored_message_that_the_application_publishes_is_sent Differs(
        "a publication",
        "it takes the publication for a duplicate",
    );
    "34" a_message_with_a_late_verdict_is_not_forwarded_and_costs_nobody Agrees;
    "35" a_promise_is_kept_while_the_message_is_validated Agrees;
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

/// A message whose verdict comes late.
fn slow(author: &Peer) -> Message {
    Message::signed(&author.key, TOPIC, 1, vec![b'S'; 100])
}

/// The verdict comes after the time limit of a validation, and after rust-libp2p's message cache, of 5 heartbeats.
async fn a_message_with_a_late_verdict_is_not_forwarded_and_costs_nobody(kind: Kind) {
    let second = Duration::from_secs(1) * crate::cases::factor();
    let setup =
        Setup { validates: true, slow_verdict: 3 * second, validation_timeout: second, ..Setup::default() };
    trial(kind, setup, async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent = slow(&sender);
        sender.send(message(&sent));
        trial.handled(&sender).await;
        tokio::time::sleep(4 * second).await;
        trial.handled(&peer).await;
        assert_eq!(peer.copies(&sent.id()), 0);
        trial.assert_not_penalised(&sender).await;
    })
    .await;
}

async fn a_promise_is_kept_while_the_message_is_validated(kind: Kind) {
    let second = Duration::from_secs(1) * crate::cases::factor();
    let setup =
        Setup { validates: true, slow_verdict: 4 * second, iwant_followup: second, ..Setup::default() };
    trial(kind, setup, async |trial| {
        let (offering, other) = (trial.lazy().await, trial.in_mesh().await);
        let sent = slow(&other);
        offering.send(ihave(TOPIC, [sent.id()]));
        offering.until("IWANT", |rpc| !rpc.iwant.is_empty()).await;
        other.send(message(&sent));
        // The deadline of the promise passes, and several heartbeats.
        tokio::time::sleep(3 * second).await;
        trial.assert_not_penalised(&offering).await;
        trial.wait_for_delivery(&sent).await;
        trial.assert_not_penalised(&offering).await;
    })
    .await;
}
