//! These tests fill every map to its bound and check that the footprint then equals [`Footprint::at_most`].

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use actix_gossipsub::{FullMessage, LimitsConfig, protocol::Footprint};

use super::{bare_node::BareNode, support::*};

const PEERS: u64 = 6;
const TOPICS: u64 = 3;
/// The maps that a node does not fill to their bounds. The p2p layer's configuration bounds `trusted`. A node has no
/// asynchronous validation: tests/engine/validation.rs and batches.rs check `validating` and `batched` on the engine,
/// where half of the `batched` messages are being validated. A node has no `publish_reports`: tests/engine/tickets.rs; and no
/// streams of topics and events: tests/engine/unread.rs. What
/// topics and peers share in bytes is in tests/core/node/totals.rs.
const ELSEWHERE: [&str; 11] = [
    "backoffs_bytes",
    "batched",
    "peer_ids_bytes",
    "publish_reports",
    "seen_bytes",
    "subscribed",
    "subscribed_bytes",
    "subscriptions_bytes",
    "trusted",
    "unread_events",
    "validating",
];

/// Sets small bounds on the number of items, each a different number. Bytes are not bounded.
fn small(limits: &mut LimitsConfig<u64>) {
    limits.max_topics_per_peer = 5;
    // Refused GRAFTs of unknown topics are remembered.
    limits.extensions.ignore_unknown_grafts = false;
    (limits.degree_low, limits.degree_optimal, limits.degree_high) = (3, 4, 5);
    (limits.degree_score, limits.degree_out) = (1, 1);
    limits.bounds.max_idle_topics = 7;
    limits.bounds.max_parked_messages = 8;
    limits.bounds.max_batch_items = 9;
    limits.bounds.max_unconnected_peers = 10;
    limits.bounds.max_validating_per_topic = 11;
    limits.bounds.max_history_per_topic = 12;
    limits.bounds.max_promises_per_topic = 13;
    limits.bounds.max_seen_per_topic = 14;
    limits.bounds.max_invalid_per_topic = 15;
    limits.bounds.max_unreachable = 16;
    limits.bounds.max_retained_scores = 17;
    limits.bounds.max_backoffs_per_topic = 4;
    limits.extensions.idontwant_message_size = 1;
    limits.extensions.max_idontwant_per_heartbeat = 18;
    limits.extensions.idontwant_ticks = 2;
    limits.extensions.max_missed_ids_per_peer = 19;
}

/// The bytes of a message whose content is one byte.
fn one_message() -> usize {
    message_bytes(b"v")
}

/// As [`small`], but messages are bounded by their bytes only: room for 8 to 10 messages and a few bytes.
fn small_in_bytes(limits: &mut LimitsConfig<u64>) {
    small(limits);
    let bounds = &mut limits.bounds;
    bounds.max_parked_messages = 1000;
    bounds.max_history_per_topic = 1000;
    bounds.max_invalid_per_topic = 1000;
    bounds.max_parked_bytes = 8 * one_message() + 1;
    bounds.max_history_bytes_per_topic = 9 * one_message() + 2;
    bounds.max_invalid_bytes_per_topic = 10 * one_message() + 3;
}

/// A node, and the greatest size of each of its maps so far.
struct Filling {
    bare: BareNode,
    most: BTreeMap<&'static str, usize>,
}

impl Filling {
    fn of(bare: BareNode) -> Self {
        Self { bare, most: BTreeMap::new() }
    }

    /// A node with all peers connected.
    fn connected(
        network: AttackNetwork,
        batch_interval: Option<Duration>,
        limits: fn(&mut LimitsConfig<u64>),
    ) -> Self {
        let mut bare = BareNode::with(network, batch_interval, limits);
        (0..PEERS).for_each(|peer| bare.connect(peer));
        Self::of(bare)
    }

    /// A node with all peers connected and all topics joined.
    fn joined(
        network: AttackNetwork,
        batch_interval: Option<Duration>,
        limits: fn(&mut LimitsConfig<u64>),
    ) -> Self {
        let mut filling = Self::connected(network, batch_interval, limits);
        (0..TOPICS).for_each(|topic| filling.bare.join(topic));
        filling
    }

    fn budget(&self, peers: usize) -> Footprint {
        Footprint::at_most(&self.bare.limits, peers, TOPICS as usize)
    }

