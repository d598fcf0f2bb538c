//! These tests check how a node counts its connections, its dials, and the connections that fail, by cause.

use std::{future::Future, time::Duration};

use actix_gossipsub::libp2p::BehaviourConfig;
use actix_gossipsub::{ConnectionFailure, DialOutcome, Direction, Network, ProtocolVersion, TransportKind};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::SwarmEvent,
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::support::*;

/// Runs both nodes until `done`.
async fn run_until(left: &mut Ours, right: &mut Ours, done: impl Fn() -> bool) {
    let work = async {
        while !done() {
            tokio::select! { _ = left.select_next_some() => {}, _ = right.select_next_some() => {} }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it is counted");
}

#[tokio::test]
async fn connections_are_counted_by_transport_and_direction_until_they_close() {
    let ((mut alice, at_alice), (mut bob, at_bob)) =
        (ours(BehaviourConfig::default()), ours(BehaviourConfig::default()));
    let address = listen(&mut bob).await;
    let tcp =
        |network: &Net, direction| network.transport_stats().open_connections(TransportKind::Tcp, direction);
    alice.dial(address.clone()).unwrap();
    run_until(&mut alice, &mut bob, || tcp(&at_bob, Direction::Inbound) == 1).await;
    assert_eq!((tcp(&at_alice, Direction::Outbound), tcp(&at_alice, Direction::Inbound)), (1, 0));
    assert_eq!(at_alice.transport_stats().dials(DialOutcome::Connected), 1);
    // A dial of a connected peer, under the condition that it is not.
    let again = DialOpts::peer_id(*bob.local_peer_id()).addresses(vec![address]).build();
    assert!(alice.dial(again).is_err());
    assert_eq!(at_alice.transport_stats().dials(DialOutcome::Redundant), 1);
    alice.disconnect_peer_id(*bob.local_peer_id()).unwrap();
    let open = || tcp(&at_bob, Direction::Inbound) + tcp(&at_alice, Direction::Outbound);
    run_until(&mut alice, &mut bob, || open() == 0).await;
}

/// The connections of each version that a network counts.
fn by_version(network: &Net) -> Vec<(ProtocolVersion, usize)> {
    use ProtocolVersion::*;

    let stats = network.transport_stats();
    let counts = [Floodsub, V1_0, V1_1, V1_2].map(|version| (version, stats.connections_with(version)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn connections_are_counted_by_the_version_that_they_carry() {
    let old = BehaviourConfig::default().protocol_id("/meshsub/1.1.0", ProtocolVersion::V1_1).unwrap();
    let ((mut alice, at_alice), (mut bob, at_bob)) = (ours(BehaviourConfig::default()), ours(old));
    let address = listen(&mut bob).await;
    for connections in 1..=2 {
        let dial = DialOpts::peer_id(*bob.local_peer_id()).condition(PeerCondition::Always);
        alice.dial(dial.addresses(vec![address.clone()]).build()).unwrap();
        let carried = || [by_version(&at_alice), by_version(&at_bob)];
        let expected = || vec![(ProtocolVersion::V1_1, connections)];
        run_until(&mut alice, &mut bob, || carried() == [expected(), expected()]).await;
    }
    // A blocked peer counts no longer, although its connections are still open.
    alice.behaviour_mut().gossipsub.block(*bob.local_peer_id(), Duration::MAX);
    assert_eq!(by_version(&at_alice), []);
    run_until(&mut alice, &mut bob, || by_version(&at_bob).is_empty()).await;
    assert_eq!(by_version(&at_alice), []);
}

/// Dials a listener that answers so, and returns the cause that is counted.
async fn cause_with<F: Future<Output = ()> + Send>(
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Vec<(ConnectionFailure, u64)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let serve = async move { answer(listener.accept().await.unwrap().0).await };
    dialled(address.parse().unwrap(), serve).await
}

/// Dials the address while `serve` runs, and returns the causes that are counted.
async fn dialled(address: Multiaddr, serve: impl Future<Output = ()>) -> Vec<(ConnectionFailure, u64)> {
    let (mut node, network) = ours(BehaviourConfig::default());
    node.dial(address).unwrap();
    let failed = async {
        while !matches!(node.select_next_some().await, SwarmEvent::OutgoingConnectionError { .. }) {}
    };
    let both = async { tokio::join!(failed, serve) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the dial fails");
    let stats = network.transport_stats();
    assert_eq!((stats.dials(DialOutcome::Failed), stats.dials(DialOutcome::Connected)), (1, 0));
    counted(|cause| stats.failed_connections(Direction::Outbound, cause))
}

fn counted(count: impl Fn(ConnectionFailure) -> u64) -> Vec<(ConnectionFailure, u64)> {
    use ConnectionFailure::*;

    let all =
        [Unreachable, Timeout, Closed, NoCommonProtocol, WrongPeer, UnknownName, UnsupportedAddress, Other];
    all.into_iter().map(|cause| (cause, count(cause))).filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn failed_dials_are_counted_by_cause() {
    let closed = cause_with(|stream| async { drop(stream) }).await;
    assert_eq!(closed, [(ConnectionFailure::Closed, 1)]);

    let refusing = cause_with(|mut stream| async move {
        let mut received = [0; 512];
        let _ = stream.read(&mut received).await.unwrap();
        // Multistream-select: its header, then "not available" for the protocol that was offered.
        stream.write_all(b"\x13/multistream/1.0.0\n\x03na\n").await.unwrap();
        while stream.read(&mut received).await.is_ok_and(|read| read > 0) {}
    });
    assert_eq!(refusing.await, [(ConnectionFailure::NoCommonProtocol, 1)]);

    // The port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let unreachable = dialled(format!("/ip4/127.0.0.1/tcp/{gone}").parse().unwrap(), async {}).await;
    assert_eq!(unreachable, [(ConnectionFailure::Unreachable, 1)]);
    let unsupported = dialled("/ip4/127.0.0.1/sctp/9".parse().unwrap(), async {}).await;
    assert_eq!(unsupported, [(ConnectionFailure::UnsupportedAddress, 1)]);
    // The top-level domain `invalid` has no names; without a name server the question fails too.
    let unknown = dialled("/dns4/node.invalid/tcp/9".parse().unwrap(), async {}).await;
    assert_eq!(unknown, [(ConnectionFailure::UnknownName, 1)]);
}

/// The time limit of handshakes is 10 s.
#[tokio::test]
async fn a_handshake_that_takes_too_long_is_counted_as_a_timeout() {
    let silent = cause_with(|mut stream| async move {
        let mut received = [0; 512];
        while stream.read(&mut received).await.is_ok_and(|read| read > 0) {}
    });
    assert_eq!(silent.await, [(ConnectionFailure::Timeout, 1)]);
}

#[tokio::test]
async fn a_peer_with_another_id_is_counted_as_that() {
    let ((mut alice, at_alice), (mut bob, at_bob)) =
        (ours(BehaviourConfig::default()), ours(BehaviourConfig::default()));
    let address = listen(&mut bob).await.with(Protocol::P2p(PeerId::random()));
    alice.dial(address).unwrap();
    let wrong =
        || at_alice.transport_stats().failed_connections(Direction::Outbound, ConnectionFailure::WrongPeer);
    run_until(&mut alice, &mut bob, || wrong() == 1).await;
    assert_eq!(at_alice.transport_stats().dials(DialOutcome::Failed), 1);
    assert_eq!(at_bob.transport_stats().open_connections(TransportKind::Tcp, Direction::Outbound), 0);
}

#[tokio::test]
async fn a_handshake_that_a_peer_breaks_off_is_counted() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let address = listen(&mut node).await;
    drop(TcpStream::connect(socket_address(&address)).await.unwrap());
    let failed = async {
        while !matches!(node.select_next_some().await, SwarmEvent::IncomingConnectionError { .. }) {}
    };
    tokio::time::timeout(Duration::from_secs(20), failed).await.expect("the handshake fails");
    let stats = network.transport_stats();
    let causes = counted(|cause| stats.failed_connections(Direction::Inbound, cause));
    assert_eq!(causes, [(ConnectionFailure::NoCommonProtocol, 1)]);
}
