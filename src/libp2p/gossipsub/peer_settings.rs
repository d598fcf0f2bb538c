//! Settings of the application for peers, their subscriptions and scores.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ::libp2p::PeerId;

use super::{
    behaviour::{Behaviour, State},
    error::ScoreError,
    score::{self, PeerScoreParams, PeerScoreThresholds, SetScore, TopicScoreParams},
    topic::{Hasher, Topic},
};
use crate::{
    libp2p::network::SubscriptionFilter,
    limits::Limits,
    network::AppInput,
    worker::{ChangeRefused, EngineStopped},
};

// === Peers ===

impl Behaviour {
    /// Makes a peer an explicit one: every message is forwarded to it, it is in no mesh, and it is dialled, now and whenever
    /// it is lost.
    ///
    /// # Errors
    /// The engine has ended.
    pub fn add_explicit_peer(&mut self, peer: &PeerId) -> Result<(), EngineStopped> {
        self.set_direct(peer, true)
    }

    /// Makes an explicit peer an ordinary one. It stays connected.
    ///
    /// # Errors
    /// The engine has ended.
    pub fn remove_explicit_peer(&mut self, peer: &PeerId) -> Result<(), EngineStopped> {
        self.set_direct(peer, false)
    }

    fn set_direct(&mut self, peer: &PeerId, direct: bool) -> Result<(), EngineStopped> {
        match &mut self.state {
            State::Configured(settings) => drop(settings.explicit.insert(*peer, direct)),
            State::Running(running) => running.worker().set_direct(peer, direct)?,
            State::Ended(_) => return Err(EngineStopped),
        }
        Ok(())
    }

    /// Closes the connections of a peer, refuses new ones, and drops messages of which it is the source, until
    /// [`remove_blacklisted_peer`](Self::remove_blacklisted_peer). Such a message takes no id: another source may publish one
    /// with the same id. Of more than
    /// [`max_blocked`](crate::libp2p::BehaviourConfig::max_blocked) peers one is admitted again.
    pub fn blacklist_peer(&mut self, peer: &PeerId) {
        self.transport.block(*peer, Duration::MAX);
        let blocked: HashSet<_> = self.transport.blocked().copied().collect();
        self.change_blacklist(|peers| {
            peers.insert(*peer);
            peers.retain(|peer| blocked.contains(peer));
        });
    }

    /// Admits a blacklisted peer again.
    pub fn remove_blacklisted_peer(&mut self, peer: &PeerId) {
        self.transport.unblock(peer);
        self.change_blacklist(|peers| {
            peers.remove(peer);
        });
    }

    fn change_blacklist(&self, change: impl FnOnce(&mut HashSet<PeerId>)) {
        let mut peers = HashSet::clone(&self.blacklist.load());
        change(&mut peers);
        self.blacklist.store(Arc::new(peers));
    }
}

// === Subscriptions ===

impl Behaviour {
    /// Replaces the topics that this node and its peers may subscribe to; `None` allows all. Subscriptions that there are stay:
    /// those of this node until [`unsubscribe`](Self::unsubscribe), and those of peers as
    /// [`Libp2pNetwork::set_subscription_filter`](crate::libp2p::Libp2pNetwork::set_subscription_filter) describes it.
    pub fn set_subscription_filter(&mut self, filter: Option<SubscriptionFilter>) {
        self.network().set_subscription_filter(filter);
    }
}

// === Scores ===

impl Behaviour {
    /// Turns the peer score on. Call it before the swarm is polled and before the first publication. Replaces a score of
    /// [`limits`](super::ConfigBuilder::limits).
    ///
    /// # Errors
    /// The parameters violate rules, the score was set before, or the engine runs.
    pub fn with_peer_score(
        &mut self,
        parameters: PeerScoreParams,
        thresholds: PeerScoreThresholds,
    ) -> Result<(), ScoreError> {
        if self.score.decay_interval.is_some() {
            return Err(ScoreError::AlreadySet);
        }
        let State::Configured(settings) = &mut self.state else { return Err(ScoreError::Running) };
        let mut limits = settings.config.limits.clone();
        score::apply(&mut limits, &parameters, &thresholds);
        Limits::try_from(limits.clone())?;
        settings.config.limits = limits;
        self.score = SetScore { decay_interval: Some(parameters.decay_interval), topics: parameters.topics };
        Ok(())
    }

