//! IDONTWANT (v1.2). A large message has 2,048 bytes of payload, more than the threshold of any implementation.

use std::time::Duration;

use crate::cases::{
    TOPIC, cases,
    peer::{Options, Peer, V1_1},
    target::{Kind, Setup},
    trial::{Trial, trial},
    wire::{Id, Message, Rpc, idontwant, message},
};

cases! {
    "D1" large_messages_are_declined_once_and_not_to_their_sender Agrees;
    "D3" a_peer_outside_the_mesh_gets_no_idontwant Agrees;
    "D4" a_peer_of_1_1_gets_no_idontwant Agrees;
    "D5" small_messages_are_not_declined Agrees;
    "D6" a_declined_message_is_not_forwarded Agrees;
    "D7" an_idontwant_expires Agrees;
    #[ignore = "rust-libp2p has no limit for a heartbeat: it stores the latest 10,000 ids"]
    "D8" idontwant_spam_is_ignored_until_the_next_heartbeat Agrees;
    #[ignore = "rust-libp2p has no means to count what it stores"]
    "D11" the_ids_of_a_disconnected_peer_are_forgotten Agrees;
    "7" an_rpc_declines_at_most_ten_messages Agrees;
    "19" a_publication_of_the_target_is_declined_by_itself_before_it_is_sent Agrees;
    "16" a_declined_publication_of_the_target_is_not_sent Differs(
        "left: 1",
        "its own publications go to peers that declined them",
    );
}

const LARGE: usize = 2_048;

/// The number of IDONTWANT entries for a message in all RPCs, and whether the first came before the message.
fn declined(peer: &Peer, id: &Id) -> (usize, bool) {
    let received = peer.received();
    let declines = |rpc: &Rpc| rpc.idontwant.concat().contains(id);
    let has = |rpc: &Rpc| rpc.messages.iter().any(|one| one.id() == *id);
    let first = received.iter().position(declines);
    let arrival = received.iter().position(has);
    let count = peer.declined().iter().filter(|declined| *declined == id).count();
    (count, first.is_some() && arrival.is_none_or(|arrival| first <= Some(arrival)))
}

/// `from` sends large messages. Returns when they have arrived at the other honest peer and two heartbeats have passed.
async fn send_large(trial: &Trial, from: &Peer, length: usize) -> Vec<Message> {
    let sent: Vec<_> = (0..10).map(|n| from.message(n, length)).collect();
    for one in &sent {
        from.send(message(one));
        trial.honest(1).wait_for_message(one).await;
    }
    trial.heartbeats(2).await;
    sent
}

/// Also case 12, and D2: the sender gets none.
async fn large_messages_are_declined_once_and_not_to_their_sender(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        for one in send_large(trial, &sender, LARGE).await {
            assert_eq!(declined(&peer, &one.id()), (1, true));
        }
        assert_eq!(sender.declined(), [[0; 0]; 0]);
    })
    .await;
}

/// Sends messages while a peer is there that must not get any IDONTWANT.
async fn none_declined(trial: &Trial, peer: &Peer, length: usize) {
    let sender = trial.in_mesh().await;
    send_large(trial, &sender, length).await;
    assert_eq!(peer.declined(), [[0; 0]; 0]);
}

async fn a_peer_outside_the_mesh_gets_no_idontwant(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.lazy().await;
        // It has refused the first GRAFT when it gets gossip.
        peer.until("IHAVE", |rpc| !rpc.ihave.is_empty()).await;
        none_declined(trial, &peer, LARGE).await;
    })
    .await;
}

/// Also case 17.
async fn a_peer_of_1_1_gets_no_idontwant(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.peer(Options { protocols: vec![V1_1], ..Options::default() }).await;
        trial.enter_mesh(&peer).await;
        none_declined(trial, &peer, LARGE).await;
    })
    .await;
}

/// Also case 13.
async fn small_messages_are_not_declined(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.in_mesh().await;
        none_declined(trial, &peer, 200).await;
    })
    .await;
}

/// Also case 14. The heartbeats are long, so that the IDONTWANT does not expire.
async fn a_declined_message_is_not_forwarded(kind: Kind) {
    let heartbeat = Duration::from_secs(1) * crate::cases::factor();
    trial(kind, Setup { heartbeat, ..Setup::default() }, async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let (declined, other) = (sender.message(7, LARGE), sender.message(8, LARGE));
        peer.send(idontwant([declined.id()]));
        trial.handled(&peer).await;
        sender.send(message(&declined));
        sender.send(message(&other));
        peer.wait_for_message(&other).await;
        trial.heartbeats(1).await;
        assert_eq!(peer.copies(&declined.id()), 0);
    })
    .await;
}

