//! The parameters that a running engine takes new values of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Limits, LimitsConfig, ScoreLimits, TopicLimits, TopicScoreLimits, score::optional_number};

/// The parameters that can change while an engine runs. Each field is documented in [`LimitsConfig`],
/// [`Extensions`](super::Extensions) or [`Bounds`](super::Bounds), where it has the same name.
///
/// All others are fixed when the engine starts: bounds, because queues and accounts of memory are made with them; lengths in
/// ticks, because caches are; the intervals of heartbeats and of decays, because decays and lengths in ticks depend on them;
/// and switches of behaviour, because a node behaves in one way from its start to its end.
///
/// Made by [`LimitsConfig::runtime`]; applied by [`Worker::change_limits`](crate::Worker::change_limits).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are those of the limits")]
pub struct RuntimeLimits<T = String> {
    // -- Mesh and gossip --
    pub degree_optimal: usize,
    pub degree_low: usize,
    pub degree_high: usize,
    pub degree_score: usize,
    pub degree_out: usize,
    pub degree_lazy: usize,
    pub gossip_factor: f64,
    pub opportunistic_graft_peers: usize,
    pub opportunistic_graft_threshold: f64,
    pub idontwant_message_size: usize,
    pub max_message_size: usize,
    #[serde(with = "humantime_serde")]
    pub validation_timeout: Duration,
    pub topics: TopicLimits<T>,

    // -- Score --
    pub gossip_threshold: f64,
    pub publish_threshold: f64,
    pub accept_px_threshold: f64,
    #[serde(with = "optional_number")]
    pub graylist_threshold: Option<f64>,
    #[serde(with = "optional_number")]
    pub disconnect_threshold: Option<f64>,
    #[serde(with = "humantime_serde")]
    pub ban_duration: Duration,
    #[serde(with = "humantime_serde")]
    pub retain_duration: Duration,
    pub score: ScoreLimits<T>,
}

impl<T> RuntimeLimits<T> {
    /// Applies `change` and returns the result.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Converts the topic names, as [`LimitsConfig::map_topics`] does.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_topics<U: Ord, E>(
        self,
        mut map: impl FnMut(T) -> Result<U, E>,
    ) -> Result<RuntimeLimits<U>, E> {
        Ok(RuntimeLimits {
            degree_optimal: self.degree_optimal,
            degree_low: self.degree_low,
            degree_high: self.degree_high,
            degree_score: self.degree_score,
            degree_out: self.degree_out,
            degree_lazy: self.degree_lazy,
            gossip_factor: self.gossip_factor,
            opportunistic_graft_peers: self.opportunistic_graft_peers,
            opportunistic_graft_threshold: self.opportunistic_graft_threshold,
            idontwant_message_size: self.idontwant_message_size,
            max_message_size: self.max_message_size,
            validation_timeout: self.validation_timeout,
            topics: self.topics.map_topics(&mut map)?,
            gossip_threshold: self.gossip_threshold,
            publish_threshold: self.publish_threshold,
            accept_px_threshold: self.accept_px_threshold,
            graylist_threshold: self.graylist_threshold,
            disconnect_threshold: self.disconnect_threshold,
            ban_duration: self.ban_duration,
            retain_duration: self.retain_duration,
            score: self.score.map_topics(&mut map)?,
        })
    }

    /// Sets the score parameters and the weight of one topic. Those of all other topics stay.
    pub fn set_topic_score(&mut self, topic: T, parameters: TopicScoreLimits, weight: f64)
    where
        T: Clone + Ord,
    {
        self.score.topics.set(topic, parameters, weight);
    }
}

impl<T: Clone> LimitsConfig<T> {
    /// The parameters that can change while an engine runs.
    pub fn runtime(&self) -> RuntimeLimits<T> {
        let Self { extensions, bounds, .. } = self;
        RuntimeLimits {
            degree_optimal: self.degree_optimal,
            degree_low: self.degree_low,
            degree_high: self.degree_high,
            degree_score: self.degree_score,
            degree_out: self.degree_out,
            degree_lazy: self.degree_lazy,
            gossip_factor: self.gossip_factor,
            opportunistic_graft_peers: self.opportunistic_graft_peers,
            opportunistic_graft_threshold: self.opportunistic_graft_threshold,
            idontwant_message_size: extensions.idontwant_message_size,
            max_message_size: extensions.max_message_size,
            validation_timeout: bounds.validation_timeout,
            topics: self.topics.clone(),
            gossip_threshold: self.gossip_threshold,
            publish_threshold: self.publish_threshold,
            accept_px_threshold: self.accept_px_threshold,
            graylist_threshold: extensions.graylist_threshold,
            disconnect_threshold: extensions.disconnect_threshold,
            ban_duration: extensions.ban_duration,
            retain_duration: self.retain_duration,
            score: self.score.clone(),
        }
    }

    /// The same parameters with new values of those that can change.
    fn with_runtime(&self, new: RuntimeLimits<T>) -> Self {
        let RuntimeLimits {
            degree_optimal,
            degree_low,
            degree_high,
            degree_score,
            degree_out,
            degree_lazy,
            gossip_factor,
            opportunistic_graft_peers,
            opportunistic_graft_threshold,
            idontwant_message_size,
            max_message_size,
            validation_timeout,
            topics,
            gossip_threshold,
            publish_threshold,
            accept_px_threshold,
            graylist_threshold,
            disconnect_threshold,
            ban_duration,
            retain_duration,
            score,
        } = new;
        Self {
            degree_optimal,
            degree_low,
            degree_high,
            degree_score,
            degree_out,
            degree_lazy,
            gossip_factor,
            opportunistic_graft_peers,
            opportunistic_graft_threshold,
            topics,
            gossip_threshold,
            publish_threshold,
            accept_px_threshold,
            retain_duration,
            score,
            extensions: self.extensions.clone().with(|extensions| {
                extensions.idontwant_message_size = idontwant_message_size;
                extensions.max_message_size = max_message_size;
                extensions.graylist_threshold = graylist_threshold;
                extensions.disconnect_threshold = disconnect_threshold;
                extensions.ban_duration = ban_duration;
            }),
            bounds: self.bounds.clone().with(|bounds| bounds.validation_timeout = validation_timeout),
            ..self.clone()
        }
    }
}

impl<T: Clone + std::fmt::Debug> Limits<T> {
    /// The same limits with new values of those that can change.
    ///
    /// # Errors
    /// All violations of the new values, as in a configuration.
    pub fn with_runtime(&self, new: RuntimeLimits<T>) -> Result<Self, super::InvalidLimits> {
        Self::try_from(self.config.with_runtime(new))
    }
}
