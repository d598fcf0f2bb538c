//! The presets of networks against the figures of their specifications, each by its name there.

use std::time::Duration;

use actix_gossipsub::limits::{Extensions, LimitsConfig, TopicScoreLimits, TopicScores};

const SECOND: Duration = Duration::from_secs(1);

/// The parameters and the weight of the pattern that matches a topic.
fn scored(limits: &LimitsConfig, topic: &str) -> (TopicScoreLimits, f64) {
    let TopicScores::Family(family) = &limits.score.topics else { panic!("the scores differ by topic") };
    let found = family.patterns.iter().find(|entry| entry.pattern.matches(topic));
    let found = found.unwrap_or_else(|| panic!("no pattern matches {topic}"));
    (found.parameters.clone(), found.weight)
}

fn is_scored(limits: &LimitsConfig, topic: &str) -> bool {
    let TopicScores::Family(family) = &limits.score.topics else { panic!("the scores differ by topic") };
    assert_eq!((family.default_weight, family.weights.len(), family.parameters.len()), (0.0, 0, 0));
    family.patterns.iter().any(|entry| entry.pattern.matches(topic))
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    // The files give six significant digits.
    assert!((found - expected).abs() <= 5e-6 * expected.abs(), "{found}, not {expected}");
}

/// The time of a number of heartbeats.
fn heartbeats(limits: &LimitsConfig, count: usize) -> Duration {
    limits.heartbeat_interval * u32::try_from(count).expect("few heartbeats")
}

/// specs/phase0/p2p-interface.md of the consensus specification: "Gossipsub Parameters".
#[test]
fn ethereum_has_the_gossipsub_parameters_of_the_consensus_specification() {
    let limits = LimitsConfig::<String>::ethereum();
    assert_eq!(limits.degree_optimal, 8, "D");
    assert_eq!(limits.degree_low, 6, "D_low");
    assert_eq!(limits.degree_high, 12, "D_high");
    assert_eq!(limits.degree_lazy, 6, "D_lazy");
    assert_eq!(limits.heartbeat_interval, Duration::from_millis(700), "heartbeat_interval");
    assert_eq!(limits.fanout_ttl, 60 * SECOND, "fanout_ttl");
    assert_eq!(limits.history_length, 6, "mcache_len");
    assert_eq!(limits.history_gossip_length, 3, "mcache_gossip");
    // SECONDS_PER_SLOT * SLOTS_PER_EPOCH * 2, in whole heartbeats.
    let seen_ttl = 12 * 32 * 2 * SECOND;
    let seen = limits.seen_history_length;
    assert!(heartbeats(&limits, seen - 1) < seen_ttl && seen_ttl <= heartbeats(&limits, seen), "seen_ttl");
    // Nodes are found by discv5.
    assert!(!limits.do_px);
}

/// Lighthouse: gossipsub_scoring_parameters.rs, whose formulas these are, for 1,000,000 validators.
mod lighthouse {
    pub const SLOT: f64 = 12.0;
    pub const SLOTS_PER_EPOCH: f64 = 32.0;
    pub const EPOCH: f64 = SLOT * SLOTS_PER_EPOCH;
    pub const DECAY_TO_ZERO: f64 = 0.01;
    pub const MESH_N: f64 = 8.0;
    /// 10 by P1 and 40 by P2, by the sum of the weights: two global topics of 1/2, 64 subnets of 1/64, three rare topics of
    /// 1/20.
    pub const MAX_POSITIVE_SCORE: f64 = (10.0 + 40.0) * (0.5 + 0.5 + 1.0 + 3.0 * 0.05);

    /// The decay per slot of a counter that falls to `DECAY_TO_ZERO` within `seconds`.
    pub fn decay(seconds: f64) -> f64 {
        DECAY_TO_ZERO.powf(SLOT / seconds)
    }

    /// What a counter converges to that grows by `rate` per slot.
    pub fn convergence(decay: f64, rate: f64) -> f64 {
        rate / (1.0 - decay)
    }

    /// `mesh_message_deliveries_threshold`.
    pub fn threshold(decay: f64, rate: f64) -> f64 {
        convergence(decay, rate / 50.0) * decay
    }
}

