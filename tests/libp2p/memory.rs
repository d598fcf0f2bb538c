//! These tests check the bounds of memory: that of an engine for the types of the libp2p transport, and that of the
//! transport with peers that do not read what they caused, or that send frames slowly. What is charged is read from the
//! transport, whose unit tests and `tests/alone/transport_memory.rs` compare it with the heap.

use std::{collections::HashMap, time::Duration};

use actix_gossipsub::{
    DropReason, Limits, LimitsConfig, Network, P2pInput,
    libp2p::{BehaviourConfig, Event, InboundError, Libp2pNetwork, TopicName, TransportConfig},
    protocol::{Footprint, Lane, OutputBatch},
};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, swarm::SwarmEvent};

use crate::transport::support::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[test]
fn the_default_limits_bound_the_memory_of_a_large_node_below_1_gib() {
    let limits = Limits::<TopicName>::try_from(LimitsConfig::default()).expect("valid limits");
    let most = Footprint::bytes_at_most::<Libp2pNetwork>(&limits, 1024, 100);
    assert!(most.total() <= 1 << 30, "{} bytes: {most:?}", most.total());
}

#[test]
fn the_default_settings_bound_the_memory_of_the_transport_at_the_number_that_its_documentation_states() {
    assert_eq!(TransportConfig::default().memory_at_most(), 1_360 * MIB);
}

/// A node without an engine, and its raw peers.
struct Node {
    swarm: Ours,
    network: Net,
    address: Multiaddr,
    limit: usize,
    /// The most bytes that were charged at a time.
    peak: usize,
    dropped: HashMap<DropReason, u64>,
    slow_frames: usize,
}

impl Node {
    async fn start(limit: usize, frame_timeout: Duration) -> Self {
        let config = BehaviourConfig::default().with(|c| {
            (c.max_memory, c.frame_timeout) = (limit, frame_timeout);
            c.write_timeout = Duration::MAX;
        });
        let (mut swarm, network) = ours(config);
        let address = listen(&mut swarm).await;
        Self { swarm, network, address, limit, peak: 0, dropped: HashMap::new(), slow_frames: 0 }
    }

    /// Connects raw peers that read nothing and write `bytes`.
    async fn connect(&mut self, count: usize, bytes: &[u8]) -> Vec<PeerId> {
        for _ in 0..count {
            let mut raw = other(|_| Raw::new(Reads::Nothing));
            raw.dial(self.address.clone()).expect("an address");
            let bytes = bytes.to_vec();
            tokio::spawn(async move {
                loop {
                    if let SwarmEvent::ConnectionEstablished { peer_id, .. } = raw.select_next_some().await
                        && !bytes.is_empty()
                    {
                        raw.behaviour_mut().write(peer_id, bytes.clone(), 8 * KIB);
                    }
                }
            });
        }
        let mut peers = Vec::new();
        while peers.len() < count {
            if let Some(P2pInput::NewConnection { peer, .. }) = self.next(connected).await {
                peers.push(peer);
            }
        }
        peers
    }

    /// Handles one event of the swarm.
    async fn next<T>(&mut self, pick: impl FnOnce(Event) -> Option<T>) -> Option<T> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.swarm.select_next_some());
        let event = gossipsub_event(next.await.expect("an event within a minute"))?;
        self.charged();
        match &event {
            Event::Dropped { reason, lanes, .. } => {
                *self.dropped.entry(*reason).or_default() += lanes.total();
            }
            Event::InboundFailed { error: InboundError::SlowFrame, .. } => self.slow_frames += 1,
            _ => {}
        }
        pick(event)
    }

    /// Handles the events that there are.
    async fn drain(&mut self) {
        let quiet = Duration::from_millis(20);
        while tokio::time::timeout(quiet, self.next(|_| Some(()))).await.is_ok() {}
    }

    /// The bytes that are charged now. They are never above the limit.
    fn charged(&mut self) -> usize {
        let bytes = self.network.transport_stats().memory_bytes as usize;
        self.peak = self.peak.max(bytes);
        // A message or frame is charged when it is in memory.
        assert!(bytes <= self.limit + 64 * KIB, "{bytes} bytes");
        bytes
    }

    fn prune(&mut self, to: PeerId, topic: TopicName) {
        let prune = NetMessage::Prune { topic, px: Vec::new(), backoff: Duration::from_secs(60) };
        send_message(&mut self.swarm, to, prune);
        self.charged();
    }
}

