//! These tests check that the engine learns the addresses of a peer, for P6.

use std::net::{IpAddr, Ipv4Addr};

use actix_gossipsub::libp2p::{BehaviourConfig, TransportBehaviourEvent};
use actix_gossipsub::{ConnectionInfo, P2pInput};
use libp2p::swarm::{ConnectionId, SwarmEvent};

use super::support::*;

/// What happens at the second node.
#[derive(Debug)]
enum NodeEvent {
    Established(ConnectionId),
    Input(Input),
}

/// Runs both until the second has what `pick` looks for.
async fn until_right<T>(
    left: &mut Ours,
    right: &mut Ours,
    mut pick: impl FnMut(NodeEvent) -> Option<T>,
) -> T {
    both(
        left,
        right,
        |_| None,
        |event| match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                pick(NodeEvent::Established(connection_id))
            }
            SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => {
                inputs(event).into_iter().find_map(|input| pick(NodeEvent::Input(input)))
            }
            _ => None,
        },
    )
    .await
}

#[tokio::test]
async fn the_engine_learns_the_addresses_of_all_connections_of_a_peer() {
    let (mut bob, _) = ours(BehaviourConfig::default());
    let (mut alice, _) = ours(BehaviourConfig::default());
    let b = *bob.local_peer_id();
    let [one, two] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    let first = listen(&mut bob).await;
    bob.listen_on(format!("/ip4/{two}/tcp/0").parse().unwrap()).unwrap();
    let second = until_listening(&mut bob).await;

    alice.dial(first.clone()).unwrap();
    let mut connections = Vec::new();
    let info = until_right(&mut bob, &mut alice, |event| match event {
        NodeEvent::Established(id) => {
            connections.push(id);
            None
        }
        NodeEvent::Input(P2pInput::NewConnection { peer, info }) if peer == b => Some(info),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(info, ConnectionInfo::outbound().remote_address(socket_address(&first)));

    let addresses = |event| match event {
        NodeEvent::Input(P2pInput::RemoteAddresses { peer, addresses }) if peer == b => Some(addresses),
        _ => None,
    };
    alice.dial(second).unwrap();
    assert_eq!(until_right(&mut bob, &mut alice, addresses).await, [IpAddr::V4(one), IpAddr::V4(two)]);
    // The first connection ends, the peer stays connected.
    assert!(alice.close_connection(connections[0]));
    assert_eq!(until_right(&mut bob, &mut alice, addresses).await, [IpAddr::V4(two)]);
}

async fn until_listening(swarm: &mut Ours) -> libp2p::Multiaddr {
    use futures::StreamExt;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}
