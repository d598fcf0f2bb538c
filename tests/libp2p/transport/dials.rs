//! These tests ask the transport to dial, as an engine does, and check which dials it refuses and what it reports.

use std::{net::TcpListener, time::Duration};

use actix_gossipsub::libp2p::{AddressFilter, BehaviourConfig, Event};
use actix_gossipsub::{
    ConnectionRefusal, Network, Origin, P2pInput, P2pOutput, PeerRecordOutcome, PxDialOutcome,
};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, core::PeerRecord, identity::Keypair};

use super::support::*;

/// An event that does not occur in this time is missing.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A listener that accepts connections and never answers: its dials stay in progress.
fn silent() -> (TcpListener, Multiaddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    (listener, address.parse().unwrap())
}

/// Asks for a dial and runs the node until it reports that none was made.
async fn refused(node: &mut Ours, output: P2pOutput<Net>) -> Event {
    node.behaviour_mut().gossipsub.apply(output);
    let work = async {
        loop {
            match gossipsub_event(node.select_next_some().await) {
                Some(event @ (Event::DialRefused { .. } | Event::DialFailed { .. })) => return event,
                Some(event) => panic!("{event:?}"),
                None => {}
            }
        }
    };
    tokio::time::timeout(TIMEOUT, work).await.expect("the dial is refused")
}

/// Runs the node until it dials the listener.
async fn is_dialled(node: &mut Ours, listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let work = async {
        loop {
            tokio::select! {
                accepted = listener.accept() => break drop(accepted.unwrap()),
                event = node.select_next_some() => assert!(gossipsub_event(event).is_none()),
            }
        }
    };
    tokio::time::timeout(TIMEOUT, work).await.expect("the address is dialled");
}

fn recommended(peer: PeerId) -> P2pOutput<Net> {
    P2pOutput::Connect { peer, origin: Origin::Px(PeerId::random()), record: None }
}

#[tokio::test]
async fn a_full_dial_budget_is_reported_as_that_and_not_as_an_unreachable_point() {
    let (mut node, network) = ours(BehaviourConfig::default().with(|c| c.max_dials = 1));
    let ((_first, first), (_second, second)) = (silent(), silent());
    node.behaviour_mut().gossipsub.apply(P2pOutput::ConnectPoint { point: first });
    let event = refused(&mut node, P2pOutput::ConnectPoint { point: second.clone() }).await;
    let Event::DialRefused { peer: None, point: Some(point), reason } = event else { panic!("{event:?}") };
    assert_eq!((point, reason), (second, ConnectionRefusal::DialBudget));
    assert_eq!(network.transport_stats().refused(ConnectionRefusal::DialBudget), 1);
}

#[tokio::test]
async fn addresses_that_others_report_are_dialled_only_if_the_filter_allows_them() {
    let private: Multiaddr = "/ip4/10.0.0.1/tcp/22".parse().unwrap();
    for (filter, dialled) in [(AddressFilter::Global, false), (AddressFilter::GlobalAndLoopback, true)] {
        let (mut node, network) = ours(BehaviourConfig::default().with(|c| c.addresses = filter));
        let ((listener, loopback), peer) = (silent(), PeerId::random());
        node.behaviour().gossipsub.add_addresses(peer, [private.clone(), loopback]);
        assert_eq!(network.transport_stats().refused(ConnectionRefusal::AddressFilter), 1);
        if dialled {
            node.behaviour_mut().gossipsub.apply(recommended(peer));
            is_dialled(&mut node, listener).await;
        } else {
            let event = refused(&mut node, recommended(peer)).await;
            assert!(matches!(event, Event::DialFailed { peer: failed, .. } if failed == peer), "{event:?}");
            assert!(listener.accept().is_err(), "nothing was dialled");
        }
    }
}

/// A peer with a record that it signed of this address, as it comes with a PRUNE.
fn with_record(address: Multiaddr) -> (PeerId, P2pOutput<Net>) {
    let key = Keypair::generate_ed25519();
    let peer = key.public().to_peer_id();
    let record = PeerRecord::new_interop(&key, vec![address]).unwrap();
    let record = Some(record.into_signed_envelope().into_protobuf_encoding().into());
    (peer, P2pOutput::Connect { peer, origin: Origin::Px(PeerId::random()), record })
}

#[tokio::test]
async fn a_recommended_peer_is_dialled_by_its_record_only_at_addresses_that_the_filter_allows() {
    for (filter, dialled) in [(AddressFilter::Global, false), (AddressFilter::GlobalAndLoopback, true)] {
        let (mut node, network) = ours(BehaviourConfig::default().with(|c| c.addresses = filter));
        let (listener, loopback) = silent();
        let (peer, output) = with_record(loopback);
        if dialled {
            node.behaviour_mut().gossipsub.apply(output);
            is_dialled(&mut node, listener).await;
        } else {
            let event = refused(&mut node, output).await;
            assert!(matches!(event, Event::DialFailed { peer: failed, .. } if failed == peer), "{event:?}");
            assert!(listener.accept().is_err(), "nothing was dialled");
            assert_eq!(network.transport_stats().px_dials(PxDialOutcome::NoAddress), 1);
            assert_eq!(network.transport_stats().refused(ConnectionRefusal::AddressFilter), 1);
        }
        assert_eq!(network.transport_stats().peer_records(PeerRecordOutcome::Stored), 1);
    }
}

