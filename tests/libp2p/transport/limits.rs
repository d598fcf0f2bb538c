//! These tests connect many peers to a node, each from an address of its own in 127.0.0.0/8, and check which of them the
//! limits on connections admit.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::ConnectionRefusal;
use actix_gossipsub::libp2p::{
    BehaviourConfig, RefusedConnections, ScoreSource, TransportBehaviourEvent, TransportConfig,
};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, swarm::SwarmEvent};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
};

use super::{
    addresses::{dial_from, peer_at},
    support::*,
};

/// What happened at a node.
#[derive(Default)]
struct Observed {
    /// The addresses of the inbound connections that were admitted.
    admitted: BTreeMap<IpAddr, usize>,
    /// Dials that were answered.
    dialled: usize,
    closed: Vec<PeerId>,
    refused: BTreeMap<&'static str, u64>,
    refusals: Vec<RefusedConnections>,
}

impl Observed {
    fn refused(&self, reason: ConnectionRefusal) -> u64 {
        self.refused.get(<&str>::from(reason)).copied().unwrap_or_default()
    }

    fn admitted(&self, ips: impl IntoIterator<Item = Ipv4Addr>) -> usize {
        ips.into_iter().filter(|ip| self.admitted.contains_key(&IpAddr::V4(*ip))).count()
    }

    fn add(&mut self, event: SwarmEvent<TransportBehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { endpoint, .. } if endpoint.is_dialer() => self.dialled += 1,
            SwarmEvent::ConnectionEstablished { endpoint, .. } => {
                let ip = socket_address(endpoint.get_remote_address()).ip();
                *self.admitted.entry(ip).or_default() += 1;
            }
            SwarmEvent::ConnectionClosed { peer_id, .. } => self.closed.push(peer_id),
            SwarmEvent::Behaviour(TransportBehaviourEvent::Limits(refused)) => {
                *self.refused.entry(refused.reason.into()).or_default() += refused.count;
                self.refusals.push(refused);
            }
            _ => {}
        }
    }

    /// Runs the node until `done`.
    async fn run(&mut self, node: &mut Ours, done: impl Fn(&Self) -> bool) {
        let work = async {
            while !done(self) {
                self.add(node.select_next_some().await);
            }
        };
        tokio::time::timeout(Duration::from_secs(30), work).await.unwrap_or_else(|_| {
            panic!("{:?} admitted, {:?} refused, {} dialled", self.admitted, self.refused, self.dialled)
        });
    }
}

/// A node for which loopback addresses are like all others.
async fn node(change: impl FnOnce(&mut TransportConfig)) -> (Ours, Multiaddr) {
    let config = TransportConfig::default().with(|c| {
        c.connections.exempt_loopback = false;
        change(c);
    });
    let (mut node, _) = ours_with(&config);
    let address = listen(&mut node).await;
    (node, address)
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, n)
}

const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

/// TCP connections that send nothing.
async fn silent(count: usize, to: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ATTACKER, 0))).unwrap();
        streams.push(socket.connect(to).await.unwrap());
    }
    streams
}

#[tokio::test]
async fn silent_connections_of_one_address_do_not_keep_newcomers_out() {
    let (mut node, address) = node(|_| {}).await;
    // They wait in the backlog of the listener, before those of the newcomers.
    let _silent = silent(300, socket_address(&address)).await;
    for n in 1..=15 {
        dial_from(ip(n), &address, 1);
    }
    let mut observed = Observed::default();
    observed.run(&mut node, |observed| observed.admitted((1..=15).map(ip)) == 15).await;
    assert_eq!(observed.refused(ConnectionRefusal::Address), 292);
    assert_eq!(observed.refused.len(), 1, "{:?}", observed.refused);
    let last = observed.refusals.last().unwrap();
    let from = last.address.as_ref().map(|address| socket_address(address).ip());
    assert_eq!(from, Some(ATTACKER.into()), "the event names the address");
}

#[tokio::test]
async fn one_address_takes_8_slots_and_newcomers_and_own_dials_get_in() {
    let (mut node, address) = node(|c| {
        c.connections.system.connections = 40;
        c.connections.system.inbound = 32;
        c.connections.peer.connections = 100;
        c.connections.peer.inbound = 100;
        c.connections.peer.file_descriptors = 100;
        c.connections.peer.memory = 1 << 30;
    })
    .await;
    dial_from(ATTACKER, &address, 60);
    let mut observed = Observed::default();
    let of_attacker = |observed: &Observed| observed.admitted.get(&ATTACKER.into()).copied().unwrap_or(0);
    observed
        .run(&mut node, |observed| {
            of_attacker(observed) as u64 + observed.refused(ConnectionRefusal::Address) == 60
        })
        .await;
    assert_eq!(of_attacker(&observed), 8);
    for n in 1..=10 {
        dial_from(ip(n), &address, 1);
    }
    let mut own = Vec::new();
    for n in 101..=103 {
        let (swarm, at) = peer_at(ip(n)).await;
        own.push(tokio::spawn(swarm.for_each(|_| async {})));
        node.dial(at).unwrap();
    }
    observed
        .run(&mut node, |observed| observed.admitted((1..=10).map(ip)) == 10 && observed.dialled == 3)
        .await;
}