    /// Sets the score parameters of a topic. A running engine keeps the counters of peers. Without
    /// [`with_peer_score`](Self::with_peer_score) counters decay by these factors every
    /// [`score_cleanup_ticks`](crate::LimitsConfig::score_cleanup_ticks) heartbeats, as by those of
    /// [`limits`](super::ConfigBuilder::limits).
    ///
    /// # Errors
    /// The parameters violate rules, there is no score, or the engine has ended.
    pub fn set_topic_params<H: Hasher>(
        &mut self,
        topic: Topic<H>,
        parameters: TopicScoreParams,
    ) -> Result<(), ScoreError> {
        let topic = topic.hash();
        if !self.has_score() {
            return Err(ScoreError::NotSet);
        }
        let exponent = self
            .score
            .decay_interval
            .map_or(1.0, |interval| score::decay_exponent(interval, self.heartbeat_interval));
        let (limits, weight) = (parameters.to_limits(exponent), parameters.topic_weight);
        match &mut self.state {
            State::Configured(settings) => {
                let current = Limits::try_from(settings.config.limits.clone())?;
                let change = current.runtime().with(|it| it.set_topic_score(topic.clone(), limits, weight));
                settings.config.limits = current.with_runtime(change)?.into_config();
            }
            State::Running(running) => running.worker().set_topic_score(topic.clone(), limits, weight)?,
            State::Ended(_) => return Err(ChangeRefused::from(EngineStopped).into()),
        }
        self.score.topics.insert(topic, parameters);
        Ok(())
    }

    /// The score parameters of a topic, if it has some of [`with_peer_score`](Self::with_peer_score) or
    /// [`set_topic_params`](Self::set_topic_params). Those in force, also of [`limits`](super::ConfigBuilder::limits):
    /// [`Worker::topic_score`](crate::Worker::topic_score).
    pub fn get_topic_params<H: Hasher>(&self, topic: &Topic<H>) -> Option<&TopicScoreParams> {
        self.score.topics.get(&topic.hash())
    }

    /// Sets the application's part (P5) of the score of a peer. Returns false without a score, and for a peer that is neither
    /// connected nor remembered.
    pub fn set_application_score(&mut self, peer: &PeerId, score: f64) -> bool {
        let known = self.peers.is_connected(peer) || self.peer_score(peer).is_some();
        let Some(worker) = self.worker.get().filter(|_| known && self.has_score()) else { return false };
        worker.app_input(AppInput::SetApplicationScore { peer: *peer, score }).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::gossipsub::{ConfigBuilder, MessageAuthenticity, ValidationMode};

    #[test]
    fn blacklisted_sources_are_bounded_as_blocked_peers_are() {
        let mut config = ConfigBuilder::default();
        config.validation_mode(ValidationMode::Anonymous).transport(|transport| transport.max_blocked = 2);
        let mut gossipsub = Behaviour::new(MessageAuthenticity::Anonymous, config.build().unwrap()).unwrap();
        let peers = [(); 10].map(|()| PeerId::random());
        peers.iter().for_each(|peer| gossipsub.blacklist_peer(peer));
        let blocked: HashSet<_> = gossipsub.transport.blocked().copied().collect();
        assert_eq!(**gossipsub.blacklist.load(), blocked);
        assert_eq!(blocked.len(), 2);
        peers.iter().for_each(|peer| gossipsub.remove_blacklisted_peer(peer));
        assert!(gossipsub.blacklist.load().is_empty());
    }
}