#[tokio::test]
async fn peers_that_do_not_read_the_answers_to_their_grafts_share_one_limit() {
    const PEERS: usize = 60;
    let mut node = Node::start(16 * MIB, Duration::MAX).await;
    let peers = node.connect(PEERS, &[]).await;
    let mut sent = 0;
    for number in 0..1_000 {
        for peer in &peers {
            node.prune(*peer, format!("{number}-{}", "n".repeat(1_000)).into());
            sent += 1;
        }
    }
    let peak = node.peak;
    node.drain().await;
    println!("{PEERS} peers, {sent} answers: {peak} bytes at most, dropped: {:?}", node.dropped);
    assert!(peak >= node.limit / 2, "{peak} bytes");
    let reasons = [DropReason::TransportMemory, DropReason::Disconnected];
    assert!(node.dropped.keys().all(|reason| reasons.contains(reason)), "{:?}", node.dropped);
    assert!(node.dropped[&DropReason::TransportMemory] > 0);
}

#[tokio::test]
async fn one_prune_of_a_topic_waits_for_a_peer_that_does_not_read() {
    let mut node = Node::start(16 * MIB, Duration::MAX).await;
    let [peer] = node.connect(1, &[]).await[..] else { panic!("one peer") };
    for number in 0..20_000 {
        node.prune(peer, format!("{}-{}", number % 10, "n".repeat(1_000)).into());
    }
    node.drain().await;
    // A control queue has room for 4 MiB: nothing was dropped for want of room.
    assert_eq!(node.dropped.keys().collect::<Vec<_>>(), [&DropReason::Superseded]);
    assert!(node.dropped[&DropReason::Superseded] > 19_000, "{:?}", node.dropped);
    assert!(node.peak < MIB, "{} bytes", node.peak);
    assert!(node.swarm.is_connected(&peer));
}

#[tokio::test]
async fn peers_that_do_not_read_requested_messages_share_the_encoded_bytes() {
    // A fifth of the attack: 300 peers need more sockets than a process may have by default.
    const PEERS: usize = 60;
    const MESSAGES: usize = 120;
    let mut node = Node::start(128 * MIB, Duration::MAX).await;
    let peers = node.connect(PEERS, &[]).await;
    let message = |number: usize| node.network.message("news".into(), vec![number as u8; 60_000]);
    let history: Vec<_> = (0..MESSAGES).map(|number| message(number).expect("a key").into()).collect();
    for peer in &peers {
        for message in &history {
            let message = std::sync::Arc::clone(message);
            let answer =
                OutputBatch::Broadcast { to: vec![*peer], message, lane: Lane::Answer, sent_first: false };
            node.swarm.behaviour_mut().gossipsub.emit(answer);
            node.charged();
        }
    }
    let peak = node.peak;
    node.drain().await;
    println!("{PEERS} peers, {MESSAGES} messages of 60 kB each: {peak} bytes, dropped: {:?}", node.dropped);
    assert!((MESSAGES * 60_000..12 * MIB).contains(&peak), "{peak} bytes");
    assert!(node.dropped.is_empty(), "{:?}", node.dropped);
}

#[tokio::test]
async fn frames_that_are_sent_slowly_share_one_limit_and_are_given_up_in_time() {
    const PEERS: usize = 40;
    let mut node = Node::start(8 * MIB, Duration::from_secs(3)).await;
    // The beginning of a frame of 1 MiB.
    let mut frame = vec![0x80, 0x80, 0x40];
    frame.resize(900 * KIB, 0);
    node.connect(PEERS, &frame).await;
    let (mut honest, network) = ours(BehaviourConfig::default());
    honest.dial(node.address.clone()).expect("an address");
    let us = *node.swarm.local_peer_id();
    tokio::spawn(async move {
        loop {
            let event = gossipsub_event(honest.select_next_some().await);
            if event.and_then(connected).is_some() {
                let message = network.message("news".into(), vec![7; 50_000]).expect("a key");
                send_message(&mut honest, us, NetMessage::FullMessage(message.into()));
            }
        }
    });
    let (mut received, mut peak) = (0, 0);
    while node.slow_frames < PEERS || received < 1 {
        let is_message =
            |input: &Input| matches!(input, P2pInput::InMessage { message: NetMessage::FullMessage(_), .. });
        let next = node.next(|event| Some(inputs(event).iter().filter(|input| is_message(input)).count()));
        if let Ok(count) = tokio::time::timeout(Duration::from_millis(10), next).await {
            received += count.unwrap_or_default();
        }
        peak = peak.max(node.charged());
    }
    println!("{PEERS} peers: {peak} bytes at most");
    assert!(peak >= node.limit / 2, "{peak} bytes");
    assert_eq!(node.network.transport_stats().slow_frames, PEERS as u64);
    assert!(node.charged() <= 64 * KIB, "{} bytes are left", node.charged());
}
