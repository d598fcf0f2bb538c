//! These tests check P6 in an engine: peers of one address lose score, and what follows from that.

use std::net::IpAddr;

use actix_gossipsub::{ConnectionInfo, P2pInput, Worker, plain::PlainNetwork};

use crate::support::*;

const SHARED: [u8; 4] = [192, 0, 2, 1];

fn connect_from(worker: &Worker<PlainNetwork>, peer: u64, address: [u8; 4]) {
    let info = ConnectionInfo::inbound().remote_address((address, 4001).into());
    worker.p2p_input(P2pInput::NewConnection { peer, info }).expect("the input is accepted");
}

async fn p6(worker: &Worker<PlainNetwork>, peer: u64) -> f64 {
    let score = worker
        .score_of(&peer, actix_gossipsub::Page::all())
        .await
        .expect("the engine runs")
        .expect("the peer has a score");
    score.p6
}

#[test]
fn peers_that_share_an_address_are_not_grafted() {
    run(async {
        let limits = changed(|limits| {
            limits.score.ip_colocation_weight = -10.0;
            limits.score.ip_colocation_threshold = 2.0;
        });
        let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let worker = &engine.worker;
        (0..4).for_each(|peer| connect_from(worker, peer, SHARED));
        connect_from(worker, 4, [192, 0, 2, 2]);
        worker.settle().await;
        // At once for those that come when there are too many, at the next heartbeat for the others.
        assert_eq!([p6(worker, 0).await, p6(worker, 2).await, p6(worker, 3).await], [0.0, -10.0, -40.0]);
        for peer in 0..5 {
            worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        worker.settle().await;
        let mesh =
            |state: actix_gossipsub::protocol::View<_>| state.mesh["a"].iter().copied().collect::<Vec<u64>>();
        assert_eq!(mesh(worker.state().await.expect("the engine runs")), [0, 1, 4]);
        worker.tick().await;
        worker.settle().await;
        assert_eq!(p6(worker, 0).await, -40.0);
        worker.tick().await;
        worker.settle().await;
        assert_eq!(mesh(worker.state().await.expect("the engine runs")), [4]);

        // Three peers move: the others are not too many any more.
        for peer in 0..3 {
            let addresses = vec![IpAddr::from([192, 0, 2, 10 + peer as u8])];
            worker.p2p_input(P2pInput::RemoteAddresses { peer, addresses }).expect("the input is accepted");
        }
        worker.tick().await;
        worker.settle().await;
        for peer in 0..5 {
            assert_eq!(p6(worker, peer).await, 0.0, "{peer}");
        }
        worker.shutdown().await;
    });
}
