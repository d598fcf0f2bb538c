//! The parameters of the peer score (gossipsub v1.1 "peer scoring"), with the specification's names P1 to P7.
//!
//! score(peer) = min(cap, sum over topics of weight x (P1 + P2 + P3 + P3b + P4)) + P5 + P6 + P7.
//! The weight of a reward is at least 0, that of a penalty at most 0; a weight of 0 disables the component. Every
//! `score_cleanup_ticks` heartbeats the counters are multiplied by their decays: a decay of `d` halves a counter in
//! ln(0.5) / ln(d) such intervals.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Subnet, TopicPattern};

/// The components of the peer score. The default is that of `config/default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct ScoreLimits<T = String> {
    /// P1 to P4 of each topic.
    pub topics: TopicScores<T>,
    /// TopicScoreCap: the maximum of the sum over all topics. At least 0. `None`, in a file `"none"`, disables it.
    #[serde(with = "optional_number")]
    pub topic_score_cap: Option<f64>,
    /// P7: weight of the square of the number of misbehaviours above the threshold. At most 0.
    pub behaviour_penalty_weight: f64,
    /// P7: the number of misbehaviours without a penalty. At least 0.
    pub behaviour_penalty_threshold: f64,
    /// P7: decay of the counter. From 0 to 1.
    pub behaviour_penalty_decay: f64,
    /// P5: weight of the score that the application sets ([`AppInput::SetApplicationScore`](crate::AppInput)).
    pub app_specific_weight: f64,
    /// DecayToZero: a counter that decays below this value becomes 0. At least 0.
    pub decay_zero: f64,
    /// P6, IPColocationFactorWeight: weight of the square of the number of peers above the threshold, for each address of a
    /// peer. At most 0. 0 disables it: the reference does not have it.
    ///
    /// Addresses are those of [`ConnectionInfo::remote_address`](crate::ConnectionInfo::remote_address) and
    /// [`P2pInput::RemoteAddresses`](crate::P2pInput::RemoteAddresses). IPv6 addresses with the same first 64 bits count as
    /// one. Peers whose score is retained count too.
    pub ip_colocation_weight: f64,
    /// P6, IPColocationFactorThreshold: the number of peers that may have one address. At least 1.
    pub ip_colocation_threshold: f64,
    /// P6, IPColocationFactorWhitelist: addresses and subnets that any number of peers may have, as those of a data centre or
    /// behind one router.
    pub ip_colocation_whitelist: Vec<Subnet>,
}

impl<T> ScoreLimits<T> {
    /// Applies `change` and returns the result: `ScoreLimits::default().with(|s| s.decay_zero = 0.1)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn map_topics<U: Ord, E>(
        self,
        map: impl FnMut(T) -> Result<U, E>,
    ) -> Result<ScoreLimits<U>, E> {
        let ScoreLimits {
            topics,
            topic_score_cap,
            behaviour_penalty_weight,
            behaviour_penalty_threshold,
            behaviour_penalty_decay,
            app_specific_weight,
            decay_zero,
            ip_colocation_weight,
            ip_colocation_threshold,
            ip_colocation_whitelist,
        } = self;
        Ok(ScoreLimits {
            topics: topics.map_topics(map)?,
            topic_score_cap,
            behaviour_penalty_weight,
            behaviour_penalty_threshold,
            behaviour_penalty_decay,
            app_specific_weight,
            decay_zero,
            ip_colocation_weight,
            ip_colocation_threshold,
            ip_colocation_whitelist,
        })
    }

    /// Whether any number of peers may have this address.
    pub(crate) fn is_colocation_allowed(&self, address: IpAddr) -> bool {
        self.ip_colocation_whitelist.iter().any(|subnet| subnet.contains(address))
    }
}

/// The score parameters of all topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de> + Ord")
)]
#[non_exhaustive]
pub enum TopicScores<T = String> {
    /// The same parameters for all topics. Each topic has the weight 1.
    Single {
        /// The parameters of every topic.
        #[serde(default)]
        parameters: TopicScoreLimits,
    },
    /// Parameters that differ by topic.
    Family(TopicFamily<T>),
}

