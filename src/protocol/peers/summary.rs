//! The connected peers as an operator looks at them: how many, of which kind, and what they are worth. Looks;
//! changes nothing.

use super::{Connection, Peers};
use crate::{network::Network, protocol::score::COMPONENTS};

/// A look at the connected peers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PeersSummary {
    /// Topics joined.
    pub(crate) topics: usize,
    /// Inbound and outbound; of each the regular, the direct and the bootstrap ones.
    pub(crate) connections: [[usize; 3]; 2],
    /// Scores below the publish threshold, else below the gossip threshold, else negative, else not.
    pub(crate) bands: [usize; 4],
    /// The least, median and greatest score.
    pub(crate) scores: [f64; 3],
    /// P1, P2, P3, P3b, P4, P5 and P7, weighted: the least and the mean.
    pub(crate) components: [[f64; 2]; COMPONENTS],
}

impl<N: Network> Peers<N> {
    /// Who is connected, and what they are worth.
    pub(crate) fn company(&self) -> PeersSummary {
        let mut company = PeersSummary { topics: self.joined_count(), ..PeersSummary::default() };
        let mut scores = Vec::with_capacity(self.connections.len());
        for (peer, connection) in &self.connections {
            let score = self.scores.get(peer).unwrap_or_default();
            company.connections[usize::from(connection.connection_id.is_outbound())][kind(connection)] += 1;
            company.bands[self.band(score)] += 1;
            scores.push(score);
        }
        scores.sort_by(f64::total_cmp);
        if let (Some(least), Some(greatest)) = (scores.first(), scores.last()) {
            company.scores = [*least, scores[scores.len() / 2], *greatest];
        }
        company.components = self.components();
        company
    }

    fn band(&self, score: f64) -> usize {
        let limits = [self.limits.publish_threshold, self.limits.gossip_threshold, 0.0];
        limits.iter().position(|limit| score < *limit).unwrap_or(limits.len())
    }

    /// The least and mean of each component.
    fn components(&self) -> [[f64; 2]; COMPONENTS] {
        let mut looked_at = 0_u32;
        let mut components = [[f64::INFINITY, 0.0]; COMPONENTS];
        for parts in self.connections.keys().filter_map(|peer| self.scores.components(peer)) {
            looked_at += 1;
            for ([least, sum], part) in components.iter_mut().zip(parts) {
                (*least, *sum) = (least.min(part), *sum + part);
            }
        }
        if looked_at == 0 {
            return Default::default();
        }
        components.map(|[least, sum]| [least, sum / f64::from(looked_at)])
    }
}

/// Who is two things at once is what we treat it as first.
fn kind<N: Network>(connection: &Connection<N>) -> usize {
    match connection.connection_id {
        connection_id if connection_id.is_bootstrap() => 2,
        connection_id if connection_id.is_direct() => 1,
        _ => 0,
    }
}