/// Also case 18.
async fn an_idontwant_expires(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let declined = sender.message(9, LARGE);
        peer.send(idontwant([declined.id()]));
        trial.handled(&peer).await;
        // 3 heartbeats here, 3 s in rust-libp2p.
        tokio::time::sleep(Duration::from_secs(3)).await;
        trial.heartbeats(5).await;
        sender.send(message(&declined));
        peer.wait_for_message(&declined).await;
    })
    .await;
}

/// The ids that are accepted in a heartbeat.
const LIMIT: u64 = 3_000;

/// Also case 6.
async fn idontwant_spam_is_ignored_until_the_next_heartbeat(kind: Kind) {
    let heartbeat = Duration::from_secs(3) * crate::cases::factor();
    trial(kind, Setup { heartbeat, ..Setup::default() }, async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let (beyond, later) = (sender.message(10, LARGE), sender.message(11, LARGE));
        // More than the limit of two heartbeats: one may begin meanwhile.
        for n in 0..2 * LIMIT + 1 {
            peer.send(idontwant([n.to_be_bytes().to_vec()]));
        }
        peer.send(idontwant([beyond.id()]));
        trial.handled(&peer).await;
        sender.send(message(&beyond));
        peer.wait_for_message(&beyond).await;
        if let Some(ours) = trial.target.ours() {
            let stored = ours.footprint().await.peer_idontwant as u64;
            assert!(stored <= 2 * LIMIT, "{stored} ids stored");
        }
        trial.heartbeats(1).await;
        peer.send(idontwant([later.id()]));
        trial.handled(&peer).await;
        sender.send(message(&later));
        trial.honest(1).wait_for_message(&later).await;
        trial.handled(&sender).await;
        assert_eq!(peer.copies(&later.id()), 0);
    })
    .await;
}

async fn the_ids_of_a_disconnected_peer_are_forgotten(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.in_mesh().await;
        let ids = |part: u64| (0..500).map(move |n| (part << 32 | n).to_be_bytes().to_vec());
        (0..6).for_each(|part| peer.send(idontwant(ids(part))));
        trial.handled(&peer).await;
        peer.disconnect().await;
        if let Some(ours) = trial.target.ours() {
            trial.wait("no id is stored", async || ours.footprint().await.peer_idontwant == 0).await;
        }
    })
    .await;
}

async fn an_rpc_declines_at_most_ten_messages(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (sender, peer) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent: Vec<_> = (0..20).map(|n| sender.message(n, LARGE)).collect();
        sender.send(sent.iter().map(message).fold(Rpc::default(), Rpc::and));
        trial.wait("all are declined", async || peer.declined().len() == sent.len()).await;
        let most = peer.received().iter().map(|rpc| rpc.idontwant.concat().len()).max();
        assert!(most <= Some(10), "{most:?} ids in one RPC");
    })
    .await;
}

/// In an anonymous network the peer knows the id before the target publishes.
async fn a_declined_publication_of_the_target_is_not_sent(kind: Kind) {
    let heartbeat = Duration::from_secs(1) * crate::cases::factor();
    trial(kind, Setup { anonymous: true, heartbeat, ..Setup::default() }, async |trial| {
        let anonymous = async || {
            let peer = trial.peer(Options { anonymous: true, ..Options::default() }).await;
            trial.enter_mesh(&peer).await;
            peer
        };
        let (peer, other) = (anonymous().await, anonymous().await);
        let payload = vec![7; LARGE];
        let expected = Message { data: Some(payload.clone()), ..Message::default() };
        peer.send(idontwant([expected.id()]));
        trial.handled(&peer).await;
        trial.target_publishes(TOPIC, payload).await;
        other.wait_for_message(&expected).await;
        trial.heartbeats(1).await;
        assert_eq!(peer.copies(&expected.id()), 0);
    })
    .await;
}

/// Also D10.
async fn a_publication_of_the_target_is_declined_by_itself_before_it_is_sent(kind: Kind) {
    trial(kind, Setup { idontwant_on_publish: true, ..Setup::default() }, async |trial| {
        let peer = trial.in_mesh().await;
        let id = trial.target_publishes(TOPIC, vec![7; LARGE]).await;
        trial.wait("the publication arrives", async || peer.copies(&id) == 1).await;
        trial.heartbeats(1).await;
        assert_eq!(declined(&peer, &id), (1, true), "the publication is declined");
    })
    .await;
}
