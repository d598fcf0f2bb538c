//! The peer score with the parameters of rust-libp2p's gossipsub, as parameters of the engine.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use super::{config::ticks, topic::TopicHash};
use crate::{
    libp2p::ids::TopicName,
    limits::{LimitsConfig, ScoreLimits, Subnet, TopicFamily, TopicScoreLimits, TopicScores},
};

/// The parameters of the peer score. The defaults are those of rust-libp2p's gossipsub.
///
/// A slow peer counts as misbehaviour
/// ([`slow_peer_penalty`](crate::limits::Extensions::slow_peer_penalty)), so it has no weight of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerScoreParams {
    /// P1 to P4 of these topics. Others add nothing to the score.
    pub topics: HashMap<TopicHash, TopicScoreParams>,
    /// The maximum of the sum over all topics. 0: no maximum.
    pub topic_score_cap: f64,
    /// P5: the weight of the score that the application sets.
    pub app_specific_weight: f64,
    /// P6: the weight of the square of the peers of one address above the threshold.
    pub ip_colocation_factor_weight: f64,
    /// P6: the number of peers that may have one address. IPv6 addresses with the same first 64 bits count as one.
    pub ip_colocation_factor_threshold: f64,
    /// P6: addresses that any number of peers may have.
    pub ip_colocation_factor_whitelist: HashSet<IpAddr>,
    /// P7: the weight of the square of the misbehaviours above the threshold.
    pub behaviour_penalty_weight: f64,
    /// P7: misbehaviours without a penalty.
    pub behaviour_penalty_threshold: f64,
    /// P7: the decay of the counter.
    pub behaviour_penalty_decay: f64,
    /// The time after which counters decay by their factors. They decay at heartbeats, at the same rate: if the time is
    /// rounded up to heartbeats, the factors are those of the longer time.
    pub decay_interval: Duration,
    /// A counter below this is 0.
    pub decay_to_zero: f64,
    /// The time for which the score of a disconnected peer is kept.
    pub retain_score: Duration,
}

impl Default for PeerScoreParams {
    fn default() -> Self {
        Self {
            topics: HashMap::new(),
            topic_score_cap: 3600.0,
            app_specific_weight: 10.0,
            ip_colocation_factor_weight: -5.0,
            ip_colocation_factor_threshold: 10.0,
            ip_colocation_factor_whitelist: HashSet::new(),
            behaviour_penalty_weight: -10.0,
            behaviour_penalty_threshold: 0.0,
            behaviour_penalty_decay: 0.2,
            decay_interval: Duration::from_secs(1),
            decay_to_zero: 0.1,
            retain_score: Duration::from_secs(3600),
        }
    }
}

/// What the application has set of the score, besides the limits that follow from it.
#[derive(Debug, Default)]
pub(super) struct SetScore {
    /// The interval of [`PeerScoreParams`]. `None`: the score has its parameters from the configuration, or is off.
    pub(super) decay_interval: Option<Duration>,
    pub(super) topics: HashMap<TopicHash, TopicScoreParams>,
}

/// The scores below which a peer loses rights. The defaults are those of rust-libp2p's gossipsub.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerScoreThresholds {
    /// No gossip to and from peers with a lower score.
    pub gossip_threshold: f64,
    /// Our own messages are not sent to peers with a lower score.
    pub publish_threshold: f64,
    /// Nothing is handled of peers with a lower score, and they are disconnected.
    pub graylist_threshold: f64,
    /// The recommendations of peers with a lower score are ignored.
    pub accept_px_threshold: f64,
    /// A mesh with a lower median gets other peers.
    pub opportunistic_graft_threshold: f64,
}

impl Default for PeerScoreThresholds {
    fn default() -> Self {
        Self {
            gossip_threshold: -10.0,
            publish_threshold: -50.0,
            graylist_threshold: -80.0,
            accept_px_threshold: 10.0,
            opportunistic_graft_threshold: 20.0,
        }
    }
}

/// The score parameters of one topic. The defaults are those of rust-libp2p's gossipsub.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of TopicScoreLimits, which documents them")]
pub struct TopicScoreParams {
    pub topic_weight: f64,
    pub time_in_mesh_weight: f64,
    pub time_in_mesh_quantum: Duration,
    pub time_in_mesh_cap: f64,
    pub first_message_deliveries_weight: f64,
    pub first_message_deliveries_decay: f64,
    pub first_message_deliveries_cap: f64,
    pub mesh_message_deliveries_weight: f64,
    pub mesh_message_deliveries_decay: f64,
    pub mesh_message_deliveries_cap: f64,
    pub mesh_message_deliveries_threshold: f64,
    pub mesh_message_deliveries_window: Duration,
    pub mesh_message_deliveries_activation: Duration,
    pub mesh_failure_penalty_weight: f64,
    pub mesh_failure_penalty_decay: f64,
    pub invalid_message_deliveries_weight: f64,
    pub invalid_message_deliveries_decay: f64,
}

