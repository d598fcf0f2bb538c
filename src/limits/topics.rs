//! Parameters of single topics, by their name or by a pattern of it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{LimitsConfig, TopicPattern, score::map_keys};

/// The topics whose parameters differ from those of all topics. The default has none.
///
/// One entry applies to a topic: the one of its name, or else the first pattern that matches it. What that entry does not
/// set is as for all topics. The entry is found when a topic becomes active and when the limits change, not for each
/// message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct TopicLimits<T = String> {
    /// The entries of these topics.
    pub named: BTreeMap<T, TopicOverrides>,
    /// The entries of all topics that match a pattern of
    /// [`Network::topic_name`](crate::Network::topic_name). The first one that matches applies.
    pub patterns: Vec<PatternOverrides>,
}

/// The parameters that differ for the topics that match a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternOverrides {
    /// The pattern.
    pub pattern: TopicPattern,
    /// The parameters that differ.
    pub limits: TopicOverrides,
}

/// The parameters that differ for a topic. `None`, or a field that is missing in a file: the value of all topics applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TopicOverrides {
    /// D: see [`LimitsConfig::degree_optimal`]. The rules for the degrees of all topics are those for the degrees of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_optimal: Option<usize>,
    /// D_lo: see [`LimitsConfig::degree_low`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_low: Option<usize>,
    /// D_hi: see [`LimitsConfig::degree_high`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_high: Option<usize>,
    /// D_score: see [`LimitsConfig::degree_score`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_score: Option<usize>,
    /// D_out: see [`LimitsConfig::degree_out`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_out: Option<usize>,
    /// IDontWantMessageThreshold: see
    /// [`Extensions::idontwant_message_size`](super::Extensions::idontwant_message_size).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idontwant_message_size: Option<usize>,
    /// The size above which a message is refused: see
    /// [`Extensions::max_message_size`](super::Extensions::max_message_size).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_size: Option<usize>,
    /// Whether full messages of this topic are sent before those of other topics in the same lane
    /// ([`Lane`](crate::protocol::Lane)): own publications, forwarded messages, answers to IWANT. When a queue is full, those of
    /// other topics are dropped first. Without room for all, the other topics may get none: use it for topics with little
    /// traffic. Missing: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_first: Option<bool>,
}

impl TopicOverrides {
    /// Applies `change` and returns the result: `TopicOverrides::default().with(|t| t.max_message_size = Some(1024))`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl<T> Default for TopicLimits<T> {
    fn default() -> Self {
        Self { named: BTreeMap::new(), patterns: Vec::new() }
    }
}

impl<T> TopicLimits<T> {
    /// Applies `change` and returns the result.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The entry that applies to a topic. `name` makes its name, and is called only if there are patterns.
    fn of(&self, topic: &T, name: impl FnOnce() -> String) -> Option<&TopicOverrides>
    where
        T: Ord,
    {
        self.named.get(topic).or_else(|| {
            let name = (!self.patterns.is_empty()).then(name)?;
            self.patterns.iter().find(|it| it.pattern.matches(&name)).map(|it| &it.limits)
        })
    }

    /// All entries, each with its path within this structure.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, &TopicOverrides)>
    where
        T: std::fmt::Debug,
    {
        let named = self.named.iter().map(|(topic, limits)| (format!("named.{topic:?}"), limits));
        let patterns =
            self.patterns.iter().map(|it| (format!("patterns.{:?}.limits", it.pattern), &it.limits));
        named.chain(patterns)
    }

    pub(super) fn map_topics<U: Ord, E>(
        self,
        map: impl FnMut(T) -> Result<U, E>,
    ) -> Result<TopicLimits<U>, E> {
        Ok(TopicLimits { named: map_keys(self.named, map)?, patterns: self.patterns })
    }
}

/// The mesh degrees of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degrees {
    /// D.
    pub degree_optimal: usize,
    /// D_lo.
    pub degree_low: usize,
    /// D_hi.
    pub degree_high: usize,
    /// D_score.
    pub degree_score: usize,
    /// D_out.
    pub degree_out: usize,
}

/// The parameters of one topic, with what differs for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopicParameters {
    /// The degrees of the mesh.
    pub degrees: Degrees,
    /// IDONTWANT is sent for messages of at least this size. 0: for none.
    pub idontwant_message_size: usize,
    /// Larger messages are refused. 0: none.
    pub max_message_size: usize,
    /// Full messages are sent before those of other topics in the same lane.
    pub sent_first: bool,
    /// P3: a copy within this time after the first delivery counts as a delivery.
    pub delivery_window: Duration,
    /// Whether the topic has no score parameters of its own while others have some.
    pub is_unscored: bool,
}

impl TopicParameters {
    /// Whether a message of this size is refused.
    #[inline]
    pub(crate) fn is_too_large(&self, size: impl FnOnce() -> usize) -> bool {
        self.max_message_size > 0 && size() > self.max_message_size
    }
}

impl<T> LimitsConfig<T> {
    /// The parameters of one topic. `name` makes the name that patterns match, and is called only if there are patterns.
    pub fn of_topic(&self, topic: &T, name: impl Fn() -> String) -> TopicParameters
    where
        T: Ord,
    {
        let none = TopicOverrides::default();
        let overrides = self.topics.of(topic, &name).unwrap_or(&none);
        let scores = &self.score.topics;
        let pattern = scores.pattern_of(name);
        TopicParameters {
            degrees: self.degrees(overrides),
            idontwant_message_size: overrides
                .idontwant_message_size
                .unwrap_or(self.extensions.idontwant_message_size),
            max_message_size: overrides.max_message_size.unwrap_or(self.extensions.max_message_size),
            sent_first: overrides.sent_first.unwrap_or(false),
            delivery_window: scores.of(topic, pattern).0.mesh_message_deliveries_window,
            is_unscored: scores.is_unscored(topic, pattern),
        }
    }

    /// The degrees of a topic with these overrides.
    pub(super) fn degrees(&self, overrides: &TopicOverrides) -> Degrees {
        Degrees {
            degree_optimal: overrides.degree_optimal.unwrap_or(self.degree_optimal),
            degree_low: overrides.degree_low.unwrap_or(self.degree_low),
            degree_high: overrides.degree_high.unwrap_or(self.degree_high),
            degree_score: overrides.degree_score.unwrap_or(self.degree_score),
            degree_out: overrides.degree_out.unwrap_or(self.degree_out),
        }
    }

    /// Whether IDONTWANT is used on any topic. Goes through all entries.
    pub(super) fn uses_idontwant(&self) -> bool {
        let extensions = &self.extensions;
        let sizes = self.topics.named.values().chain(self.topics.patterns.iter().map(|it| &it.limits));
        let mut sizes = sizes.filter_map(|limits| limits.idontwant_message_size);
        extensions.max_idontwant_per_heartbeat > 0
            && extensions.idontwant_ticks > 0
            && (extensions.idontwant_message_size > 0 || sizes.any(|size| size > 0))
    }
}
