//! A node ends and starts again with the same key. It gets messages again, its own messages are new ones, and nobody lowers
//! its score.

use libp2p::identity::Keypair;

use super::{
    IdAndData, Signing,
    ours::{Ours, Setup},
    reconnect::assert_no_low_score,
    theirs::{self, Theirs},
    wait,
};

const ROUNDS: usize = 3;
const MESSAGES: usize = 5;

async fn start(key: &Keypair) -> Ours {
    let mut setup = Setup::new(Signing::Strict);
    setup.key = key.clone();
    // Otherwise a new subscriber is offered the latest messages.
    setup.limits.extensions.publish_reaches_degree_optimal = false;
    Ours::start_with(setup).await
}

fn contents(sender: &str, round: usize) -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|n| format!("{sender} {round} {n}").into_bytes()).collect()
}

#[actix_rt::test]
async fn a_restarted_node_exchanges_messages_with_one_of_this_crate() {
    let (key, stays) = (Keypair::generate_ed25519(), start(&Keypair::generate_ed25519()).await);
    let (mut from_us, mut from_restarted) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let restarted = start(&key).await;
        restarted.dial(&stays.address).await;
        wait::both_meshed(&stays, &restarted).await;
        let sent = stays.publish(contents("stays", round));
        from_us.extend(sent.iter().cloned());
        from_restarted.extend(restarted.publish(contents("restarted", round)));
        wait::until("the messages are delivered", &stays, &[], async || {
            let delivered = restarted.delivered();
            let there = sent.iter().all(|message| delivered.contains(message));
            (there && stays.delivered().len() >= from_restarted.len()).then_some(())
        })
        .await;
        wait::heartbeats(&stays, &[], 2).await;
        wait::assert_exactly("the one that stays", &stays.delivered(), &[&from_restarted]);
        // Earlier ones are gossiped for some heartbeats: the restarted node has not seen them in this life.
        let (mut delivered, count) = (restarted.delivered(), restarted.delivered().len());
        assert!(delivered.iter().all(|message| from_us.contains(message)), "{delivered:?}");
        delivered.sort();
        delivered.dedup();
        assert_eq!(delivered.len(), count, "no message is delivered twice");
        assert_no_low_score(&stays);
        let peer = restarted.peer;
        restarted.stop_for_restart().await;
        wait::until("the former connection has ended", &stays, &[], async || {
            stays.knows(&peer).await.is_none().then_some(())
        })
        .await;
    }
    stays.stop().await;
}

/// The official peer sends its subscriptions on its first connection with a peer only. So it must have noticed the end of the
/// former one before.
#[actix_rt::test]
async fn a_restarted_node_exchanges_messages_with_an_official_peer() {
    let key = Keypair::generate_ed25519();
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    // Its state is in the message of a failed wait while there is no other node of ours.
    let observer = start(&Keypair::generate_ed25519()).await;
    let mut from_us: Vec<IdAndData> = Vec::new();
    for round in 0..ROUNDS {
        let ours = start(&key).await;
        ours.dial(&theirs.address).await;
        wait::meshed(&ours, &[&theirs]).await;
        let sent = theirs.publish(contents("theirs", round)).await;
        from_us.extend(ours.publish(contents("ours", round)));
        wait::until("the messages are delivered", &ours, &[&theirs], async || {
            let delivered = ours.delivered();
            let here = sent.iter().all(|message| delivered.contains(message));
            (here && theirs.delivered().len() >= from_us.len()).then_some(())
        })
        .await;
        wait::heartbeats(&ours, &[&theirs], 2).await;
        wait::assert_exactly("theirs", &theirs.delivered(), &[&from_us]);
        let peer = ours.peer;
        ours.stop_for_restart().await;
        wait::until("the former connection has ended", &observer, &[&theirs], async || {
            (!theirs.connected().await.contains(&peer)).then_some(())
        })
        .await;
    }
    observer.stop().await;
}

/// The former process does not run any more, but its connection is open: it stands still here. TCP would notice that late.
#[actix_rt::test]
async fn a_node_that_restarts_while_its_former_connection_is_open_exchanges_messages() {
    let (key, stays) = (Keypair::generate_ed25519(), start(&Keypair::generate_ed25519()).await);
    let former = start(&key).await;
    former.dial(&stays.address).await;
    wait::both_meshed(&stays, &former).await;
    let restarted = start(&key).await;
    restarted.dial(&stays.address).await;
    // Without a SUBSCRIBE and a GRAFT for the new process it would stay alone.
    wait::both_meshed(&stays, &restarted).await;
    let delivered_by_former = former.delivered().len();
    let from_restarted = restarted.publish(contents("restarted", 0));
    let exchange = async |round| {
        let sent = stays.publish(contents("stays", round));
        wait::until("the messages are delivered", &stays, &[], async || {
            let delivered = restarted.delivered();
            let there = sent.iter().all(|message| delivered.contains(message));
            (there && stays.delivered().len() >= from_restarted.len()).then_some(())
        })
        .await;
    };
    exchange(1).await;
    assert_eq!(former.delivered().len(), delivered_by_former, "everything goes to the new process");
    former.worker.shutdown_for_restart().await;
    wait::heartbeats(&stays, &[], 3).await;
    exchange(2).await;
    assert_eq!(stays.knows(&restarted.peer).await, Some(true));
    wait::assert_exactly("the one that stays", &stays.delivered(), &[&from_restarted]);
    assert_no_low_score(&stays);
    for node in [stays, restarted] {
        node.stop().await;
    }
}