/// Score parameters that differ by topic. The default has no topics, and the weight 1 for all others. The parameters of a
/// topic are those of its name, or else those of the first pattern that matches it, or else the default; its weight is found
/// in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct TopicFamily<T = String> {
    /// The topics of the network, as information for the reader. The engine ignores this field.
    pub all_topics: Vec<T>,
    /// The parameters of these topics. A field that is missing in a file has its value of
    /// [`TopicScoreLimits::default`], not that of `default_parameters`.
    pub parameters: BTreeMap<T, TopicScoreLimits>,
    /// TopicWeight: the weights of these topics. At least 0.
    pub weights: BTreeMap<T, f64>,
    /// The parameters and weights of topics that match a pattern.
    pub patterns: Vec<PatternScore>,
    /// The parameters of all other topics.
    pub default_parameters: TopicScoreLimits,
    /// The weight of all other topics. At least 0. 0 excludes them from the score.
    pub default_weight: f64,
}

/// The score parameters of the topics that match a pattern of
/// [`Network::topic_name`](crate::Network::topic_name).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternScore {
    /// The pattern.
    pub pattern: TopicPattern,
    /// TopicWeight: the weight of each of these topics. At least 0.
    pub weight: f64,
    /// The parameters of each of these topics.
    pub parameters: TopicScoreLimits,
}

impl<T> TopicFamily<T> {
    /// Applies `change` and returns the result: `TopicFamily::default().with(|f| f.default_weight = 0.0)`.
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
            patterns: Vec::new(),
            default_parameters: TopicScoreLimits::default(),
            default_weight: FULL_WEIGHT,
        }
    }
}

impl<T> TopicScores<T> {
    /// Returns the parameters of `topic`, whatever pattern matches it.
    pub fn parameters(&self, topic: &T) -> &TopicScoreLimits
    where
        T: Ord,
    {
        self.of(topic, None).0
    }

    /// Returns the weight of `topic`, whatever pattern matches it.
    pub fn weight(&self, topic: &T) -> f64
    where
        T: Ord,
    {
        self.of(topic, None).1
    }

    /// The first pattern that matches the name of a topic. `name` is called only if there are patterns.
    pub(crate) fn pattern_of(&self, name: impl FnOnce() -> String) -> Option<PatternIndex> {
        let Self::Family(TopicFamily { patterns, .. }) = self else { return None };
        let name = (!patterns.is_empty()).then(name)?;
        let index = patterns.iter().position(|it| it.pattern.matches(&name))?;
        PatternIndex::try_from(index).ok()
    }

    /// The parameters and the weight of a topic, of which [`pattern_of`](Self::pattern_of) has found the pattern.
    pub(crate) fn of(&self, topic: &T, pattern: Option<PatternIndex>) -> (&TopicScoreLimits, f64)
    where
        T: Ord,
    {
        match self {
            Self::Single { parameters } => (parameters, FULL_WEIGHT),
            Self::Family(family) => {
                let pattern = pattern.and_then(|index| family.patterns.get(index as usize));
                let others = pattern.map_or((&family.default_parameters, family.default_weight), |pattern| {
                    (&pattern.parameters, pattern.weight)
                });
                let parameters = family.parameters.get(topic).unwrap_or(others.0);
                (parameters, *family.weights.get(topic).unwrap_or(&others.1))
            }
        }
    }

    /// The parameters and the weight of a topic. `name` makes the name that patterns match.
    pub(crate) fn by_name(&self, topic: &T, name: impl FnOnce() -> String) -> (&TopicScoreLimits, f64)
    where
        T: Ord,
    {
        self.of(topic, self.pattern_of(name))
    }

    /// Whether a topic has no parameters or weight of its own, while other topics have some.
    pub(super) fn is_unscored(&self, topic: &T, pattern: Option<PatternIndex>) -> bool
    where
        T: Ord,
    {
        let Self::Family(TopicFamily { parameters, weights, patterns, .. }) = self else { return false };
        let others = !(parameters.is_empty() && weights.is_empty() && patterns.is_empty());
        others && pattern.is_none() && !parameters.contains_key(topic) && !weights.contains_key(topic)
    }

