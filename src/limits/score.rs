//! The parameters of the peer score, with the specification's P1 to P7. Computes no score.
//!
//! score(peer) = min(cap, sum over topics of weight x (P1 + P2 + P3 + P3b + P4)) + P5 + P7. Rewards have
//! weights of 0 or more, penalties of 0 or less; a weight of 0 switches a part off. Counters are multiplied
//! by their decay every `score_cleanup_ticks` heartbeats: a decay of `d` halves a counter in ln(0.5)/ln(d)
//! of these.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// What the score of a peer is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct ScoreLimits<T = String> {
    /// P1 to P4, for each topic.
    pub topics: TopicScores<T>,
    /// TopicScoreCap: what all topics together can add at most. At least 0; `None` (in a file `"none"`) is
    /// no cap.
    #[serde(with = "cap")]
    pub topic_score_cap: Option<f64>,
    /// P7: weight of the square of the misbehaviours above the threshold. At most 0.
    pub behaviour_penalty_weight: f64,
    /// P7: so many misbehaviours cost nothing. At least 0.
    pub behaviour_penalty_threshold: f64,
    /// P7: decay of the counter. In 0..=1.
    pub behaviour_penalty_decay: f64,
    /// P5: weight of the score that the application gives to the peer.
    pub app_specific_weight: f64,
    /// DecayToZero: a counter that decays below this is 0. At least 0.
    pub decay_zero: f64,
}

impl<T> ScoreLimits<T> {
    /// Returns these parameters with `change` applied: `ScoreLimits::default().with(|s| s.decay_zero = 0.1)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The score parameters of topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de> + Ord")
)]
#[non_exhaustive]
pub enum TopicScores<T = String> {
    /// The same for all topics, each with weight 1.
    Single {
        /// The parameters of every topic.
        #[serde(default)]
        parameters: TopicScoreLimits,
    },
    /// Topics that differ.
    Family(TopicFamily<T>),
}

/// The score parameters of topics that differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct TopicFamily<T = String> {
    /// The topics known beforehand. For the reader: nothing depends on it.
    pub all_topics: Vec<T>,
    /// The parameters of single topics. What one leaves out has its value in
    /// [`TopicScoreLimits::default`], not in `default_parameters`.
    pub parameters: BTreeMap<T, TopicScoreLimits>,
    /// The weights (the spec's TopicWeight) of single topics. At least 0.
    pub weights: BTreeMap<T, f64>,
    /// The parameters of all other topics.
    pub default_parameters: TopicScoreLimits,
    /// The weight of all other topics. At least 0; 0 leaves them out of the score.
    pub default_weight: f64,
}

impl<T> TopicFamily<T> {
    /// Returns these parameters with `change` applied: `TopicFamily::default().with(|f| f.default_weight = 0.0)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl<T> Default for TopicFamily<T> {
    fn default() -> Self {
        Self {
            all_topics: Vec::new(),
            parameters: BTreeMap::new(),
            weights: BTreeMap::new(),
            default_parameters: TopicScoreLimits::default(),
            default_weight: FULL_WEIGHT,
        }
    }
}

impl<T> TopicScores<T> {
    /// The parameters of `topic`.
    pub fn parameters(&self, topic: &T) -> &TopicScoreLimits
    where
        T: Ord,
    {
        match self {
            Self::Single { parameters } => parameters,
            Self::Family(family) => family.parameters.get(topic).unwrap_or(&family.default_parameters),
        }
    }

    /// How much `topic` counts.
    pub fn weight(&self, topic: &T) -> f64
    where
        T: Ord,
    {
        match self {
            Self::Single { .. } => FULL_WEIGHT,
            Self::Family(family) => *family.weights.get(topic).unwrap_or(&family.default_weight),
        }
    }

