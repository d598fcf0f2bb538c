//! Every map filled to its bound: [`Footprint::at_most`] is reached, and not exceeded.

use std::{collections::BTreeMap, time::Duration};

use actix_gossipsub::{LimitsConfig, protocol::Footprint};

use crate::{support::*, world::World};

const PEERS: u64 = 6;
const TOPICS: u64 = 3;
/// The maps that no limit bounds: what fills them comes at a rate, and is kept for a time.
const UNBOUNDED: [&str; 5] = ["trusted", "unreachable", "history", "seen", "homes"];

/// Small bounds, each another number.
fn small(limits: &mut LimitsConfig<u64>) {
    limits.max_topics_per_peer = 5;
    (limits.degree_low, limits.degree_optimal, limits.degree_high) = (3, 4, 5);
    (limits.degree_score, limits.degree_out) = (1, 1);
    limits.bounds.max_idle_topics = 7;
    limits.bounds.max_parked_messages = 8;
    limits.bounds.max_batch_items = 9;
    limits.bounds.max_strangers = 10;
    limits.bounds.max_validating_per_topic = 11;
}

/// The most that each map held.
struct Reached {
    budget: BTreeMap<String, usize>,
    most: BTreeMap<String, usize>,
}

fn maps(footprint: Footprint) -> BTreeMap<String, usize> {
    let value = serde_json::to_value(footprint).expect("numbers");
    serde_json::from_value(value).expect("a map of numbers")
}

impl Reached {
    #[track_caller]
    fn note(&mut self, world: &World) {
        for (map, held) in maps(world.node.footprint()) {
            assert!(held <= self.budget[&map], "{held} in {map}, of {}", self.budget[&map]);
            let most = self.most.entry(map).or_default();
            *most = held.max(*most);
        }
    }
}

/// All peers connected.
fn peopled(field: Field, batch_interval: Option<Duration>) -> World {
    let mut world = World::with(field, batch_interval, small);
    (0..PEERS).for_each(|peer| world.connect(peer));
    world
}

fn joined() -> World {
    let mut world = peopled(Field::default(), None);
    (0..TOPICS).for_each(|topic| world.join(topic));
    world
}

#[test]
fn each_map_reaches_its_bound_and_none_exceeds_it() {
    let limits = World::new(small).limits;
    let budget = maps(Footprint::at_most(&limits, PEERS as usize, TOPICS as usize));
    let mut reached = Reached { budget, most: BTreeMap::new() };
    remember_topics(&mut reached);
    fill_meshes(&mut reached);
    fill_fanouts(&mut reached);
    fill_quotas(&mut reached);
    park(&mut reached);
    batch(&mut reached);
    for (map, bound) in &reached.budget {
        if UNBOUNDED.contains(&map.as_str()) {
            assert_eq!(*bound, usize::MAX, "{map}");
        } else if map == "validating" {
            // A node waits for no verdict. That actors wait for no more than they may is shown in
            // tests/engine/validation.rs.
            assert_eq!(reached.most[map], 0, "{map}");
        } else {
            assert_eq!(reached.most[map], *bound, "{map}");
        }
    }
}

/// Topics that peers make us remember, and backoffs of all of them on each.
fn remember_topics(reached: &mut Reached) {
    let mut world = joined();
    let graft_all = |world: &mut World, topic: u64| {
        for peer in 0..PEERS {
            world.node.graft(&peer, &topic, world.now);
        }
    };
    for idle in 0..2 * world.limits.bounds.max_idle_topics as u64 {
        graft_all(&mut world, NOT_JOINED + idle);
        reached.note(&world);
    }
    let each = 2 * world.limits.max_topics_per_peer as u64;
    for number in 0..PEERS * each {
        let (peer, topic) = (number / each, 2 * NOT_JOINED + number);
        world.node.subscribe(&peer, &topic, world.now);
        graft_all(&mut world, topic);
        reached.note(&world);
    }
    (0..TOPICS).for_each(|topic| graft_all(&mut world, topic));
    reached.note(&world);
}

/// Peers that we dialled may enter a full mesh.
fn fill_meshes(reached: &mut Reached) {
    let mut world = joined();
    for number in 0..PEERS * TOPICS {
        world.node.graft(&(number % PEERS), &(number / PEERS), world.now);
        reached.note(&world);
    }
}

fn fill_fanouts(reached: &mut Reached) {
    let mut world = peopled(Field::default(), None);
    for topic in 0..TOPICS {
        for peer in 0..PEERS {
            world.node.subscribe(&peer, &topic, world.now);
        }
        for number in 0..3 {
            let message = actix_gossipsub::FullMessage {
                topic,
                message_id: Id::new(topic, number),
                message: b"v".to_vec(),
            };
            world.node.publish(message, world.now);
            reached.note(&world);
        }
    }
}

fn fill_quotas(reached: &mut Reached) {
    let mut world = joined();
    for peer in 0..PEERS + 2 * world.limits.bounds.max_strangers as u64 {
        world.node.ihave(&peer, &0, vec![Id::new(0, peer)], world.now);
        reached.note(&world);
    }
}

fn park(reached: &mut Reached) {
    let mut world = joined();
    for number in 0..2 * world.limits.bounds.max_parked_messages as u64 {
        world.receive(number % PEERS, 0, Id::new(0, number), b"u");
        reached.note(&world);
    }
}

fn batch(reached: &mut Reached) {
    let mut world = peopled(Field::default(), Some(Duration::from_secs(1)));
    world.join(0);
    for number in 0..2 * world.limits.bounds.max_batch_items as u64 {
        world.receive(number % PEERS, 0, Id::new(0, number), b"v");
        reached.note(&world);
        if world.node.batch_deadline().is_some_and(|deadline| deadline <= world.now) {
            world.node.process_batch(world.now);
        }
    }
}