#[tokio::test]
async fn the_last_slots_are_for_own_dials_however_many_addresses_attack() {
    let (mut node, address) = node(|c| {
        c.connections.system.connections = 12;
        c.connections.system.inbound = 8;
    })
    .await;
    for n in 1..=20 {
        dial_from(ip(n), &address, 1);
    }
    let mut observed = Observed::default();
    observed.run(&mut node, |observed| observed.refused(ConnectionRefusal::Inbound) == 12).await;
    assert_eq!(observed.admitted.len(), 8);
    for n in 101..=104 {
        let (swarm, at) = peer_at(ip(n)).await;
        tokio::spawn(swarm.for_each(|_| async {}));
        node.dial(at).unwrap();
    }
    observed.run(&mut node, |observed| observed.dialled == 4).await;
    assert!(node.dial("/ip4/127.0.0.1/tcp/1".parse::<Multiaddr>().unwrap()).is_err());
}

#[tokio::test]
async fn the_worst_inbound_connection_gives_way_to_a_trusted_peer_and_to_a_better_one() {
    let (trusted, _) = peer_at(ip(100)).await;
    let (better, _) = peer_at(ip(101)).await;
    let [trusted_id, better_id] = [*trusted.local_peer_id(), *better.local_peer_id()];
    let (mut node, address) = node(|c| {
        c.connections.system.connections = 5;
        c.connections.system.inbound = 3;
        c.gossipsub = BehaviourConfig::default().with(|c| c.trusted = BTreeSet::from([trusted_id]));
    })
    .await;
    let mut observed = Observed::default();
    let mut sybils = Vec::new();
    for n in 1..=3 {
        sybils.push(dial_from(ip(n), &address, 1));
        observed.run(&mut node, |observed| observed.admitted.len() == n as usize).await;
    }
    let worst = sybils[1];
    let scores: Arc<ScoreSource> = Arc::new(move |peer| match peer {
        peer if *peer == better_id => Some(1.0),
        peer if *peer == worst => Some(-50.0),
        _ => None,
    });
    node.behaviour_mut().limits.set_scores(Some(scores));

    for (mut newcomer, gives_way) in [(trusted, sybils[1]), (better, sybils[2])] {
        newcomer.dial(address.clone()).unwrap();
        tokio::spawn(newcomer.for_each(|_| async {}));
        observed.run(&mut node, |observed| observed.closed.contains(&gives_way)).await;
    }
    assert_eq!(observed.closed, [sybils[1], sybils[2]]);
    assert_eq!(observed.admitted((100..=101).map(ip)), 2);
    assert_eq!(observed.refused(ConnectionRefusal::GaveWay), 2);
    assert!(node.is_connected(&trusted_id) && node.is_connected(&better_id));
    // A peer that has no score is refused, and nothing closes for it.
    dial_from(ip(4), &address, 1);
    observed.run(&mut node, |observed| observed.refused(ConnectionRefusal::Inbound) == 1).await;
    assert_eq!(observed.closed.len(), 2);
}

/// The engine forgets a score above 0 when its peer disconnects, so the limits remember it.
#[tokio::test]
async fn a_peer_with_a_good_score_gets_back_into_a_full_node() {
    let (mut good, _) = peer_at(ip(100)).await;
    let good_id = *good.local_peer_id();
    let (mut node, address) = node(|c| {
        c.connections.system.connections = 4;
        c.connections.system.inbound = 2;
    })
    .await;
    let connected = Arc::new(AtomicBool::new(true));
    let has_score = Arc::clone(&connected);
    let scores: Arc<ScoreSource> =
        Arc::new(move |peer| (*peer == good_id && has_score.load(Ordering::Relaxed)).then_some(1.0));
    node.behaviour_mut().limits.set_scores(Some(scores));

    good.dial(address.clone()).unwrap();
    let (full, redial) = (Arc::new(Notify::new()), address.clone());
    let is_full = Arc::clone(&full);
    tokio::spawn(async move {
        while let Some(event) = good.next().await {
            if matches!(event, SwarmEvent::ConnectionClosed { .. }) {
                is_full.notified().await;
                good.dial(redial.clone()).unwrap();
            }
        }
    });
    let mut observed = Observed::default();
    observed.run(&mut node, |observed| observed.admitted(vec![ip(100)]) == 1).await;
    node.disconnect_peer_id(good_id).unwrap();
    observed.run(&mut node, |observed| observed.closed == [good_id]).await;
    connected.store(false, Ordering::Relaxed);

    let sybils = [1, 2].map(|n| dial_from(ip(n), &address, 1));
    observed.run(&mut node, |observed| observed.admitted([1, 2].map(ip)) == 2).await;
    full.notify_one();
    observed.run(&mut node, |observed| sybils.iter().any(|sybil| observed.closed.contains(sybil))).await;
    assert!(node.is_connected(&good_id));
}