#[test]
fn ethereum_has_the_score_of_lighthouse() {
    use lighthouse::*;
    let limits = LimitsConfig::<String>::ethereum();
    // lighthouse_gossip_thresholds
    assert_eq!(limits.gossip_threshold, -4000.0);
    assert_eq!(limits.publish_threshold, -8000.0);
    assert_eq!(limits.extensions.graylist_threshold, Some(-16_000.0), "GREYLIST_THRESHOLD");
    assert_eq!(limits.accept_px_threshold, 100.0);
    assert_eq!(limits.opportunistic_graft_threshold, 5.0);
    assert_eq!(limits.extensions.flood_publish_bytes_per_second, 0, "flood_publish(false)");
    // get_peer_score_params
    let score = &limits.score;
    assert_eq!(score.decay_zero, DECAY_TO_ZERO);
    assert_eq!(limits.retain_duration.as_secs_f64(), 100.0 * EPOCH, "retain_score");
    assert_eq!(score.app_specific_weight, 1.0);
    assert_eq!(score.topic_score_cap, Some(0.5 * MAX_POSITIVE_SCORE));
    assert_eq!(score.ip_colocation_threshold, 8.0, "ip_colocation_factor_threshold");
    assert_eq!(score.ip_colocation_weight, -0.5 * MAX_POSITIVE_SCORE, "ip_colocation_factor_weight");
    assert_eq!(score.behaviour_penalty_threshold, 6.0);
    assert_close(score.behaviour_penalty_decay, decay(10.0 * EPOCH));
    let misbehaviours = convergence(decay(10.0 * EPOCH), 10.0 / SLOTS_PER_EPOCH) - 6.0;
    assert_close(score.behaviour_penalty_weight, -4000.0 / misbehaviours.powi(2));
    // Counters decay once per slot: 17 heartbeats are 11.9 s.
    let decays_after = heartbeats(&limits, limits.score_cleanup_ticks as usize).as_secs_f64();
    assert!((decays_after - SLOT).abs() < 0.35, "decay_interval {decays_after}");
}

#[test]
fn ethereum_has_the_topic_scores_of_lighthouse() {
    use lighthouse::*;
    let limits = LimitsConfig::<String>::ethereum();
    // Topic, weight, messages per slot, decay of P2; decay of P3, factor of its cap, activation.
    let rows = [
        ("beacon_block", 0.5, 1.0, 20.0 * EPOCH, Some((5.0 * EPOCH, 3.0, EPOCH))),
        // 16 aggregators of each of 64 committees, and those that the division leaves.
        (
            "beacon_aggregate_and_proof",
            0.5,
            1_000_000.0 / 30.0 / 32.0,
            EPOCH,
            Some((2.0 * EPOCH, 4.0, EPOCH)),
        ),
        (
            "beacon_attestation_63",
            1.0 / 64.0,
            1_000_000.0 / 64.0 / 32.0,
            EPOCH,
            Some((4.0 * EPOCH, 16.0, 17.0 * SLOT)),
        ),
        ("voluntary_exit", 0.05, 4.0 / 32.0, 100.0 * EPOCH, None),
        ("proposer_slashing", 0.05, 1.0 / 5.0 / 32.0, 100.0 * EPOCH, None),
        ("attester_slashing", 0.05, 1.0 / 5.0 / 32.0, 100.0 * EPOCH, None),
    ];
    for (name, weight, rate, p2_decay, p3) in rows {
        let (topic, found) = scored(&limits, &format!("/eth2/8c9f62fe/{name}/ssz_snappy"));
        assert_eq!(found, weight, "{name}");
        assert_eq!((topic.time_in_mesh_quantum.as_secs_f64(), topic.time_in_mesh_cap), (SLOT, 300.0));
        assert_close(topic.time_in_mesh_weight, 10.0 / 300.0);
        assert_close(topic.first_message_deliveries_decay, decay(p2_decay));
        let cap = convergence(decay(p2_decay), 2.0 * rate / MESH_N);
        assert_close(topic.first_message_deliveries_cap, cap);
        assert_close(topic.first_message_deliveries_weight, 40.0 / cap);
        assert_close(topic.invalid_message_deliveries_weight, -MAX_POSITIVE_SCORE / weight);
        assert_close(topic.invalid_message_deliveries_decay, decay(50.0 * EPOCH));
        let Some((p3_decay, factor, activation)) = p3 else {
            assert_eq!((topic.mesh_message_deliveries_weight, topic.mesh_failure_penalty_weight), (0.0, 0.0));
            continue;
        };
        let least = threshold(decay(p3_decay), rate);
        assert_close(topic.mesh_message_deliveries_threshold, least);
        assert_close(topic.mesh_message_deliveries_cap, (factor * least).max(2.0));
        assert_close(topic.mesh_message_deliveries_decay, decay(p3_decay));
        assert_close(topic.mesh_failure_penalty_decay, decay(p3_decay));
        assert_eq!(topic.mesh_message_deliveries_activation.as_secs_f64(), activation);
        assert_eq!(topic.mesh_message_deliveries_window, 2 * SECOND, "MESH_MESSAGE_DELIVERIES_WINDOW");
        assert_eq!(topic.mesh_message_deliveries_weight, -weight);
        assert_eq!(topic.mesh_failure_penalty_weight, -weight);
    }
    // Lighthouse does not score these.
    for name in ["sync_committee_0", "blob_sidecar_0", "data_column_sidecar_7", "bls_to_execution_change"] {
        assert!(!is_scored(&limits, &format!("/eth2/8c9f62fe/{name}/ssz_snappy")), "{name}");
    }
}

