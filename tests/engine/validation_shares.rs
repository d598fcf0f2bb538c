//! These tests check what each peer may take of the room for asynchronous validations.

use std::collections::BTreeSet;

use actix_gossipsub::{P2pInput, P2pMessage, P2pOutput, Validity, plain::PlainNetwork};

use crate::{
    recording::Recording,
    support::*,
    validation::{PendingVerdicts, wait_for_validating},
};

/// Otherwise one peer could keep a topic from validating the messages of all others.
#[test]
fn a_peer_that_fills_its_part_of_the_validations_leaves_room_for_others() {
    const BYTES: usize = 10_000;
    run(async {
        for by_bytes in [false, true] {
            let verdicts = PendingVerdicts::default();
            let limits = changed(|limits| {
                limits.extensions.idontwant_message_size = 1;
                limits.extensions.max_idontwant_per_heartbeat = 100;
                limits.extensions.idontwant_ticks = 3;
                match by_bytes {
                    // Eight messages with their ids and topics.
                    true => limits.bounds.max_validating_bytes_per_topic = 8 * (BYTES + 500),
                    false => limits.bounds.max_validating_per_topic = 8,
                }
            });
            let builder = manual(verdicts.network(), limits).arbiters(1);
            let (recording, mut engine) = Recording::of(builder, ["a".to_owned()]);
            let throttled = || recording.count("gossipsub_validations_dropped_total{reason=throttled}");
            for peer in 1..=3 {
                engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
                engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
            }
            let send = async |peer: u64, number: u64| {
                let full = PlainNetwork::message("a", number, &"x".repeat(BYTES));
                let message = P2pInput::message(peer, P2pMessage::FullMessage(full.into()));
                engine.worker.p2p_input(message).expect("the input is accepted");
                engine.worker.footprint().await.expect("the engine runs");
            };
            for number in 1..=8 {
                send(1, number).await;
            }
            assert_eq!((verdicts.open(), throttled()), (5, 3), "half of the limit and one");
            // A third of the limit and one.
            for number in 11..=14 {
                send(2, number).await;
            }
            assert_eq!((verdicts.open(), throttled()), (8, 4));
            for number in (1..=5).chain(11..=13) {
                verdicts.resolve(number, Validity::Valid);
            }
            wait_for_validating(&engine.worker, 0).await;
            send(1, 8).await;
            wait_for_validating(&engine.worker, 1).await;
            verdicts.resolve(8, Validity::Valid);
            engine.worker.settle().await;
            let declined: BTreeSet<u64> = std::iter::from_fn(|| engine.p2p.try_recv())
                .filter_map(|output| match output {
                    P2pOutput::OutMessage { message: P2pMessage::IDontWant { message_ids }, .. } => {
                        Some(message_ids)
                    }
                    _ => None,
                })
                .flatten()
                .map(|id| id.number)
                .collect();
            let validated = (1..=5).chain([8]).chain(11..=13).collect();
            assert_eq!(declined, validated, "mesh peers are asked to keep only what is validated");
            engine.worker.shutdown().await;
        }
    });
}
