//! Changes by the application while the engine runs: limits, direct peers, and peers that the p2p layer refuses.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::Peers;
use crate::{
    limits::{Limits, TopicParameters},
    network::{Network, Origin, P2pOutput},
    protocol::exchange::command::TopicCommand,
};

impl<N: Network> Peers<N> {
    /// Replaces the limits by ones that differ in [`RuntimeLimits`](crate::limits::RuntimeLimits) only. Scores follow from
    /// them at once, and the active topics are sent a command.
    pub(crate) fn set_limits(&mut self, limits: Arc<Limits<N::Topic>>) {
        self.scores.set_limits(Arc::clone(&limits));
        self.limits = limits;
        let changed = |topic: &N::Topic| (topic.clone(), TopicCommand::LimitsChanged);
        self.outbox.commands.extend(self.active.iter().map(changed));
    }

    /// The parameters of a topic.
    pub(in crate::protocol) fn parameters_of(&self, topic: &N::Topic) -> TopicParameters {
        self.limits.of_topic(topic, || self.network.topic_name(topic))
    }

    /// The application decides whether a peer is a direct peer, for its connection and for later ones. A direct peer that is
    /// not connected is dialled, now and whenever it is lost.
    pub(crate) fn set_direct(&mut self, peer: &N::Peer, direct: bool) {
        self.direct.insert(peer.clone(), direct);
        let may_dial = self.self_peer() != Some(peer) && self.may_contact(peer);
        match self.connections.get_mut(peer) {
            Some(connection) if connection.direct != direct => {
                (connection.direct, connection.direct_changed) = (direct, true);
                let connection_id = connection.connection_id;
                let set = |topic: &N::Topic| {
                    (topic.clone(), TopicCommand::SetDirect(peer.clone(), connection_id, direct))
                };
                self.outbox.commands.extend(in_both(&connection.topics, &self.active).map(set));
                // Only peers that are not direct are graylisted.
                self.scores.publish_again(peer);
            }
            None if direct && may_dial => {
                let connect = P2pOutput::Connect { peer: peer.clone(), origin: Origin::Direct, record: None };
                self.outbox.p2p.push(connect.into());
            }
            _ => {}
        }
    }

    /// The peers that the application made direct peers, without trusted ones, which are dialled anyway.
    pub(super) fn kept_direct(&self) -> impl Iterator<Item = &N::Peer> {
        let direct = self.direct.iter().filter(|(peer, direct)| {
            **direct && !self.trusted.contains(*peer) && self.self_peer() != Some(*peer)
        });
        direct.map(|(peer, _)| peer)
    }

    /// Asks the p2p layer to disconnect a peer and to refuse its connections for a time.
    pub(crate) fn block(&mut self, peer: N::Peer, duration: Duration) {
        self.outbox.p2p.push(P2pOutput::Kick { peer, duration }.into());
    }

    /// Asks the p2p layer to admit a peer again.
    pub(crate) fn unblock(&mut self, peer: N::Peer) {
        self.outbox.p2p.push(P2pOutput::Unblock { peer }.into());
    }
}

/// The topics of both sets. A peer may be subscribed to many topics that are passive here, and a node may have joined many
/// others.
pub(super) fn in_both<'a, T: Ord>(
    topics: &'a BTreeSet<T>,
    others: &'a BTreeSet<T>,
) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let [few, many] = if topics.len() < others.len() { [topics, others] } else { [others, topics] };
    few.iter().filter(|topic| many.contains(*topic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::totals::Totals,
        limits::LimitsConfig,
        network::{ConnectionInfo, PeerKind, hooks::Hooks},
        plain::PlainNetwork,
        protocol::{connection::ConnectionId, exchange::event::TopicEvent, options::NodeOptions},
        timestamp::Timestamp,
    };

    /// A topic on another thread may handle a SUBSCRIBE before a peer becomes direct, and report it after that.
    #[test]
    fn a_topic_whose_subscription_is_reported_after_the_change_is_informed_too() {
        let limits = Arc::new(Limits::try_from(LimitsConfig::default()).unwrap());
        let network = Hooks::new(Arc::new(PlainNetwork::new()), |_| {});
        let (totals, options) = (Totals::new(&limits.bounds), NodeOptions::default());
        let mut peers = Peers::new(network, limits, totals, &options);
        let (id, topic) = (ConnectionId::new(1, &ConnectionInfo::inbound()), "a".to_owned());
        peers.connect(&1, id, PeerKind::default());
        for direct in [true, false] {
            peers.set_direct(&1, direct);
            assert!(peers.drain().commands.is_empty(), "the subscription is not known yet");
            peers.apply_event(&topic, TopicEvent::Subscribed(1, id), Timestamp::ZERO);
            let commands = peers.drain().commands;
            let [(to, TopicCommand::SetDirect(1, connection, value))] = &commands[..] else {
                panic!("{commands:?}")
            };
            assert_eq!((to, *connection, *value), (&topic, id, direct));
        }
    }
}