/// node/modules/lp2p/pubsub.go of Lotus, and gossipsub.go of go-libp2p-pubsub for what Lotus leaves as it is.
#[test]
fn filecoin_has_the_parameters_of_lotus() {
    let limits = LimitsConfig::<String>::filecoin();
    assert_eq!(limits.degree_optimal, 8, "GossipSubD");
    assert_eq!(limits.degree_score, 6, "GossipSubDscore");
    assert_eq!(limits.degree_out, 3, "GossipSubDout");
    assert_eq!(limits.degree_low, 6, "GossipSubDlo");
    assert_eq!(limits.degree_high, 12, "GossipSubDhi");
    assert_eq!(limits.degree_lazy, 12, "GossipSubDlazy");
    assert_eq!(limits.gossip_factor, 0.1, "GossipSubGossipFactor");
    assert_eq!(limits.extensions.iwant_followup_time, 5 * SECOND, "GossipSubIWantFollowupTime");
    assert_eq!(limits.history_length, 10, "GossipSubHistoryLength");
    assert!(limits.extensions.flood_publish_bytes_per_second > 0, "WithFloodPublish(true)");
    assert_eq!(limits.gossip_threshold, -500.0, "GossipScoreThreshold");
    assert_eq!(limits.publish_threshold, -1000.0, "PublishScoreThreshold");
    assert_eq!(limits.extensions.graylist_threshold, Some(-2500.0), "GraylistScoreThreshold");
    assert_eq!(limits.accept_px_threshold, 1000.0, "AcceptPXScoreThreshold");
    assert_eq!(limits.opportunistic_graft_threshold, 3.5, "OpportunisticGraftScoreThreshold");
    assert!(!limits.do_px, "only bootstrap nodes have WithPeerExchange(true)");

    assert_eq!(limits.history_gossip_length, 3, "GossipSubHistoryGossip");
    assert_eq!(limits.heartbeat_interval, SECOND, "GossipSubHeartbeatInterval");
    assert_eq!(limits.fanout_ttl, 60 * SECOND, "GossipSubFanoutTTL");
    assert_eq!(limits.peers_to_px, 16, "GossipSubPrunePeers");
    assert_eq!(limits.prune_backoff, 60 * SECOND, "GossipSubPruneBackoff");
    assert_eq!(limits.unsubscribe_backoff, 10 * SECOND, "GossipSubUnsubscribeBackoff");
    assert_eq!(limits.graft_flood_threshold, 10 * SECOND, "GossipSubGraftFloodThreshold");
    assert_eq!(limits.opportunistic_graft_ticks, 60, "GossipSubOpportunisticGraftTicks");
    assert_eq!(limits.opportunistic_graft_peers, 2, "GossipSubOpportunisticGraftPeers");
    assert_eq!(limits.bounds.reconnect_interval_ticks, 300, "GossipSubDirectConnectTicks");
    assert_eq!(limits.max_sent_iwant_per_heartbeat, 5000, "GossipSubMaxIHaveLength");
    assert_eq!(limits.max_recv_ihave_per_heartbeat, 10, "GossipSubMaxIHaveMessages");
    assert_eq!(limits.max_gossip_retransmission, 3, "GossipSubGossipRetransmission");
    assert_eq!(limits.extensions.idontwant_message_size, 1024, "GossipSubIDontWantMessageThreshold");
    assert_eq!(limits.extensions.idontwant_ticks, 3, "GossipSubIDontWantMessageTTL");
    assert_eq!(heartbeats(&limits, limits.seen_history_length), 120 * SECOND, "TimeCacheDuration");
}