    pub(super) fn map_topics<U: Ord, E>(
        self,
        mut map: impl FnMut(T) -> Result<U, E>,
    ) -> Result<TopicScores<U>, E> {
        Ok(match self {
            Self::Single { parameters } => TopicScores::Single { parameters },
            Self::Family(family) => TopicScores::Family(TopicFamily {
                all_topics: family.all_topics.into_iter().map(&mut map).collect::<Result<_, _>>()?,
                parameters: map_keys(family.parameters, &mut map)?,
                weights: map_keys(family.weights, &mut map)?,
                default_parameters: family.default_parameters,
                default_weight: family.default_weight,
            }),
        })
    }
}

fn map_keys<T, U: Ord, V, E>(
    entries: BTreeMap<T, V>,
    mut map: impl FnMut(T) -> Result<U, E>,
) -> Result<BTreeMap<U, V>, E> {
    entries.into_iter().map(|(topic, value)| Ok((map(topic)?, value))).collect()
}

/// The weight of every topic of [`TopicScores::Single`].
const FULL_WEIGHT: f64 = 1.0;

/// The score parameters of one topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TopicScoreLimits {
    /// P1, time in the mesh: weight of the number of quanta. At least 0.
    pub time_in_mesh_weight: f64,
    /// P1: no more quanta than this count. At least 0.
    pub time_in_mesh_cap: f64,
    /// P1: the length of a quantum. Above 0.
    #[serde(with = "humantime_serde")]
    pub time_in_mesh_quantum: Duration,
    /// P2, first deliveries: weight of the number of messages that the peer was the first to deliver. At
    /// least 0.
    pub first_message_deliveries_weight: f64,
    /// P2: no more deliveries than this count.
    pub first_message_deliveries_cap: u32,
    /// P2: decay of the counter. In 0..=1.
    pub first_message_deliveries_decay: f64,
    /// P3, too few deliveries by a peer of the mesh: weight of the square of what lacks to the threshold.
    /// At most 0. It needs a topic whose rate of messages is known and steady.
    pub mesh_message_deliveries_weight: f64,
    /// P3: a copy that comes this long after the first still counts as delivered.
    #[serde(with = "humantime_serde")]
    pub mesh_message_deliveries_window: Duration,
    /// P3: a peer must have been in the mesh for this long. At least 1 s.
    #[serde(with = "humantime_serde")]
    pub mesh_message_deliveries_activation: Duration,
    /// P3: no more deliveries than this count.
    pub mesh_message_deliveries_cap: u32,
    /// P3: the number of deliveries, decayed, below which a peer is penalised. Above 0.
    pub mesh_message_deliveries_threshold: u32,
    /// P3: decay of the counter. In 0..=1.
    pub mesh_message_deliveries_decay: f64,
    /// P3b, left the mesh with too few deliveries: weight of the sum of squares of what lacked. At most 0.
    pub mesh_failure_penalty_weight: f64,
    /// P3b: decay of that sum. In 0..=1.
    pub mesh_failure_penalty_decay: f64,
    /// P4, invalid messages: weight of the square of their number. At most 0.
    pub invalid_message_deliveries_weight: f64,
    /// P4: decay of the counter. In 0..=1.
    pub invalid_message_deliveries_decay: f64,
}

impl TopicScoreLimits {
    /// Returns these parameters with `change` applied: `TopicScoreLimits::default().with(|t| t.time_in_mesh_cap = 100.0)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A number or `"none"`: a file has no null, and a field left out has its default.
mod cap {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(cap: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match cap {
            Some(cap) => serializer.serialize_f64(*cap),
            None => serializer.serialize_str("none"),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        deserializer.deserialize_any(CapVisitor)
    }

    struct CapVisitor;

    impl de::Visitor<'_> for CapVisitor {
        type Value = Option<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or \"none\"")
        }

        fn visit_f64<E: de::Error>(self, cap: f64) -> Result<Self::Value, E> {
            Ok(Some(cap))
        }

        fn visit_i64<E: de::Error>(self, cap: i64) -> Result<Self::Value, E> {
            Ok(Some(cap as f64))
        }

        fn visit_u64<E: de::Error>(self, cap: u64) -> Result<Self::Value, E> {
            Ok(Some(cap as f64))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
            match word {
                "none" => Ok(None),
                _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
            }
        }
    }
}
