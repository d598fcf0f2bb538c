//! These tests connect peers that speak floodsub to a running engine.

use actix_gossipsub::{AppInput, ConnectionInfo, P2pInput, P2pMessage, plain::PlainNetwork};

use crate::{recording::Recording, support::*};

fn connect_floodsub(peer: u64) -> P2pInput<PlainNetwork> {
    P2pInput::NewConnection { peer, info: ConnectionInfo::inbound().floodsub() }
}

#[test]
fn they_are_sent_every_message_and_no_control_messages() {
    run(async {
        let limits = changed(|limits| limits.publish_threshold = -5.0);
        let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
        let worker = engine.worker.clone();
        let accept = |input| worker.p2p_input(input).expect("the input is accepted");
        for peer in 1..=3 {
            accept(if peer == 3 { connect(peer) } else { connect_floodsub(peer) });
            accept(subscribe(peer, "a"));
            accept(graft(peer, "a"));
        }
        worker.settle().await;
        worker.tick().await;
        assert_eq!(worker.mesh_of(&"a".to_owned()).await, Ok(Some(vec![3])));
        assert!(worker.state().await.expect("the engine runs").connections[&1].floodsub);
        let gauge = recording.gauge("gossipsub_connections{direction=inbound,kind=floodsub}");
        let refused = recording.count("gossipsub_inputs_total{input=graft,outcome=floodsub_peer}");
        assert_eq!((gauge, refused), (2.0, 2));

        worker.app_input(publish("a", 1)).expect("the engine runs");
        accept(message(3, "a", 2));
        accept(message(1, "a", 3));
        let ids = vec![PlainNetwork::message("a", 9, "content").message_id];
        accept(P2pInput::message(1, P2pMessage::IHave { topic: "a".to_owned(), message_ids: ids }));
        worker.settle().await;
        let score = AppInput::SetApplicationScore { peer: 2, score: -1_000.0 };
        worker.app_input(score).expect("the engine runs");
        worker.settle().await;
        accept(message(3, "a", 4));
        worker.app_input(leave("a")).expect("the engine runs");
        worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        // The announcements are more urgent than messages.
        let expected = ["subscribe", "unsubscribe", "message", "message", "message"];
        assert_eq!(sent_to(&outputs, 1, "a"), expected, "all but its own");
        assert_eq!(sent_to(&outputs, 2, "a"), expected, "all but what came when its score was low");
        worker.shutdown().await;
    });
}
