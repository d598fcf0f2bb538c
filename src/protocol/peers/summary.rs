//! A summary of the connected peers for operators: their number by kind, and the distribution of their scores and
//! score components.

use enum_map::{Enum, EnumMap, enum_map};
use strum::VariantNames;

use super::{Connection, Peers};
use crate::{
    network::{Direction, Network},
    protocol::score::ScoreComponent,
};

/// A summary of the connected peers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PeersSummary {
    /// Topics joined.
    pub(crate) topics: usize,
    pub(crate) connections: EnumMap<Direction, EnumMap<ConnectionClass, usize>>,
    /// Peers by score band; each peer is in one band.
    pub(crate) score_bands: EnumMap<ScoreBand, usize>,
    /// All zero without peers.
    pub(crate) scores: ScoreRange,
    /// Weighted components of the scores; all zero without peers.
    pub(crate) components: EnumMap<ScoreComponent, ComponentRange>,
}

/// How a connected peer is treated; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ConnectionClass {
    Regular,
    Direct,
    Bootstrap,
    Floodsub,
}

/// The lowest threshold that a score is below; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ScoreBand {
    BelowGraylist,
    BelowPublish,
    BelowGossip,
    Negative,
    NonNegative,
}

/// The distribution of the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ScoreRange {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// The distribution of one weighted component.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ComponentRange {
    pub(crate) min: f64,
    pub(crate) mean: f64,
}

impl<N: Network> Peers<N> {
    /// Summarises the connected peers. Takes time in proportion to their number.
    pub(crate) fn summary(&self) -> PeersSummary {
        let mut summary = PeersSummary { topics: self.joined_count(), ..PeersSummary::default() };
        let mut scores = Vec::with_capacity(self.connections.len());
        for (peer, connection) in &self.connections {
            let score = self.scores.get(peer).unwrap_or_default();
            summary.connections[Direction::outbound_if(connection.connection_id.is_outbound())]
                [class(connection)] += 1;
            summary.score_bands[self.score_band(score)] += 1;
            scores.push(score);
        }
        scores.sort_by(f64::total_cmp);
        if let (Some(min), Some(max)) = (scores.first(), scores.last()) {
            summary.scores = ScoreRange { min: *min, median: scores[scores.len() / 2], max: *max };
        }
        summary.components = self.components();
        summary
    }

    fn score_band(&self, score: f64) -> ScoreBand {
        let graylist = self.limits.extensions.graylist_threshold;
        match score {
            score if graylist.is_some_and(|threshold| score < threshold) => ScoreBand::BelowGraylist,
            score if score < self.limits.publish_threshold => ScoreBand::BelowPublish,
            score if score < self.limits.gossip_threshold => ScoreBand::BelowGossip,
            score if score < 0.0 => ScoreBand::Negative,
            _ => ScoreBand::NonNegative,
        }
    }

    fn components(&self) -> EnumMap<ScoreComponent, ComponentRange> {
        let mut peers = 0_u32;
        let (mut min, mut sum) = (enum_map! { _ => f64::INFINITY }, enum_map! { _ => 0.0 });
        for components in self.connections.keys().filter_map(|peer| self.scores.components(peer)) {
            peers += 1;
            for (component, value) in components {
                min[component] = value.min(min[component]);
                sum[component] += value;
            }
        }
        if peers == 0 {
            return EnumMap::default();
        }
        EnumMap::from_fn(|component| ComponentRange {
            min: min[component],
            mean: sum[component] / f64::from(peers),
        })
    }
}

/// A bootstrap peer that is also direct counts as bootstrap, since messages are not sent to it. A direct peer that speaks
/// floodsub counts as direct, since it is sent messages whatever its score.
fn class<N: Network>(connection: &Connection<N>) -> ConnectionClass {
    match connection {
        Connection { connection_id, .. } if connection_id.is_bootstrap() => ConnectionClass::Bootstrap,
        Connection { direct: true, .. } => ConnectionClass::Direct,
        Connection { connection_id, .. } if connection_id.is_floodsub() => ConnectionClass::Floodsub,
        _ => ConnectionClass::Regular,
    }
}
