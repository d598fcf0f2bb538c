//! These tests attack with full messages: invalid, repeated, undecidable, large and unrequested ones.

use actix_gossipsub::protocol::View;

use super::{HEAP, bare_node::BareNode, support::*};

#[test]
fn a_sender_of_invalid_messages_leaves_the_mesh_and_gets_no_gossip() {
    with_attacker(
        |limits| limits.bounds.max_invalid_per_topic = 1000,
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            let cost = scenario.attack(50_000, |number| message(ATTACKER, ATTACKED, number, b"i")).await;
            assert_eq!(scenario.outputs.delivered, 0);
            assert!(scenario.score().await < scenario.limits().publish_threshold);
            scenario.assert_nothing_kept(&cost);
            let remembered = cost.after.footprint;
            let bytes = remembered.invalid * message_bytes(b"i");
            assert_eq!((remembered.invalid, remembered.invalid_bytes), (1000, bytes));
            scenario.pass_heartbeats(1).await;
            assert!(!scenario.view().await.mesh[&ATTACKED].contains(&ATTACKER));
            assert_eq!(scenario.outputs.prunes, 1);
            scenario.send(ihave(ATTACKER, ATTACKED, vec![Id::new(ATTACKED, 1 << 40)]));
            assert!(!scenario.is_answered().await);
            assert_eq!(scenario.outputs.iwants, 0);
        },
    );
}

#[test]
fn copies_of_an_invalid_message_are_not_validated_again() {
    const COPIES: usize = 10_000;
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario.attack(COPIES, |_| message(ATTACKER, ATTACKED, 1, b"i")).await;
            assert_eq!(scenario.validated_of_others(), 1);
            scenario.assert_nothing_kept(&cost);
            assert_eq!(cost.after.footprint.invalid, 1);
            // Each copy lowers the score of its sender (P4).
            scenario.send(message(0, ATTACKED, 1, b"i"));
            let invalid =
                |scenario: &View<AttackNetwork>, peer: u64| scenario.scores[&peer].topics[&ATTACKED].invalid;
            let view = scenario.view().await;
            assert_eq!((invalid(&view, ATTACKER), invalid(&view, 0)), (COPIES as f64, 1.0));
            assert_eq!(scenario.validated_of_others(), 1);
        },
    );
}

#[test]
fn an_invalid_message_is_remembered_for_the_configured_ticks() {
    with_attacker(
        |limits| limits.extensions.invalid_memory_ticks = 4,
        async |scenario| {
            scenario.send(message(ATTACKER, ATTACKED, 1, b"i"));
            scenario.pass_heartbeats(3).await;
            scenario.send(message(ATTACKER, ATTACKED, 1, b"i"));
            assert_eq!(scenario.usage().await.footprint.invalid, 1);
            assert_eq!(scenario.validated_of_others(), 1);
            scenario.pass_heartbeats(1).await;
            let expired = scenario.usage().await.footprint;
            assert_eq!((expired.invalid, expired.invalid_bytes), (0, 0));
            scenario.send(message(ATTACKER, ATTACKED, 1, b"i"));
            scenario.settle().await;
            assert_eq!(scenario.validated_of_others(), 2);
        },
    );
}

#[test]
fn an_invalid_message_does_not_block_a_valid_one_with_the_same_id() {
    with_attacker(
        |_| {},
        async |scenario| {
            scenario.send(message(ATTACKER, ATTACKED, 1, b"i"));
            scenario.send(message(0, ATTACKED, 1, b"v"));
            scenario.settle().await;
            assert_eq!(scenario.outputs.delivered, 1);
            let view = scenario.view().await;
            assert_eq!(view.scores[&0].topics[&ATTACKED].invalid, 0.0);
            assert_eq!(view.scores[&0].topics[&ATTACKED].first, 1.0);
        },
    );
}

#[test]
fn large_invalid_messages_are_remembered_within_the_byte_bound() {
    const LARGE: usize = 10_000;
    with_attacker(
        |limits| limits.bounds.max_invalid_bytes_per_topic = 50 * LARGE,
        async |scenario| {
            let large = [b'i'; LARGE];
            let cost = scenario.attack(1000, |number| message(ATTACKER, ATTACKED, number, &large)).await;
            scenario.assert_nothing_kept(&cost);
            let most = scenario.limits().bounds.max_invalid_bytes_per_topic / message_bytes(&large);
            assert_eq!(cost.after.footprint.invalid_bytes, most * message_bytes(&large));
            assert_eq!(cost.after.footprint.invalid, 1000, "of the others it remembers the ids");
            assert!(
                cost.bytes() <= scenario.limits().bounds.max_invalid_bytes_per_topic + scenario.allowance()
            );
        },
    );
}

