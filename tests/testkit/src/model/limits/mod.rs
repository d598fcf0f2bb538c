//! These strategies generate valid limits, so small that few operations reach them. The larger strategies are boxed:
//! proptest keeps its trees on the stack, and a test thread's stack is small.

mod extensions;

use std::{fmt, time::Duration};

use actix_gossipsub::limits::{
    Limits, LimitsConfig, ScoreLimits, TopicFamily, TopicScoreLimits, TopicScores,
};
use proptest::prelude::*;

pub use self::extensions::for_each_bound;
use self::extensions::{bounds, extensions};
use super::op::ADDRESSES;

const SECOND: Duration = Duration::from_secs(1);
/// A bound that no test reaches.
pub const AMPLE: usize = 1 << 20;

/// Any valid limits.
pub fn limits() -> impl Strategy<Value = Limits<u8>> {
    let changes = (degrees(), gossip(), spans(), px_and_thresholds(), ticks());
    (changes, score().boxed(), extensions(), bounds().boxed()).prop_map(
        |((degrees, gossip, spans, px, ticks), score, extensions, bounds)| {
            let config = LimitsConfig::default().with(|c| {
                (c.score, c.extensions, c.bounds) = (score, extensions, bounds);
                [degrees, gossip, spans, px, ticks].into_iter().for_each(|change| change.0(c));
                let highest = c.gossip_threshold.min(c.publish_threshold).min(0.0);
                let thresholds =
                    [&mut c.extensions.graylist_threshold, &mut c.extensions.disconnect_threshold];
                thresholds.into_iter().flatten().for_each(|threshold| *threshold += highest);
                if c.extensions.degree_score_and_out_may_overlap {
                    c.degree_out = c.degree_out.min(c.degree_low.saturating_sub(1));
                } else {
                    c.degree_score = c.degree_score.min(c.degree_optimal - c.degree_out);
                }
            });
            Limits::try_from(config).expect("the strategy makes valid limits only")
        },
    )
}

/// Valid limits of which some have their greatest values.
pub fn extreme_limits() -> impl Strategy<Value = Limits<u8>> {
    let some = || proptest::bool::weighted(0.3);
    (limits().boxed(), [some(), some(), some(), some(), some(), some(), some()]).prop_map(
        |(limits, [spans, lengths, ticks, caps, none, degrees, numbers])| {
            let mut config = limits.into_config();
            if spans {
                config.prune_backoff = Duration::MAX;
                config.unsubscribe_backoff = Duration::MAX;
                config.graft_flood_threshold = Duration::MAX;
                config.retain_duration = Duration::MAX;
                config.fanout_ttl = Duration::MAX;
                config.heartbeat_interval = Duration::MAX;
                config.bounds.max_remote_backoff = Duration::MAX;
                config.bounds.event_interval = Duration::MAX;
                config.extensions.iwant_followup_time = Duration::MAX;
            }
            if lengths {
                config.history_length = usize::MAX;
                config.history_gossip_length = usize::MAX;
                config.seen_history_length = usize::MAX;
                config.extensions.invalid_memory_ticks = usize::MAX;
                config.extensions.idontwant_ticks = usize::MAX;
            }
            if ticks {
                config.bounds.first_reconnect_ticks = u64::MAX / 2 + 1;
                config.bounds.max_reconnect_ticks = u64::MAX;
                config.bounds.unreachable_reset_ticks = u64::MAX;
                config.backoff_cleanup_ticks = u64::MAX;
            }
            if caps {
                config.max_recv_ihave_per_heartbeat = u32::MAX;
                config.max_sent_iwant_per_heartbeat = u32::MAX;
                config.max_gossip_retransmission = u32::MAX;
                config.max_topics_per_peer = usize::MAX;
                config.peers_to_px = usize::MAX;
                config.extensions.max_idontwant_per_heartbeat = usize::MAX;
                config.extensions.max_missed_ids_per_peer = usize::MAX;
                config.extensions.flood_publish_bytes_per_second = usize::MAX;
                config.extensions.max_iwant_bytes_per_heartbeat = usize::MAX;
                for_each_bound(&mut config.bounds, |_, bound| *bound = usize::MAX);
            }
            if none {
                for_each_bound(&mut config.bounds, |least, bound| *bound = least);
            }
            if degrees {
                config.degree_optimal = usize::MAX;
                config.degree_high = usize::MAX;
                config.degree_lazy = usize::MAX;
                config.opportunistic_graft_peers = usize::MAX;
            }
            if numbers {
                config.gossip_factor = f64::MAX;
                config.score.app_specific_weight = f64::MAX;
                config.score.behaviour_penalty_weight = f64::MIN;
            }
            Limits::try_from(config).expect("the greatest values are valid")
        },
    )
}