#[test]
fn filecoin_has_the_score_of_lotus() {
    // ScoreParameterDecay: to DefaultDecayToZero within this time, once a second.
    let decay = |seconds: f64| 0.01_f64.powf(1.0 / seconds);
    let limits = LimitsConfig::<String>::filecoin();
    let score = &limits.score;
    assert_eq!(score.app_specific_weight, 1.0, "AppSpecificWeight");
    assert_eq!(score.ip_colocation_threshold, 5.0, "IPColocationFactorThreshold");
    assert_eq!(score.ip_colocation_weight, -100.0, "IPColocationFactorWeight");
    assert_eq!(score.behaviour_penalty_threshold, 6.0, "BehaviourPenaltyThreshold");
    assert_eq!(score.behaviour_penalty_weight, -10.0, "BehaviourPenaltyWeight");
    assert_close(score.behaviour_penalty_decay, decay(3600.0));
    assert_eq!(score.decay_zero, 0.01, "DefaultDecayToZero");
    assert_eq!((limits.score_cleanup_ticks, limits.heartbeat_interval), (1, SECOND), "DefaultDecayInterval");
    assert_eq!(limits.retain_duration, 6 * 3600 * SECOND, "RetainScore");
    assert_eq!(score.topic_score_cap, None, "TopicScoreCap");
    // TopicWeight, TimeInMeshWeight, FirstMessageDeliveriesWeight, -Cap and -Decay.
    let rows = [
        ("/fil/blocks/testnetnet", 0.1, 0.00027, 5.0, 100.0, decay(3600.0)),
        ("/fil/msgs/testnetnet", 0.1, 0.0002778, 0.5, 100.0, decay(600.0)),
        (
            "/drand/pubsub/v0.0.0/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
            0.5,
            0.00027,
            5.0,
            25.0,
            decay(3600.0),
        ),
        // PubsubTopicScoreParams of go-f3.
        ("/f3/granite/0.0.3/filecoin", 0.1, 0.0002778, 0.5, 100.0, decay(600.0)),
        ("/f3/chainexchange/0.0.1/filecoin", 0.1, 0.0002778, 0.5, 100.0, decay(600.0)),
    ];
    for (name, weight, p1, p2, cap, p2_decay) in rows {
        let (topic, found) = scored(&limits, name);
        assert_eq!((found, topic.time_in_mesh_weight), (weight, p1), "{name}");
        assert_eq!((topic.time_in_mesh_quantum, topic.time_in_mesh_cap), (SECOND, 1.0), "{name}");
        assert_eq!((topic.first_message_deliveries_weight, topic.first_message_deliveries_cap), (p2, cap));
        assert_close(topic.first_message_deliveries_decay, p2_decay);
        assert_eq!((topic.mesh_message_deliveries_weight, topic.mesh_failure_penalty_weight), (0.0, 0.0));
        assert_eq!(topic.invalid_message_deliveries_weight, -1000.0, "InvalidMessageDeliveriesWeight");
        assert_close(topic.invalid_message_deliveries_decay, decay(3600.0));
    }
    assert!(!is_scored(&limits, "/other"));
}

/// default_limits.ml of Octez, and what its DAL node changes.
#[test]
fn tezos_has_the_parameters_of_the_reference() {
    let limits = LimitsConfig::<String>::tezos_dal();
    assert_eq!(limits.extensions, Extensions::none());
    assert_eq!(limits.score.ip_colocation_weight, 0.0, "the reference has no P6");
    assert_eq!([limits.degree_low, limits.degree_optimal, limits.degree_high], [5, 6, 12]);
    assert_eq!([limits.degree_score, limits.degree_out, limits.degree_lazy], [4, 2, 6]);
    assert_eq!((limits.heartbeat_interval, limits.retain_duration), (SECOND, 10 * SECOND));
    assert!(limits.do_px);
    let thresholds = [limits.gossip_threshold, limits.publish_threshold, limits.accept_px_threshold];
    assert_eq!((thresholds, limits.opportunistic_graft_threshold), ([0.0; 3], 1.0));
    let score = &limits.score;
    assert_eq!(
        (score.topic_score_cap, score.app_specific_weight, score.decay_zero),
        (Some(3600.0), 10.0, 0.1)
    );
    assert_eq!((score.behaviour_penalty_weight, score.behaviour_penalty_decay), (-10.0, 0.2));
    let TopicScores::Single { parameters: topic } = &score.topics else { panic!("all topics are alike") };
    assert_eq!((topic.time_in_mesh_weight, topic.time_in_mesh_cap), (1.0, 3600.0));
    assert_eq!((topic.first_message_deliveries_weight, topic.first_message_deliveries_cap), (1.0, 2000.0));
    assert_eq!((topic.mesh_message_deliveries_weight, topic.mesh_failure_penalty_weight), (0.0, 0.0));
    assert_eq!(
        (topic.invalid_message_deliveries_weight, topic.invalid_message_deliveries_decay),
        (-1.0, 0.3)
    );
}
