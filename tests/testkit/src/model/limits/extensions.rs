//! Strategies of extensions and bounds.

use std::time::Duration;

use actix_gossipsub::limits::{Bounds, Extensions};
use proptest::prelude::*;

use super::{AMPLE, SECOND};

/// No extensions, or each extension with any valid value.
pub(super) fn extensions() -> impl Strategy<Value = Extensions> {
    let followup = prop_oneof![Just(Duration::ZERO), Just(SECOND), (1u64..8).prop_map(|s| SECOND * s as u32)];
    // A message has one byte.
    let idontwant = (0usize..3, prop_oneof![0usize..6, Just(AMPLE)], 0usize..4);
    let threshold = || proptest::option::of(-20.0..=0.0);
    let low_scores = (threshold(), threshold(), prop_oneof![Just(Duration::ZERO), Just(SECOND)]);
    // A publication takes about ten bytes.
    let publish = (any::<[bool; 2]>(), prop_oneof![Just(0), 1usize..80, Just(AMPLE)]);
    let some = (any::<bool>(), followup, 0usize..5, any::<[bool; 13]>(), publish, idontwant, low_scores)
        .prop_map(
            |(
                late_prune,
                followup,
                memory,
                [
                    once,
                    keep,
                    stops,
                    ignore,
                    one,
                    at_high,
                    best,
                    remember,
                    skips,
                    one_peer,
                    px,
                    overlap,
                    decays,
                ],
                ([graft, reach], flood),
                (size, ids, ticks),
                (graylist, disconnect, ban),
            )| {
                Extensions::default().with(|e| {
                    e.accept_px = px;
                    e.degree_score_and_out_may_overlap = overlap;
                    e.retained_scores_decay = decays;
                    e.late_prune_sets_backoff = late_prune;
                    e.ignore_unknown_grafts = ignore;
                    e.one_prune_per_heartbeat = one;
                    e.prune_at_degree_high = at_high;
                    e.full_mesh_accepts_best = best;
                    e.graft_on_subscribe = graft;
                    e.publish_reaches_degree_optimal = reach;
                    e.flood_publish_bytes_per_second = flood;
                    e.iwant_followup_time = followup;
                    e.iwant_from_one_peer = one_peer;
                    e.ihave_stops_at_quota = stops;
                    e.invalid_memory_ticks = memory;
                    e.remember_ignored = remember;
                    e.iwant_skips_undecided = skips;
                    e.credit_duplicates_once = once;
                    e.slow_peer_penalty = 1.0;
                    // `limits` lowers them by what the other thresholds allow.
                    (e.graylist_threshold, e.disconnect_threshold) = (graylist, disconnect);
                    e.ban_duration = ban;
                    e.keep_joined_subscriptions = keep;
                    e.idontwant_message_size = size;
                    e.max_idontwant_per_heartbeat = ids;
                    e.idontwant_ticks = ticks;
                })
            },
        );
    prop_oneof![1 => Just(Extensions::none()), 4 => some]
}

/// Calls `change` with each bound on queued or stored items and its least valid value.
pub fn for_each_bound(bounds: &mut Bounds, mut change: impl FnMut(usize, &mut usize)) {
    let positive = [
        &mut bounds.max_parked_messages,
        &mut bounds.max_parked_bytes,
        &mut bounds.max_history_per_topic,
        &mut bounds.max_history_bytes_per_topic,
        &mut bounds.max_seen_per_topic,
        &mut bounds.max_iwant_peers_per_message,
        &mut bounds.max_batch_items,
    ];
    positive.into_iter().for_each(|bound| change(1, bound));
    let any = [
        &mut bounds.max_co_senders,
        &mut bounds.max_invalid_per_topic,
        &mut bounds.max_invalid_bytes_per_topic,
        &mut bounds.max_promises_per_topic,
        &mut bounds.max_unreachable,
        &mut bounds.max_retained_scores,
        &mut bounds.max_backoffs_per_topic,
        &mut bounds.max_idle_topics,
        &mut bounds.max_unconnected_peers,
        &mut bounds.max_px_per_prune,
        &mut bounds.max_decisions,
        &mut bounds.max_decisions_per_peer,
    ];
    any.into_iter().for_each(|bound| change(0, bound));
}

pub(super) fn bounds() -> impl Strategy<Value = Bounds> {
    let few = |least: usize| prop_oneof![least..6, Just(AMPLE)];
    // A message takes about ten bytes.
    let bytes = |least: usize| prop_oneof![least..80, Just(AMPLE)];
    let parked = (1usize..6, bytes(1), 0usize..3, 1usize..4);
    let messages = (few(1), bytes(1), few(1), few(0), bytes(0), few(0));
    let peers = (few(0), few(0), few(0), few(0), 0usize..2, 1u64..4);
    (parked, messages, peers).prop_map(
        |(
            (parked, parked_bytes, co_senders, batch),
            (history, history_bytes, seen, invalid, invalid_bytes, promises),
            (unreachable, retained_scores, backoffs, idle, unconnected, reconnect),
        )| {
            Bounds::default().with(|b| {
                b.max_parked_messages = parked;
                b.max_parked_bytes = parked_bytes;
                b.max_co_senders = co_senders;
                b.max_batch_items = batch;
                b.max_history_per_topic = history;
                b.max_history_bytes_per_topic = history_bytes;
                b.max_seen_per_topic = seen;
                b.max_invalid_per_topic = invalid;
                b.max_invalid_bytes_per_topic = invalid_bytes;
                b.max_promises_per_topic = promises;
                b.max_unreachable = unreachable;
                b.max_retained_scores = retained_scores;
                b.max_backoffs_per_topic = backoffs;
                b.max_idle_topics = idle;
                b.max_unconnected_peers = unconnected;
                b.max_remote_backoff = Duration::from_secs(60);
                b.reconnect_interval_ticks = reconnect;
                b.first_reconnect_ticks = 1;
                b.max_reconnect_ticks = 4;
                b.unreachable_reset_ticks = 16;
                b.event_interval = Duration::ZERO;
            })
        },
    )
}