/// A generated change of some fields of a config.
struct Change(Box<dyn FnOnce(&mut LimitsConfig<u8>)>);

impl Change {
    fn new(change: impl FnOnce(&mut LimitsConfig<u8>) + 'static) -> Self {
        Self(Box::new(change))
    }
}

/// Does not print the change: the resulting limits are printed.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Change")
    }
}

fn degrees() -> impl Strategy<Value = Change> {
    let optimal = (1usize..=6, 0usize..=6, 0usize..=4, 0usize..=3, 0usize..=6);
    optimal.prop_map(|(degree_optimal, low, above, out, score)| {
        let degree_low = low.min(degree_optimal);
        let degree_out = out.min(degree_low).min(degree_optimal / 2);
        let degree_high = degree_optimal + above;
        Change::new(move |c| {
            c.degree_optimal = degree_optimal;
            c.degree_low = degree_low;
            c.degree_high = degree_high;
            c.degree_out = degree_out;
            // `limits` lowers it, and D_out, by what the extensions allow.
            c.degree_score = score.min(degree_optimal);
        })
    })
}

fn gossip() -> impl Strategy<Value = Change> {
    let lengths = (1usize..=4, 1usize..=4, 1usize..=6);
    let caps = (0u32..=4, 0u32..=12, 0u32..=3);
    let chosen = (0usize..=3, prop_oneof![Just(0.0), Just(0.25), Just(1.0), Just(-1.0)], 1usize..=5);
    (lengths, caps, chosen).prop_map(
        |((history, gossiped, seen), (ihaves, iwants, retransmission), (lazy, factor, max_topics))| {
            Change::new(move |c| {
                c.history_length = history;
                c.history_gossip_length = gossiped.min(history);
                c.seen_history_length = seen;
                c.max_recv_ihave_per_heartbeat = ihaves;
                c.max_sent_iwant_per_heartbeat = iwants;
                c.max_gossip_retransmission = retransmission;
                c.degree_lazy = lazy;
                c.gossip_factor = factor;
                c.max_topics_per_peer = max_topics;
            })
        },
    )
}

fn spans() -> impl Strategy<Value = Change> {
    let span = || prop_oneof![Just(Duration::ZERO), (1u64..20).prop_map(Duration::from_secs)];
    (span(), span(), span(), span(), span()).prop_map(|(prune, unsubscribe, flood, retain, fanout)| {
        Change::new(move |c| {
            c.prune_backoff = prune;
            c.unsubscribe_backoff = unsubscribe;
            c.graft_flood_threshold = flood;
            c.retain_duration = retain;
            c.fanout_ttl = fanout;
            c.heartbeat_interval = SECOND;
        })
    })
}

fn px_and_thresholds() -> impl Strategy<Value = Change> {
    let threshold = || prop_oneof![Just(0.0), -10.0..5.0];
    (any::<bool>(), 0usize..=4, threshold(), threshold(), threshold()).prop_map(
        |(do_px, peers_to_px, gossip, publish, px)| {
            Change::new(move |c| {
                c.do_px = do_px;
                c.peers_to_px = peers_to_px;
                c.gossip_threshold = gossip;
                c.publish_threshold = publish;
                c.accept_px_threshold = px;
            })
        },
    )
}

