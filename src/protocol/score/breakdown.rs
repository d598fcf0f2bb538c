//! The breakdown of a peer's score into components and counters, and the thresholds that it is below. It uses the
//! functions that compute the score.

use std::collections::BTreeMap;

use derive_where::derive_where;

use super::{
    Scores,
    counters::{ScoreComponents, TopicCounters},
    peer::{p6, p7},
};
use crate::{
    limits::{Limits, TopicScoreLimits},
    network::Network,
    protocol::inspect::view::{ScoreView, TopicScoreView},
    timestamp::Timestamp,
};

/// A score and its components:
/// `score` = min(cap, sum of the topics' `total`s) + `p5` + `p6` + `p7`.
#[derive_where(Clone, Debug)]
pub struct ScoreBreakdown<N: Network> {
    /// The score.
    pub score: f64,
    /// The time at which the entry of a disconnected peer expires; `None` for a connected peer.
    pub expires: Option<Timestamp>,
    /// The sum over all topics after the cap, including topics that are not listed here.
    pub topics_sum: f64,
    /// P1 to P4 of the requested topics.
    pub topics: BTreeMap<N::Topic, TopicBreakdown>,
    /// Whether there are topics after the last one listed.
    pub more_topics: bool,
    /// P5, weighted.
    pub p5: f64,
    /// P6, weighted: IP colocation.
    pub p6: f64,
    /// P7, weighted.
    pub p7: f64,
    /// The application score, before its weight.
    pub application_score: f64,
    /// The misbehaviour counter of P7.
    pub behaviour_penalty: f64,
    /// The thresholds that the score is below.
    pub below: Vec<Threshold>,
}

/// The components of one topic, with the weight of the topic.
#[derive(Clone, Debug)]
pub struct TopicBreakdown {
    /// The topic's weight.
    pub weight: f64,
    /// P1: time in mesh.
    pub p1: f64,
    /// P2: first deliveries.
    pub p2: f64,
    /// P3: mesh delivery deficit.
    pub p3: f64,
    /// P3b: mesh failure penalty.
    pub p3b: f64,
    /// P4: invalid messages.
    pub p4: f64,
    /// The sum of the components.
    pub total: f64,
    /// The counters from which the components are computed.
    pub counters: TopicScoreView,
}

/// A score threshold, below which a peer is denied something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Threshold {
    /// 0: the peer is not in any mesh of this node.
    Mesh,
    /// `gossip_threshold`.
    Gossip,
    /// `publish_threshold`.
    Publish,
    /// `accept_px_threshold`.
    AcceptPx,
    /// `extensions.graylist_threshold`.
    Graylist,
    /// `extensions.disconnect_threshold`.
    Disconnect,
}

impl Threshold {
    /// All thresholds.
    pub const ALL: [Self; 6] =
        [Self::Mesh, Self::Gossip, Self::Publish, Self::AcceptPx, Self::Graylist, Self::Disconnect];

    /// The name, as used in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Gossip => "gossip",
            Self::Publish => "publish",
            Self::AcceptPx => "accept_px",
            Self::Graylist => "graylist",
            Self::Disconnect => "disconnect",
        }
    }

    /// The value under `limits`. `None` if they disable the threshold.
    pub fn value<T>(self, limits: &Limits<T>) -> Option<f64> {
        match self {
            Self::Mesh => Some(0.0),
            Self::Gossip => Some(limits.gossip_threshold),
            Self::Publish => Some(limits.publish_threshold),
            Self::AcceptPx => Some(limits.accept_px_threshold),
            Self::Graylist => limits.extensions.graylist_threshold,
            Self::Disconnect => limits.extensions.disconnect_threshold,
        }
    }

    fn is_above<T>(self, score: f64, limits: &Limits<T>) -> bool {
        self.value(limits).is_some_and(|threshold| score < threshold)
    }

    /// The consequences for a peer below the threshold, as a sentence for operators.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Mesh => "its GRAFTs are refused, it is pruned from the meshes, and its PRUNEs carry no px",
            Self::Gossip => "its IHAVEs and IWANTs are ignored, and it is sent no gossip",
            Self::Publish => "it is not used for fanout: messages published on topics that are not joined",
            Self::AcceptPx => "peers that it offers by px are not connected to",
            Self::Graylist => "nothing that it sends is handled, unless it is a direct peer",
            Self::Disconnect => "it is disconnected at the next heartbeat, unless it is a direct peer",
        }
    }
}

impl<N: Network> Scores<N> {
    /// The breakdown of a peer's score, with the topics that follow `after`, at most `limit` topics.
    pub(crate) fn breakdown(
        &self,
        peer: &N::Peer,
        after: Option<&N::Topic>,
        limit: usize,
    ) -> Option<ScoreBreakdown<N>> {
        let limits = &self.limits;
        let view = self.view_of(peer, after, limit.saturating_add(1))?;
        let ScoreView { score, expires, behaviour_penalty, application_score, ip_colocation, mut topics } =
            view;
        let more_topics = topics.len() > limit;
        if more_topics {
            topics.pop_last();
        }
        let p5 = application_score * limits.score.app_specific_weight;
        let p6 = p6(ip_colocation, &limits.score);
        let p7 = p7(behaviour_penalty, &limits.score);
        let with_breakdown = |(topic, counters)| {
            let pattern = self.table.find(&topic).and_then(|row| self.table.row(row).pattern);
            let (parameters, weight) = limits.score.topics.of(&topic, pattern);
            (topic, TopicBreakdown::new(counters, parameters, weight))
        };
        Some(ScoreBreakdown {
            score,
            expires,
            topics_sum: score - p5 - p6 - p7,
            topics: topics.into_iter().map(with_breakdown).collect(),
            more_topics,
            p5,
            p6,
            p7,
            application_score,
            behaviour_penalty,
            below: Threshold::ALL.into_iter().filter(|t| t.is_above(score, limits)).collect(),
        })
    }
}

impl TopicBreakdown {
    fn new(counters: TopicScoreView, parameters: &TopicScoreLimits, weight: f64) -> Self {
        let components = TopicCounters::from(&counters).components(parameters);
        let ScoreComponents { p1, p2, p3, p3b, p4 } = components.weighted(weight);
        Self { weight, p1, p2, p3, p3b, p4, total: p1 + p2 + p3 + p3b + p4, counters }
    }
}

impl From<&TopicScoreView> for TopicCounters {
    fn from(view: &TopicScoreView) -> Self {
        let TopicScoreView { mesh, first, active, delivered, failure, invalid } = view.clone();
        Self { mesh, first, active, delivered, failure, invalid }
    }
}

impl From<&TopicCounters> for TopicScoreView {
    fn from(counters: &TopicCounters) -> Self {
        let TopicCounters { mesh, first, active, delivered, failure, invalid } = counters.clone();
        Self { mesh, first, active, delivered, failure, invalid }
    }
}
