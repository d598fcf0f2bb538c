//! A peer's score taken apart: what each component adds, from which counters, and what the thresholds keep
//! from the peer. Computes by the very functions that make the score; changes nothing.

use std::collections::BTreeMap;

use derive_where::derive_where;

use super::{Scores, counters::TopicCounters, peer::p7};
use crate::{
    limits::Limits,
    network::Network,
    protocol::inspect::view::{ScoreView, TopicScoreView},
    timestamp::Timestamp,
};

/// A score with all that it is made of:
/// `score` = min(cap, sum of the topics' `total`s) + `p5` + `p6` + `p7`.
#[derive_where(Clone, Debug)]
pub struct ScoreBreakdown<N: Network> {
    /// The score.
    pub score: f64,
    /// When the entry of a disconnected peer may go; `None` for a connected one.
    pub expires: Option<Timestamp>,
    /// What all topics add together, after the cap; also those that are not listed here.
    pub topics_sum: f64,
    /// P1 to P4 of the topics asked for.
    pub topics: BTreeMap<N::Topic, TopicBreakdown>,
    /// There are more topics after the last one listed.
    pub more_topics: bool,
    /// P5, weighted.
    pub p5: f64,
    /// P6: always 0, as this engine does not look at addresses.
    pub p6: f64,
    /// P7, weighted.
    pub p7: f64,
    /// P5 as the application set it.
    pub application_score: f64,
    /// P7's counter.
    pub behaviour_penalty: f64,
    /// What is kept from the peer because of its score.
    pub refused: Vec<Threshold>,
}

/// What one topic adds to a peer's score, with the topic's weight.
#[derive(Clone, Debug)]
pub struct TopicBreakdown {
    /// The topic's weight.
    pub weight: f64,
    /// Time in the mesh.
    pub p1: f64,
    /// First deliveries.
    pub p2: f64,
    /// Too few deliveries.
    pub p3: f64,
    /// Left the mesh with too few.
    pub p3b: f64,
    /// Invalid messages.
    pub p4: f64,
    /// All of them.
    pub total: f64,
    /// What they are computed from.
    pub counters: TopicScoreView,
}

/// A score below which something is kept from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Threshold {
    /// 0: it is not in our meshes.
    Mesh,
    /// `gossip_threshold`.
    Gossip,
    /// `publish_threshold`.
    Publish,
    /// `accept_px_threshold`.
    AcceptPx,
}

impl Threshold {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mesh, Self::Gossip, Self::Publish, Self::AcceptPx];

    /// Its name, as a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Gossip => "gossip",
            Self::Publish => "publish",
            Self::AcceptPx => "accept_px",
        }
    }

    /// Its value under `limits`.
    pub fn value<T>(self, limits: &Limits<T>) -> f64 {
        match self {
            Self::Mesh => 0.0,
            Self::Gossip => limits.gossip_threshold,
            Self::Publish => limits.publish_threshold,
            Self::AcceptPx => limits.accept_px_threshold,
        }
    }

    /// What a peer below it is refused.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Mesh => "its GRAFTs are refused, it is pruned from our meshes, and it is offered no peers",
            Self::Gossip => "its IHAVEs and IWANTs are ignored, and it is sent no gossip",
            Self::Publish => {
                "it is not chosen for messages that we publish without having joined their topic"
            }
            Self::AcceptPx => "peers that it names in a PRUNE are not connected to",
        }
    }
}

impl<N: Network> Scores<N> {
    /// Takes a peer's score apart, with the topics that follow `after`, at most `limit` of them.
    pub(crate) fn breakdown(
        &self,
        peer: &N::Peer,
        after: Option<&N::Topic>,
        limit: usize,
        limits: &Limits<N::Topic>,
    ) -> Option<ScoreBreakdown<N>> {
        let ScoreView { score, expires, behaviour_penalty, application_score, mut topics } =
            self.view_of(peer, after, limit.saturating_add(1))?;
        let more_topics = topics.len() > limit;
        if more_topics {
            topics.pop_last();
        }
        let p5 = application_score * limits.score.app_specific_weight;
        let p7 = p7(behaviour_penalty, &limits.score);
        let part = |(topic, counters)| {
            let part = TopicBreakdown::new::<N>(&topic, counters, limits);
            (topic, part)
        };
        Some(ScoreBreakdown {
            score,
            expires,
            topics_sum: score - p5 - p7,
            topics: topics.into_iter().map(part).collect(),
            more_topics,
            p5,
            p6: 0.0,
            p7,
            application_score,
            behaviour_penalty,
            refused: Threshold::ALL.into_iter().filter(|t| score < t.value(limits)).collect(),
        })
    }
}

impl TopicBreakdown {
    fn new<N: Network>(topic: &N::Topic, counters: TopicScoreView, limits: &Limits<N::Topic>) -> Self {
        let weight = limits.score.topics.weight(topic);
        let parts = TopicCounters::from(&counters).parts(limits.score.topics.parameters(topic));
        let [p1, p2, p3, p3b, p4] = parts.weighted(weight).0;
        Self { weight, p1, p2, p3, p3b, p4, total: p1 + p2 + p3 + p3b + p4, counters }
    }
}

impl From<&TopicScoreView> for TopicCounters {
    fn from(view: &TopicScoreView) -> Self {
        let TopicScoreView { mesh, first, active, delivered, failure, invalid } = view.clone();
        Self { mesh, first, active, delivered, failure, invalid }
    }
}
