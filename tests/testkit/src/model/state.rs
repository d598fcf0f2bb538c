//! This module checks the invariants of a node's state between two operations.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    limits::Limits,
    protocol::{ConnectionView, Footprint, ScoreView, TopicScoreView, View},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::Driver,
    network::{Ids, Net, PEERS, TOPICS},
};

pub fn check<I: Ids>(driver: &Driver<I>, view: &View<Net<I>>) -> Checked {
    topics_have_a_mesh_or_a_fanout(view)?;
    members_are_subscribed(view)?;
    scores_follow_connections(view)?;
    score_status_follows_meshes(view)?;
    scores_are_the_sum_of_their_parts(&driver.limits, view)?;
    quotas_and_caps_are_respected(&driver.limits, view)?;
    footprint_agrees(driver, view)?;
    nothing_exceeds_its_bound(driver, view)?;
    gossip_is_in_the_history(view)
}

fn topics_have_a_mesh_or_a_fanout<I: Ids>(view: &View<Net<I>>) -> Checked {
    for topic in view.fanout.keys() {
        prop_assert!(!view.mesh.contains_key(topic), "topic {topic} has both a mesh and a fanout");
    }
    for topic in view.gossip.keys() {
        let has = view.mesh.contains_key(topic) || view.fanout.contains_key(topic);
        prop_assert!(has, "topic {topic} has gossip but neither mesh nor fanout");
    }
    Ok(())
}

fn members_are_subscribed<I: Ids>(view: &View<Net<I>>) -> Checked {
    let mesh_members =
        view.mesh.iter().flat_map(|(topic, peers)| peers.iter().map(move |peer| (topic, peer)));
    let fanouts = view.fanout.iter();
    let fanout_members =
        fanouts.flat_map(|(topic, fanout)| fanout.peers.iter().map(move |peer| (topic, peer)));
    for (topic, peer) in mesh_members.chain(fanout_members) {
        let connection = view.connections.get(peer);
        prop_assert!(connection.is_some(), "{peer} is in the mesh or fanout of {topic} without a connection");
        let connection = connection.expect("the connection was checked above");
        prop_assert!(
            connection.topics.contains(topic),
            "{peer} is in the mesh or fanout of {topic} without a subscription"
        );
        prop_assert!(!connection.direct, "{peer} is direct and in the mesh or fanout of {topic}");
        prop_assert!(!connection.floodsub, "{peer} speaks floodsub and is in the mesh or fanout of {topic}");
    }
    Ok(())
}

fn scores_follow_connections<I: Ids>(view: &View<Net<I>>) -> Checked {
    for peer in view.connections.keys() {
        prop_assert!(view.scores.contains_key(peer), "{peer} is connected without a score");
    }
    for (peer, score) in &view.scores {
        let connected = view.connections.contains_key(peer);
        prop_assert_eq!(score.expires.is_none(), connected, "expiry of {}'s score", peer);
    }
    Ok(())
}

fn score_status_follows_meshes<I: Ids>(view: &View<Net<I>>) -> Checked {
    for (peer, score) in &view.scores {
        for (topic, counters) in &score.topics {
            let member = view.mesh.get(topic).is_some_and(|mesh| mesh.contains(peer));
            prop_assert_eq!(counters.mesh.is_some(), member, "P1 of {} on topic {}", peer, topic);
        }
    }
    for (topic, mesh) in &view.mesh {
        for peer in mesh {
            let counters = view.scores[peer].topics.get(topic);
            prop_assert!(
                counters.is_some(),
                "{peer} is in the mesh of {topic}, but its score has no counters of it"
            );
        }
    }
    Ok(())
}

fn scores_are_the_sum_of_their_parts<I: Ids>(limits: &Limits<u8>, view: &View<Net<I>>) -> Checked {
    for (peer, score) in &view.scores {
        let expected = score_of(limits, score);
        let close = (score.score - expected).abs() <= 1e-9 * expected.abs().max(1.0);
        let same = close || score.score == expected || (score.score.is_nan() && expected.is_nan());
        prop_assert!(same, "the score of {peer} is {}, the sum of its components is {expected}", score.score);
    }
    Ok(())
}

/// The formula of `tests/traces/FORMAT.md`, section 6.
fn score_of<I: Ids>(limits: &Limits<u8>, score: &ScoreView<Net<I>>) -> f64 {
    let of_topic = |(topic, counters): (&u8, &TopicScoreView)| {
        limits.score.topics.weight(topic) * topic_score_of(limits, *topic, counters)
    };
    let topics: f64 = score.topics.iter().map(of_topic).sum();
    let capped = limits.score.topic_score_cap.map_or(topics, |cap| topics.min(cap));
    let excess = (score.behaviour_penalty - limits.score.behaviour_penalty_threshold).max(0.0);
    let p5 = score.application_score * limits.score.app_specific_weight;
    let p6 = score.ip_colocation * limits.score.ip_colocation_weight;
    capped + p5 + p6 + limits.score.behaviour_penalty_weight * excess * excess
}

fn topic_score_of(limits: &Limits<u8>, topic: u8, counters: &TopicScoreView) -> f64 {
    let weights = limits.score.topics.parameters(&topic);
    let quanta = |during: std::time::Duration| during.div_duration_f64(weights.time_in_mesh_quantum);
    let p1 = counters.mesh.map_or(0.0, |(_, during)| quanta(during).min(weights.time_in_mesh_cap));
    let lacking = (weights.mesh_message_deliveries_threshold - counters.delivered).max(0.0);
    let p3 = if counters.active { lacking * lacking } else { 0.0 };
    weights.time_in_mesh_weight * p1
        + weights.first_message_deliveries_weight * counters.first
        + weights.mesh_message_deliveries_weight * p3
        + weights.mesh_failure_penalty_weight * counters.failure
        + weights.invalid_message_deliveries_weight * counters.invalid * counters.invalid
}