#[test]
fn duplicates_are_dropped() {
    with_attacker(
        |_| {},
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            scenario.send(message(ATTACKER, ATTACKED, 1, b"v"));
            let before = scenario.usage().await;
            let cost = scenario.attack(100_000, |_| message(ATTACKER, ATTACKED, 1, b"v")).await;
            assert_eq!(scenario.outputs.delivered, 1);
            assert_eq!(cost.after.footprint, before.footprint);
            scenario.assert_nothing_kept(&cost);
            // Only the first copy is credited (P2).
            let view = scenario.view().await;
            assert!(view.scores[&ATTACKER].topics[&ATTACKED].first <= 1.0);
        },
    );
}

#[test]
fn repeated_duplicates_are_credited_once() {
    with_attacker(
        |_| {},
        async |scenario| {
            scenario.send(graft(ATTACKER, ATTACKED));
            scenario.send(message(0, ATTACKED, 1, b"v"));
            scenario.settle().await;
            let cost = scenario.attack(1000, |_| message(ATTACKER, ATTACKED, 1, b"v")).await;
            scenario.assert_nothing_kept(&cost);
            let delivered = scenario.view().await.scores[&ATTACKER].topics[&ATTACKED].delivered;
            assert_eq!(delivered, 1.0, "deliveries credited (P3) for one message");
        },
    );
}

#[test]
fn senders_of_duplicates_are_credited_up_to_the_bound() {
    let mut bare = BareNode::new(|limits| {
        limits.bounds.max_co_senders = 3;
        (limits.degree_low, limits.degree_optimal, limits.degree_high) = (8, 8, 8);
    });
    bare.join(ATTACKED);
    for peer in 0..8 {
        bare.connect(peer);
        bare.node.graft(&peer, &ATTACKED, bare.now);
    }
    for peer in (0..8).chain(0..8) {
        bare.receive(peer, ATTACKED, Id::new(ATTACKED, 1), b"v");
    }
    let scores = bare.node.view(bare.now).scores;
    let credited: Vec<_> = scores.values().map(|score| score.topics[&ATTACKED].delivered).collect();
    assert_eq!(credited, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn messages_of_unknown_validity_are_parked_up_to_the_bound() {
    with_attacker(
        |limits| limits.bounds.max_parked_messages = 500,
        async |scenario| {
            let cost = scenario.attack(50_000, |number| message(ATTACKER, ATTACKED, number, b"u")).await;
            let parked = scenario.limits().bounds.max_parked_messages;
            assert_eq!(cost.after.footprint.parked, parked);
            assert_eq!(scenario.outputs.delivered, 0);
            assert!(cost.bytes() <= parked * ENTRY + scenario.allowance(), "{} bytes", cost.bytes());
            scenario.worker.check_parked().await;
            assert_eq!(scenario.usage().await.footprint.parked, parked);
        },
    );
}

#[test]
fn messages_on_topics_that_are_not_joined_store_nothing() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost =
                scenario.attack(100_000, |number| message(ATTACKER, NOT_JOINED + number, 1, b"v")).await;
            assert_eq!(scenario.outputs, OutputCounts::default());
            scenario.assert_nothing_kept(&cost);
        },
    );
}

#[test]
fn large_messages_are_queued_within_the_bound_and_leave_room_for_honest_peers() {
    const LARGE: usize = 100_000;
    with_attacker_on(
        0,
        |limits| limits.bounds.max_input_bytes = 40 * LARGE,
        async |scenario| {
            let before = HEAP.current_usage();
            let large = |number| message(ATTACKER, ATTACKED, number, &vec![b'i'; LARGE]);
            let accepted =
                (0..200).filter(|number| scenario.worker.p2p_input(large(*number)).is_ok()).count();
            let queued = HEAP.current_usage().saturating_sub(before);
            assert!((1..40).contains(&accepted), "{accepted} inputs are accepted");
            let bound = scenario.limits().bounds.max_input_bytes;
            assert!(
                queued <= bound + scenario.allowance(),
                "{queued} bytes are queued, above the bound {bound}"
            );
            scenario.send_honest(CALM);
            scenario.send_honest(ATTACKED);
            scenario.settle().await;
            let after = HEAP.current_usage().saturating_sub(before);
            assert!(after <= scenario.allowance(), "{after} bytes kept");
            assert!(scenario.score().await < scenario.limits().gossip_threshold);
        },
    );
}