impl Default for TopicScoreParams {
    fn default() -> Self {
        Self {
            topic_weight: 0.5,
            time_in_mesh_weight: 1.0,
            time_in_mesh_quantum: Duration::from_millis(1),
            time_in_mesh_cap: 3600.0,
            first_message_deliveries_weight: 1.0,
            first_message_deliveries_decay: 0.5,
            first_message_deliveries_cap: 2000.0,
            mesh_message_deliveries_weight: -1.0,
            mesh_message_deliveries_decay: 0.5,
            mesh_message_deliveries_cap: 100.0,
            mesh_message_deliveries_threshold: 20.0,
            mesh_message_deliveries_window: Duration::from_millis(10),
            mesh_message_deliveries_activation: Duration::from_secs(5),
            mesh_failure_penalty_weight: -1.0,
            mesh_failure_penalty_decay: 0.5,
            invalid_message_deliveries_weight: -1.0,
            invalid_message_deliveries_decay: 0.3,
        }
    }
}

impl TopicScoreParams {
    /// The parameters of the engine, whose decays have this exponent ([`decay_exponent`]).
    pub(super) fn to_limits(&self, exponent: f64) -> TopicScoreLimits {
        let decayed = |decay| decayed(decay, exponent);
        let defaults = TopicScoreLimits::default();
        // Rules for the threshold and the activation of P3 hold here in any case, there only if P3 has a weight.
        let has_p3 = self.mesh_message_deliveries_weight != 0.0;
        let threshold = self.mesh_message_deliveries_threshold;
        let activation = self.mesh_message_deliveries_activation;
        TopicScoreLimits {
            time_in_mesh_weight: self.time_in_mesh_weight,
            time_in_mesh_cap: self.time_in_mesh_cap,
            time_in_mesh_quantum: self.time_in_mesh_quantum,
            first_message_deliveries_weight: self.first_message_deliveries_weight,
            first_message_deliveries_cap: self.first_message_deliveries_cap,
            first_message_deliveries_decay: decayed(self.first_message_deliveries_decay),
            mesh_message_deliveries_weight: self.mesh_message_deliveries_weight,
            mesh_message_deliveries_window: self.mesh_message_deliveries_window,
            mesh_message_deliveries_activation: match has_p3 {
                true => activation,
                false => activation.max(defaults.mesh_message_deliveries_activation),
            },
            mesh_message_deliveries_cap: self.mesh_message_deliveries_cap,
            mesh_message_deliveries_threshold: if has_p3 { threshold } else { threshold.max(1.0) },
            mesh_message_deliveries_decay: decayed(self.mesh_message_deliveries_decay),
            mesh_failure_penalty_weight: self.mesh_failure_penalty_weight,
            mesh_failure_penalty_decay: decayed(self.mesh_failure_penalty_decay),
            invalid_message_deliveries_weight: self.invalid_message_deliveries_weight,
            invalid_message_deliveries_decay: decayed(self.invalid_message_deliveries_decay),
        }
    }
}

/// How many intervals of decay are between two decays of the engine, which decays at heartbeats.
pub(super) fn decay_exponent(interval: Duration, heartbeat_interval: Duration) -> f64 {
    let between = ticks(interval, heartbeat_interval) as f64 * heartbeat_interval.as_secs_f64();
    if interval.is_zero() { 1.0 } else { between / interval.as_secs_f64() }
}

/// The decay over `exponent` intervals. A value outside 0 to 1 is returned unchanged, and is refused later.
fn decayed(decay: f64, exponent: f64) -> f64 {
    if (0.0..=1.0).contains(&decay) { decay.powf(exponent) } else { decay }
}

/// The decay of a counter that is to fall to 0.1 of its value within this time, if counters decay once a second.
pub fn score_parameter_decay(decay: Duration) -> f64 {
    score_parameter_decay_with_base(decay, Duration::from_secs(1), 0.1)
}

/// The decay of a counter that is to fall to the part `decay_to_zero` within `decay`, if counters decay once in `base`.
pub fn score_parameter_decay_with_base(decay: Duration, base: Duration, decay_to_zero: f64) -> f64 {
    decay_to_zero.powf(base.as_secs_f64() / decay.as_secs_f64())
}

/// A score whose weights are all 0.
fn none() -> ScoreLimits<TopicName> {
    let parameters = TopicScoreLimits::default().with(|topic| {
        topic.time_in_mesh_weight = 0.0;
        topic.first_message_deliveries_weight = 0.0;
        topic.mesh_message_deliveries_weight = 0.0;
        topic.mesh_failure_penalty_weight = 0.0;
        topic.invalid_message_deliveries_weight = 0.0;
    });
    ScoreLimits::default().with(|score| {
        score.topics = TopicScores::Single { parameters };
        score.behaviour_penalty_weight = 0.0;
        score.app_specific_weight = 0.0;
        score.ip_colocation_weight = 0.0;
        score.topic_score_cap = None;
    })
}