fn ticks() -> impl Strategy<Value = Change> {
    (1u64..=3, 1u64..=3, 1u64..=3, 1u64..=3, 0usize..=3, -1.0..5.0).prop_map(
        |(ping, backoff, score, opportunistic, grafts, threshold)| {
            Change::new(move |c| {
                c.heartbeat_ping_interval = ping;
                c.backoff_cleanup_ticks = backoff;
                c.score_cleanup_ticks = score;
                c.opportunistic_graft_ticks = opportunistic;
                c.opportunistic_graft_peers = grafts;
                c.opportunistic_graft_threshold = threshold;
            })
        },
    )
}

fn decay() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.5), Just(0.9), Just(1.0)]
}

fn penalty() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), -5.0..0.0]
}

fn score() -> impl Strategy<Value = ScoreLimits<u8>> {
    let p5_p7 = (0.0..2.0, penalty(), 0u8..3, decay());
    let p6 = (penalty(), 1.0..4.0, any::<bool>());
    let cap = proptest::option::of(0.0..100.0);
    (topics(), cap, p5_p7, p6, 0.0..0.2).prop_map(
        |(topics, topic_score_cap, (p5, p7, free, decay), p6, zero)| {
            ScoreLimits::default().with(|s| {
                s.topics = topics;
                s.topic_score_cap = topic_score_cap;
                s.behaviour_penalty_weight = p7;
                s.behaviour_penalty_threshold = f64::from(free);
                s.behaviour_penalty_decay = decay;
                s.app_specific_weight = p5;
                s.decay_zero = zero;
                s.ip_colocation_weight = p6.0;
                s.ip_colocation_threshold = p6.1;
                s.ip_colocation_whitelist = p6.2.then(|| ADDRESSES[0].into()).into_iter().collect();
            })
        },
    )
}

fn topics() -> impl Strategy<Value = TopicScores<u8>> {
    let topic = || topic().boxed();
    let single = topic().prop_map(|parameters| TopicScores::Single { parameters });
    let family = (topic(), topic(), 0.0..3.0, 0.0..3.0).prop_map(|(one, others, weight, default_weight)| {
        TopicScores::Family(TopicFamily::default().with(|f| {
            f.all_topics = vec![0, 1];
            f.parameters = [(0, one)].into();
            f.weights = [(1, weight)].into();
            f.default_parameters = others;
            f.default_weight = default_weight;
        }))
    });
    prop_oneof![single, family].boxed()
}

/// A cap or threshold of deliveries, which need not be a whole number.
fn count(least: u32) -> impl Strategy<Value = f64> {
    prop_oneof![(least..10).prop_map(f64::from), f64::from(least) + 0.01..10.0]
}

fn topic() -> impl Strategy<Value = TopicScoreLimits> {
    let p1 = (0.0..2.0, 0.0..10.0, 1u64..5000);
    let p2 = (0.0..2.0, count(0), decay());
    let window = prop_oneof![Just(Duration::ZERO), Just(SECOND), Just(Duration::MAX)];
    let p3 = (penalty(), window, 1u64..3, count(0), count(1), decay());
    let p3b_p4 = (penalty(), decay(), penalty(), decay());
    (p1, p2, p3, p3b_p4).prop_map(|(p1, p2, p3, (p3b_weight, p3b_decay, p4_weight, p4_decay))| {
        TopicScoreLimits::default().with(|t| {
            t.time_in_mesh_weight = p1.0;
            t.time_in_mesh_cap = p1.1;
            t.time_in_mesh_quantum = Duration::from_millis(p1.2);
            t.first_message_deliveries_weight = p2.0;
            t.first_message_deliveries_cap = p2.1;
            t.first_message_deliveries_decay = p2.2;
            t.mesh_message_deliveries_weight = p3.0;
            t.mesh_message_deliveries_window = p3.1;
            t.mesh_message_deliveries_activation = Duration::from_secs(p3.2);
            t.mesh_message_deliveries_cap = p3.3;
            t.mesh_message_deliveries_threshold = p3.4;
            t.mesh_message_deliveries_decay = p3.5;
            t.mesh_failure_penalty_weight = p3b_weight;
            t.mesh_failure_penalty_decay = p3b_decay;
            t.invalid_message_deliveries_weight = p4_weight;
            t.invalid_message_deliveries_decay = p4_decay;
        })
    })
}
