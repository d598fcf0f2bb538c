//! These tests check that the messages of a refused source are dropped and take no id: where ids follow from the content,
//! another source may publish the same content.

use std::sync::Arc;

use actix_gossipsub::protocol::{ReceiveOutcome, ValidationMode};

use super::{
    network::PANICS,
    setup::{BOTH, Fixture, Setup, full},
};

const REFUSED: u32 = 2;
const OTHER: u32 = 3;

fn joined(validation_mode: ValidationMode) -> Fixture {
    Setup::new().validation_mode(validation_mode).connected(0..3).subscribed().joined().start()
}

#[test]
fn a_refused_source_does_not_suppress_the_same_content_of_another_source() {
    for validation_mode in BOTH {
        let mut fixture = joined(validation_mode);
        fixture.refuse_source(REFUSED);
        fixture.set_source(REFUSED);
        let scores = [0, 1].map(|peer| fixture.score(peer));
        fixture.node.drain();
        for peer in [0, 1] {
            assert_eq!(fixture.deliver(peer, 1), ReceiveOutcome::RefusedSource);
        }
        assert_eq!([0, 1].map(|peer| fixture.score(peer)), scores);
        assert_eq!(fixture.validations(), 0);
        let drained = fixture.node.drain();
        assert_eq!((drained.p2p, drained.app), (vec![], vec![]), "{validation_mode:?}");
        fixture.set_source(OTHER);
        assert_eq!(fixture.deliver(1, 1), ReceiveOutcome::Route { to: vec![0, 2] });
        // Its copies are duplicates, whatever source they name.
        fixture.set_source(REFUSED);
        assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::AlreadyReceived);
    }
}

#[test]
fn a_source_that_is_refused_while_its_message_awaits_a_verdict_takes_no_id_either() {
    for unknown in [false, true] {
        let mut fixture = joined(ValidationMode::Batched);
        fixture.set_source(REFUSED);
        let now = fixture.now();
        let outcome = fixture.node.receive_message(&0, Arc::new(full(1)), ValidationMode::Batched, now);
        assert_eq!(outcome, ReceiveOutcome::Batched);
        fixture.refuse_source(REFUSED);
        fixture.make_all_messages_unknown(unknown);
        fixture.node.process_batch(now);
        assert_eq!(fixture.node.drain().app, []);
        fixture.make_all_messages_unknown(false);
        fixture.set_source(OTHER);
        assert_eq!(fixture.deliver(1, 1), ReceiveOutcome::Route { to: vec![0, 2] });
        fixture.node.check_parked(now);
        assert_eq!(fixture.node.drain().app.len(), 1, "it is not parked");
    }
}

#[test]
fn a_message_is_dropped_and_may_come_again_if_the_application_panics_at_its_source() {
    let mut fixture = joined(ValidationMode::Sequential);
    fixture.refuse_source(PANICS);
    assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::RefusedSource);
    fixture.refuse_source(REFUSED);
    assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::Route { to: vec![1, 2] });
}