/// Whether peers have scores: the parameters are not those of [`disable`].
pub(super) fn is_on(score: &ScoreLimits<TopicName>) -> bool {
    *score != none()
}

/// Sets all weights to 0, and no thresholds.
pub(super) fn disable(limits: &mut LimitsConfig<TopicName>) {
    limits.score = none();
    limits.extensions.graylist_threshold = None;
    limits.extensions.disconnect_threshold = None;
    // Every median is 0, and every peer has enough score for PX.
    limits.opportunistic_graft_threshold = 0.0;
    limits.accept_px_threshold = 0.0;
}

/// Sets these parameters.
pub(super) fn apply(
    limits: &mut LimitsConfig<TopicName>,
    parameters: &PeerScoreParams,
    thresholds: &PeerScoreThresholds,
) {
    let exponent = decay_exponent(parameters.decay_interval, limits.heartbeat_interval);
    let of = |topic: &TopicScoreParams| topic.to_limits(exponent);
    let topics: BTreeMap<_, _> =
        parameters.topics.iter().map(|(topic, it)| (topic.clone(), of(it))).collect();
    let weights = parameters.topics.iter().map(|(topic, it)| (topic.clone(), it.topic_weight)).collect();
    limits.score = ScoreLimits::default().with(|score| {
        score.topics = TopicScores::Family(TopicFamily::default().with(|family| {
            family.parameters = topics;
            family.weights = weights;
            family.default_weight = 0.0;
        }));
        score.topic_score_cap = (parameters.topic_score_cap != 0.0).then_some(parameters.topic_score_cap);
        score.app_specific_weight = parameters.app_specific_weight;
        score.ip_colocation_weight = parameters.ip_colocation_factor_weight;
        score.ip_colocation_threshold = parameters.ip_colocation_factor_threshold;
        let whitelist = parameters.ip_colocation_factor_whitelist.iter();
        score.ip_colocation_whitelist = whitelist.copied().map(Subnet::from).collect();
        score.behaviour_penalty_weight = parameters.behaviour_penalty_weight;
        score.behaviour_penalty_threshold = parameters.behaviour_penalty_threshold;
        score.behaviour_penalty_decay = decayed(parameters.behaviour_penalty_decay, exponent);
        score.decay_zero = parameters.decay_to_zero;
    });
    limits.score_cleanup_ticks = ticks(parameters.decay_interval, limits.heartbeat_interval) as u64;
    limits.retain_duration = parameters.retain_score;
    limits.gossip_threshold = thresholds.gossip_threshold;
    limits.publish_threshold = thresholds.publish_threshold;
    limits.accept_px_threshold = thresholds.accept_px_threshold;
    limits.opportunistic_graft_threshold = thresholds.opportunistic_graft_threshold;
    limits.extensions.graylist_threshold = Some(thresholds.graylist_threshold);
    limits.extensions.disconnect_threshold = Some(thresholds.graylist_threshold);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn counters_decay_at_the_same_rate_with_a_longer_heartbeat() {
        let topic = TopicHash::from("t");
        let one_topic = [(topic.clone(), TopicScoreParams::default())];
        let parameters = PeerScoreParams { topics: one_topic.into(), ..PeerScoreParams::default() };
        for (heartbeat, decays) in [(1.0, 1.0), (0.5, 1.0), (0.7, 1.4), (3.0, 3.0)] {
            let mut limits = LimitsConfig::default()
                .with(|limits| limits.heartbeat_interval = Duration::from_secs_f64(heartbeat));
            apply(&mut limits, &parameters, &PeerScoreThresholds::default());
            let TopicScores::Family(family) = &limits.score.topics else { unreachable!() };
            let found = &family.parameters[&topic];
            for (found, decay) in [
                (limits.score.behaviour_penalty_decay, 0.2),
                (found.first_message_deliveries_decay, 0.5),
                (found.mesh_message_deliveries_decay, 0.5),
                (found.mesh_failure_penalty_decay, 0.5),
                (found.invalid_message_deliveries_decay, 0.3_f64),
            ] {
                assert!((found - decay.powf(decays)).abs() < 1e-9, "{heartbeat} s: {found}");
            }
        }
        assert_eq!((decayed(-0.5, 2.0), decayed(1.5, 2.0)), (-0.5, 1.5));
        assert_eq!(decay_exponent(Duration::ZERO, Duration::from_secs(1)), 1.0);
    }

    /// The default threshold of a score refuses everybody's recommendations where nobody has a score.
    #[test]
    fn peers_are_recommended_also_without_a_score() {
        let mut limits = LimitsConfig::<TopicName>::default();
        disable(&mut limits);
        assert!(!is_on(&limits.score) && is_on(&ScoreLimits::default()));
        assert_eq!(limits.accept_px_threshold, 0.0);
        assert!(Limits::try_from(limits).is_ok());
    }
}