#[tokio::test]
async fn a_recommended_peer_with_a_bad_record_is_not_dialled_even_if_an_address_is_known() {
    let config = BehaviourConfig::default().with(|c| c.addresses = AddressFilter::GlobalAndLoopback);
    let (mut node, network) = ours(config);
    let ((bad, bad_address), (good, good_address)) = (silent(), silent());
    let (_, output) = with_record(bad_address.clone());
    let P2pOutput::Connect { origin, record, .. } = output else { panic!("{output:?}") };
    let peer = PeerId::random();
    node.behaviour().gossipsub.add_addresses(peer, [bad_address]);
    node.behaviour_mut().gossipsub.apply(P2pOutput::Connect { peer, origin, record });
    // A later dial is made, and no earlier one was.
    node.behaviour_mut().gossipsub.apply(with_record(good_address).1);
    is_dialled(&mut node, good).await;
    assert!(bad.accept().is_err(), "nothing was dialled");
    let stats = network.transport_stats();
    assert_eq!(stats.px_dials(PxDialOutcome::BadRecord), 1);
    assert_eq!(stats.peer_records(PeerRecordOutcome::OtherPeer), 1);
}

/// What a peer reports by identify is filtered, also by those parts of the swarm that remember it.
#[tokio::test]
async fn a_peer_that_was_connected_is_not_dialled_at_a_private_address_that_it_reported() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let (mut other, _) = ours(BehaviourConfig::default());
    let peer = *other.local_peer_id();
    listen(&mut other).await;
    let address = listen(&mut node).await;
    other.dial(address).unwrap();
    // The report and the record of the other node have arrived.
    let record = || network.transport_stats().peer_records(PeerRecordOutcome::Stored);
    while record() == 0 {
        both(&mut node, &mut other, |_| Some(()), |_| Some(())).await;
    }
    node.behaviour_mut().gossipsub.apply(P2pOutput::Disconnect { peer });
    let gone = |event| inputs(event).contains(&P2pInput::Disconnection { peer }).then_some(());
    until(&mut node, &mut other, gone).await;
    let event = refused(&mut node, recommended(peer)).await;
    assert!(matches!(event, Event::DialFailed { peer: failed, .. } if failed == peer), "{event:?}");
    assert_eq!(network.transport_stats().px_dials(PxDialOutcome::NoAddress), 1);
}

/// The engine asks for a direct peer by its id alone.
#[tokio::test]
async fn a_direct_peer_is_dialled_at_the_addresses_that_are_known_of_it() {
    let direct = PeerId::random();
    let (mut node, network) =
        ours(BehaviourConfig::default().with(|c| c.addresses = AddressFilter::GlobalAndLoopback));
    let connect = || P2pOutput::Connect { peer: direct, origin: Origin::Direct, record: None };
    // Nothing is known of it yet. The engine asks again later.
    let event = refused(&mut node, connect()).await;
    assert!(matches!(event, Event::DialFailed { peer, .. } if peer == direct), "{event:?}");
    assert!(network.persistent_points().is_empty());
    let (listener, address) = silent();
    node.behaviour().gossipsub.add_addresses(direct, [address]);
    node.behaviour_mut().gossipsub.apply(connect());
    is_dialled(&mut node, listener).await;
}

#[tokio::test]
async fn dials_of_recommended_peers_leave_the_budget_of_the_owner_alone() {
    let (mut node, _) = ours(BehaviourConfig::default().with(|c| {
        c.addresses = AddressFilter::GlobalAndLoopback;
        c.max_px_dials = 2;
        c.max_dials = 1;
    }));
    let ((_silent, silent_address), (trusted, trusted_address)) = (silent(), silent());
    for nth in 0..10 {
        let peer = PeerId::random();
        node.behaviour().gossipsub.add_addresses(peer, [silent_address.clone()]);
        if nth < 2 {
            node.behaviour_mut().gossipsub.apply(recommended(peer));
            continue;
        }
        let event = refused(&mut node, recommended(peer)).await;
        assert!(matches!(event, Event::DialRefused { reason: ConnectionRefusal::PxBudget, .. }), "{event:?}");
    }
    node.behaviour_mut().gossipsub.apply(P2pOutput::ConnectPoint { point: trusted_address });
    is_dialled(&mut node, trusted).await;
}