fn quotas_and_caps_are_respected<I: Ids>(limits: &Limits<u8>, view: &View<Net<I>>) -> Checked {
    for (peer, connection) in &view.connections {
        let count = connection.topics.len();
        let kept = if limits.extensions.keep_joined_subscriptions { usize::from(TOPICS) } else { 0 };
        let max = limits.max_topics_per_peer.saturating_add(kept);
        prop_assert!(count <= max, "{peer} is subscribed to {count} topics");
    }
    for (peer, requested) in &view.iwant {
        prop_assert!(
            *requested <= limits.max_sent_iwant_per_heartbeat,
            "{requested} ids are requested from {peer}"
        );
    }
    let counted = limits.extensions.max_iwant_bytes_per_heartbeat > 0;
    prop_assert!(counted || view.answer_bytes.is_empty());
    for score in view.scores.values().flat_map(|score| score.topics.iter()) {
        let caps = limits.score.topics.parameters(score.0);
        prop_assert!(score.1.first <= caps.first_message_deliveries_cap);
        prop_assert!(score.1.delivered <= caps.mesh_message_deliveries_cap);
    }
    let cached = view.cached.iter().flat_map(|cached| cached.accesses.values());
    prop_assert!(cached.min().is_none_or(|least| *least > 0), "a cached message has an access count of 0");
    Ok(())
}

fn footprint_agrees<I: Ids>(driver: &Driver<I>, view: &View<Net<I>>) -> Checked {
    let Footprint { connections, subscriptions, scores, joined, subscribers, .. } = driver.node.footprint();
    prop_assert_eq!(connections, view.connections.len());
    let known: usize = view.connections.values().map(|connection| connection.topics.len()).sum();
    prop_assert_eq!(subscriptions, known);
    // A topic without any of these may be passive: its subscribers are with the connections only.
    let active: BTreeSet<_> = (view.mesh.keys().chain(view.fanout.keys()).copied())
        .chain(view.cached.iter().map(|cached| cached.topic))
        .chain(view.seen.iter().map(|seen| seen.topic))
        .collect();
    let to_active = |connection: &ConnectionView<_>| connection.topics.intersection(&active).count();
    let to_active: usize = view.connections.values().map(to_active).sum();
    prop_assert!(
        (to_active..=known).contains(&subscribers),
        "topics have {subscribers} subscribers, connections {known} subscriptions, {to_active} to active topics"
    );
    prop_assert_eq!(scores, view.scores.len());
    prop_assert_eq!(joined, view.mesh.len());
    let footprint = driver.node.footprint();
    prop_assert_eq!(footprint.mesh, view.mesh.values().map(|mesh| mesh.len()).sum::<usize>());
    prop_assert_eq!(footprint.fanout, view.fanout.values().map(|fanout| fanout.peers.len()).sum::<usize>());
    prop_assert_eq!(footprint.backoffs, view.backoff.values().map(|backoff| backoff.len()).sum::<usize>());
    prop_assert_eq!((footprint.history, footprint.seen), (view.cached.len(), view.seen.len()));
    let tracked: BTreeSet<_> = view.ihave.keys().chain(view.answer_bytes.keys()).collect();
    prop_assert_eq!(footprint.heartbeat_quotas, tracked.len());
    let stats = driver.node.stats();
    let bootstrap = view.connections.values().filter(|connection| connection.bootstrap).count();
    prop_assert_eq!(stats.count_topics, view.mesh.len() as u64);
    prop_assert_eq!(stats.count_connections, view.connections.len() as u64);
    prop_assert_eq!(stats.count_bootstrap_connections, bootstrap as u64);
    Ok(())
}

/// Maps of topics are bounded for each topic, the other maps in total.
fn nothing_exceeds_its_bound<I: Ids>(driver: &Driver<I>, view: &View<Net<I>>) -> Checked {
    let bounds = &driver.limits.bounds;
    let footprint = driver.node.footprint();
    let most = Footprint::at_most(&driver.limits, view.connections.len(), usize::from(TOPICS));
    // Quotas of disconnected peers stay until the heartbeat.
    prop_assert!(footprint.heartbeat_quotas <= PEERS as usize + bounds.max_unconnected_peers);
    for ((map, size), (_, bound)) in footprint.maps().zip(most.maps()) {
        prop_assert!(
            size <= bound || map == "heartbeat_quotas",
            "{size} entries in {map}, above the bound {bound}"
        );
    }
    for topic in 0..TOPICS {
        let cached = view.cached.iter().filter(|cached| cached.topic == topic).count();
        let seen = view.seen.iter().filter(|seen| seen.topic == topic).count();
        let backoffs = view.backoff.get(&topic).map_or(0, BTreeMap::len);
        prop_assert!(cached <= bounds.max_history_per_topic, "{cached} messages in the history");
        prop_assert!(seen <= bounds.max_seen_per_topic, "{seen} ids seen");
        prop_assert!(backoffs <= bounds.max_backoffs_per_topic, "{backoffs} backoffs");
    }
    Ok(())
}

/// Each message in the history is on the topic of its id, and each gossiped id is in the history.
fn gossip_is_in_the_history<I: Ids>(view: &View<Net<I>>) -> Checked {
    for cached in &view.cached {
        prop_assert!(I::topic_of(&cached.id).is_none_or(|topic| topic == cached.topic));
    }
    for (topic, ids) in &view.gossip {
        let known = |id: &I::Id| view.cached.iter().any(|cached| cached.topic == *topic && cached.id == *id);
        prop_assert!(ids.iter().all(known), "gossip on {topic} offers what is not in the history");
    }
    Ok(())
}