    #[track_caller]
    fn record(&mut self) {
        let footprint = self.bare.node.footprint();
        let budget = self.budget(footprint.connections);
        for ((map, size), (_, bound)) in footprint.maps().zip(budget.maps()) {
            assert!(size <= bound, "{size} entries in {map}, above the bound {bound}");
            let most = self.most.entry(map).or_default();
            *most = size.max(*most);
        }
    }

    /// Asserts that these maps reached their bounds; maps bounded by bytes have room for less than one message.
    #[track_caller]
    fn assert_full(&self, maps: &[&'static str]) {
        let budget: BTreeMap<_, _> = self.budget(PEERS as usize).maps().collect();
        for map in maps {
            let (most, bound) = (self.most[map], budget[map]);
            let full = if map.ends_with("_bytes") { most + one_message() > bound } else { most == bound };
            assert!(full, "at most {most} entries in {map}, below the bound {bound}");
        }
    }

    /// Sends twice as many messages on each topic as any bound allows, not in the order of their numbers.
    fn receive(&mut self, content: &[u8]) {
        const COUNT: u64 = 40;
        for number in 0..COUNT * TOPICS {
            let (topic, number) = (number % TOPICS, number * 7 % COUNT);
            self.bare.receive(number % PEERS, topic, Id::new(topic, number), content);
            self.record();
        }
    }
}

/// A function that fills maps, and the names of these maps.
type Fill = fn() -> (Filling, &'static [&'static str]);

#[test]
fn each_map_reaches_its_bound_and_none_exceeds_it() {
    let fills: [Fill; 14] = [
        remembered_topics,
        meshes,
        fanouts,
        requests,
        promises,
        idontwant_ids,
        missed_messages,
        parked,
        parked_bytes,
        messages,
        stored_message_bytes,
        messages_without_topic,
        unreachable,
        scores,
    ];
    let mut filled = BTreeSet::from(ELSEWHERE);
    for fill in fills {
        let (filling, maps) = fill();
        filling.assert_full(maps);
        filled.extend(maps);
    }
    let all: BTreeSet<_> = Footprint::default().maps().map(|(map, _)| map).collect();
    assert_eq!(filled, all, "each map is filled by a test");
}

/// Subscriptions of peers to more topics than the bound, and backoffs of more peers than the bound of a topic.
fn remembered_topics() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    let graft_all = |filling: &mut Filling, topic: u64| {
        for peer in 0..PEERS {
            filling.bare.node.graft(&peer, &topic, filling.bare.now);
            filling.record();
        }
    };
    for idle in 0..2 * filling.bare.limits.bounds.max_idle_topics as u64 {
        graft_all(&mut filling, NOT_JOINED + idle);
    }
    let each = 2 * filling.bare.limits.max_topics_per_peer as u64;
    for number in 0..PEERS * each {
        let (peer, topic) = (number / each, 2 * NOT_JOINED + number);
        filling.bare.node.subscribe(&peer, &topic, filling.bare.now);
        graft_all(&mut filling, topic);
    }
    for topic in 0..TOPICS {
        // A joined topic takes some peers into the mesh, which then leave it.
        graft_all(&mut filling, topic);
        for peer in 0..PEERS {
            filling.bare.node.prune(&peer, &topic, Vec::new(), Duration::from_secs(60), filling.bare.now);
            filling.record();
        }
    }
    (
        filling,
        &[
            "connections",
            "peers_by_connection",
            "subscriptions",
            "subscribers",
            "joined",
            "topics",
            "backoffs",
        ],
    )
}

/// Outbound peers may enter a full mesh.
fn meshes() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    for number in 0..PEERS * TOPICS {
        filling.bare.node.graft(&(number % PEERS), &(number / PEERS), filling.bare.now);
        filling.record();
    }
    (filling, &["mesh"])
}

fn fanouts() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::connected(AttackNetwork::default(), None, small);
    for topic in 0..TOPICS {
        for peer in 0..PEERS {
            filling.bare.node.subscribe(&peer, &topic, filling.bare.now);
        }
        for number in 0..3 {
            let message = FullMessage { topic, message_id: Id::new(topic, number), message: b"v".to_vec() };
            filling.bare.node.publish(message, filling.bare.now);
            filling.record();
        }
    }
    (filling, &["fanout"])
}