    /// Sets the parameters and the weight of one topic. Those of all other topics stay.
    pub(super) fn set(&mut self, topic: T, parameters: TopicScoreLimits, weight: f64)
    where
        T: Clone + Ord,
    {
        if let Self::Single { parameters } = self {
            let others = parameters.clone();
            let pattern = TopicPattern::new("*");
            let all = PatternScore { pattern, weight: FULL_WEIGHT, parameters: others.clone() };
            *self = Self::Family(TopicFamily {
                patterns: vec![all],
                default_parameters: others,
                default_weight: FULL_WEIGHT,
                ..TopicFamily::default()
            });
        }
        if let Self::Family(family) = self {
            family.weights.insert(topic.clone(), weight);
            family.parameters.insert(topic, parameters);
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
                patterns: family.patterns,
                default_parameters: family.default_parameters,
                default_weight: family.default_weight,
            }),
        })
    }
}

pub(super) fn map_keys<T, U: Ord, V, E>(
    entries: BTreeMap<T, V>,
    mut map: impl FnMut(T) -> Result<U, E>,
) -> Result<BTreeMap<U, V>, E> {
    entries.into_iter().map(|(topic, value)| Ok((map(topic)?, value))).collect()
}

/// The weight of every topic of [`TopicScores::Single`].
const FULL_WEIGHT: f64 = 1.0;

/// The index of a pattern in [`TopicFamily::patterns`].
pub(crate) type PatternIndex = u32;

/// The score parameters of one topic. The default is that of `config/default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TopicScoreLimits {
    /// P1, time in mesh: weight of the number of quanta. At least 0.
    pub time_in_mesh_weight: f64,
    /// P1: the maximum number of quanta. At least 0.
    pub time_in_mesh_cap: f64,
    /// P1: the length of a quantum. Above 0.
    #[serde(with = "humantime_serde")]
    pub time_in_mesh_quantum: Duration,
    /// P2, first message deliveries: weight of the number of valid messages that the peer delivered first. At least 0.
    pub first_message_deliveries_weight: f64,
    /// P2: the maximum number of deliveries. At least 0.
    pub first_message_deliveries_cap: f64,
    /// P2: decay of the counter. From 0 to 1.
    pub first_message_deliveries_decay: f64,
    /// P3, mesh message deliveries: weight of the square of the deficit below the threshold, for peers in the mesh. At
    /// most 0. Set it only for topics with a known and steady message rate.
    pub mesh_message_deliveries_weight: f64,
    /// P3: a copy within this time after the first delivery counts as a delivery.
    #[serde(with = "humantime_serde")]
    pub mesh_message_deliveries_window: Duration,
    /// P3: the time in the mesh after which the penalty applies. At least 1 s.
    #[serde(with = "humantime_serde")]
    pub mesh_message_deliveries_activation: Duration,
    /// P3: the maximum number of deliveries. At least 0.
    pub mesh_message_deliveries_cap: f64,
    /// P3: the penalty applies below this number of deliveries, after decay. Above 0.
    pub mesh_message_deliveries_threshold: f64,
    /// P3: decay of the counter. From 0 to 1.
    pub mesh_message_deliveries_decay: f64,
    /// P3b, mesh failure penalty: weight of the sum of the squared deficits (P3) at the times when the peer left the
    /// mesh. At most 0.
    pub mesh_failure_penalty_weight: f64,
    /// P3b: decay of that sum. From 0 to 1.
    pub mesh_failure_penalty_decay: f64,
    /// P4, invalid messages: weight of the square of the number of invalid messages. At most 0.
    pub invalid_message_deliveries_weight: f64,
    /// P4: decay of the counter. From 0 to 1.
    pub invalid_message_deliveries_decay: f64,
}

impl TopicScoreLimits {
    /// Applies `change` and returns the result: `TopicScoreLimits::default().with(|t| t.time_in_mesh_cap = 100.0)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Serialises an optional number as a number or `"none"`. TOML has no null, and a missing field means the default.
pub(super) mod optional_number {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => serializer.serialize_f64(*number),
            None => serializer.serialize_str("none"),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }

    struct NumberVisitor;

    impl de::Visitor<'_> for NumberVisitor {
        type Value = Option<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or \"none\"")
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            match text {
                "none" => Ok(None),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }
}