/// All connected peers and many that are not connected send an IHAVE on each topic.
fn requests() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    for peer in 0..PEERS + 2 * filling.bare.limits.bounds.max_unconnected_peers as u64 {
        for topic in 0..TOPICS {
            filling.bare.node.ihave(&peer, &topic, vec![Id::new(topic, peer)], filling.bare.now);
            filling.record();
        }
    }
    (filling, &["heartbeat_quotas"])
}

/// Peers connect, send an IHAVE on each topic, and disconnect.
fn promises() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    filling.bare.node.remove_peer(&0, filling.bare.now);
    for peer in PEERS..PEERS + 2 * filling.bare.limits.bounds.max_promises_per_topic as u64 {
        filling.bare.connect(peer);
        for topic in 0..TOPICS {
            filling.bare.node.ihave(&peer, &topic, vec![Id::new(topic, peer)], filling.bare.now);
            filling.record();
        }
        filling.bare.node.remove_peer(&peer, filling.bare.now);
    }
    (filling, &["promises", "requested"])
}

/// Each peer sends more IDONTWANT ids than it may, in several heartbeats.
fn idontwant_ids() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    for number in 0..200 {
        for peer in 0..PEERS {
            filling.bare.node.idontwant(
                &peer,
                vec![Id::new(0, number), Id::new(1, number)],
                filling.bare.now,
            );
            filling.record();
        }
        if number % 50 == 49 {
            filling.bare.pass_heartbeats(1);
        }
    }
    (filling, &["peer_idontwant"])
}

/// The transport drops more messages to each peer than are stored.
fn missed_messages() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    for number in 0..40 {
        for peer in 0..PEERS {
            filling.bare.node.report_missed(&peer, &0, &[Id::new(0, number), Id::new(0, 1_000 + number)]);
            filling.record();
        }
    }
    (filling, &["missed"])
}

fn parked() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    filling.receive(b"u");
    (filling, &["parked"])
}

fn parked_bytes() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small_in_bytes);
    filling.receive(b"u");
    (filling, &["parked_bytes"])
}

fn messages() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small);
    filling.receive(b"v");
    filling.receive(b"i");
    (filling, &["history", "seen", "invalid", "sent_idontwant"])
}

fn stored_message_bytes() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::joined(AttackNetwork::default(), None, small_in_bytes);
    filling.receive(b"i");
    filling.receive(b"v");
    (filling, &["history_bytes", "invalid_bytes"])
}

fn messages_without_topic() -> (Filling, &'static [&'static str]) {
    let network = AttackNetwork { ids_without_topic: true, ..AttackNetwork::default() };
    let mut filling = Filling::joined(network, None, small);
    filling.receive(b"v");
    (filling, &["topic_by_message_id"])
}

fn unreachable() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::connected(AttackNetwork::default(), None, small);
    for point in 0..2 * filling.bare.limits.bounds.max_unreachable as u64 {
        filling.bare.node.set_unreachable_point(point);
        filling.record();
    }
    (filling, &["unreachable"])
}

/// One peer after another connects and disconnects.
fn scores() -> (Filling, &'static [&'static str]) {
    let mut filling = Filling::connected(AttackNetwork::default(), None, small);
    let mut last = 0;
    for name in 100..100 + 3 * filling.bare.limits.bounds.max_retained_scores as u64 {
        filling.bare.node.remove_peer(&last, filling.bare.now);
        filling.record();
        filling.bare.connect(name);
        filling.record();
        last = name;
    }
    (filling, &["scores"])
}

#[test]
fn a_batch_is_filled_to_its_bound() {
    let mut filling = Filling::joined(AttackNetwork::default(), Some(Duration::from_secs(1)), small);
    filling.receive(b"v");
    let max = filling.bare.limits.bounds.max_batch_items;
    assert_eq!(filling.most["batched"], max);
    // The other messages were dropped. A full batch is due at once.
    assert_eq!(filling.bare.node.drain().throttled, 40 * TOPICS as usize - max);
    assert_eq!(filling.bare.node.batch_deadline(), Some(filling.bare.now));
    filling.bare.node.process_batch(filling.bare.now);
    assert_eq!(filling.bare.node.drain().app.len(), max);
    filling.receive(b"v");
    assert_eq!(filling.most["batched"], max);
}
