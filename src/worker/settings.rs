//! Changes by the application while the engine runs: limits, direct peers, and peers that the transport refuses.

use std::time::Duration;

use super::Worker;
use crate::{
    actors::{
        fault::EngineStopped,
        supervisor::messages::{SetBlocked, SetDirect, SetLimits, SupervisorItem},
    },
    input_recorder::RecordedInput,
    limits::{InvalidLimits, Limits, RuntimeLimits, ScoreLimits, TopicParameters, TopicScoreLimits},
    network::Network,
};

/// Why a change of the limits is refused. The limits stay as they are then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefused {
    /// New values violate the rules of the limits.
    #[error(transparent)]
    Invalid(#[from] InvalidLimits),
    /// The engine has ended.
    #[error(transparent)]
    Stopped(#[from] EngineStopped),
}

// === Limits ===

impl<N: Network> Worker<N> {
    /// Changes limits, all at once: `change` gets those that [can change](RuntimeLimits), with their values in force, and
    /// concurrent changes are made one after the other. Thresholds apply to the inputs that are handled from now on. The
    /// counters of the score stay as they are, and every score follows from them anew. Meshes adapt to new degrees at the next
    /// heartbeat.
    ///
    /// The time is in proportion to the numbers of peers and topics: make several changes by one call.
    ///
    /// # Errors
    /// New values violate a rule: the error names field, value and rule. Or the engine has ended.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, Started, Worker, plain::PlainNetwork};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
    /// worker.change_limits(|limits| limits.gossip_threshold = -50.0)?;
    /// assert_eq!(worker.limits().gossip_threshold, -50.0);
    /// let refused = worker.change_limits(|limits| limits.degree_low = 100).unwrap_err();
    /// assert!(refused.to_string().contains("degree_low = 100: must be at most degree_optimal (6)"));
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn change_limits(
        &self,
        change: impl FnOnce(&mut RuntimeLimits<N::Topic>),
    ) -> Result<(), ChangeRefused> {
        if self.shared.is_closing() {
            return Err(EngineStopped.into());
        }
        let changed = |limits: &Limits<N::Topic>| limits.with_runtime(limits.runtime().with(change));
        self.shared.limits.change(changed, |limits| {
            if self.shared.input_recorder.is_some() {
                self.shared.record(RecordedInput::SetLimits(&limits.runtime()));
            }
            self.send(SupervisorItem::message(SetLimits(limits)));
        })?;
        Ok(())
    }

    /// Replaces the parameters of the score, all at once. See [`change_limits`](Self::change_limits), which also changes the
    /// thresholds.
    ///
    /// # Errors
    /// As [`change_limits`](Self::change_limits).
    pub fn set_score_limits(&self, score: ScoreLimits<N::Topic>) -> Result<(), ChangeRefused> {
        self.change_limits(|limits| limits.score = score)
    }

    /// Sets the score parameters and the weight of one topic. Those of all other topics stay. See
    /// [`change_limits`](Self::change_limits).
    ///
    /// # Errors
    /// As [`change_limits`](Self::change_limits).
    pub fn set_topic_score(
        &self,
        topic: N::Topic,
        parameters: TopicScoreLimits,
        weight: f64,
    ) -> Result<(), ChangeRefused> {
        self.change_limits(|limits| limits.set_topic_score(topic, parameters, weight))
    }

    /// The score parameters in force for a topic, and its weight.
    pub fn topic_score(&self, topic: &N::Topic) -> (TopicScoreLimits, f64) {
        let limits = self.shared.limits.load();
        let (parameters, weight) =
            limits.score.topics.by_name(topic, || self.shared.network.topic_name(topic));
        (parameters.clone(), weight)
    }

    /// The parameters in force for a topic, with what [differs](crate::limits::TopicLimits) for it.
    pub fn topic_parameters(&self, topic: &N::Topic) -> TopicParameters {
        self.shared.limits.load().of_topic(topic, || self.shared.network.topic_name(topic))
    }
}

// === Peers ===

impl<N: Network> Worker<N> {
    /// Decides whether `peer` is a direct peer (v1.1 "explicit peering agreements"), for its connection and for all later ones,
    /// whatever the p2p layer reports of them ([`PeerKind::direct`](crate::PeerKind::direct)). Every message is forwarded to a
    /// direct peer; it is in no mesh, and neither graylisted nor disconnected because of its score. If it is in a mesh, it
    /// leaves it with a PRUNE.
    ///
    /// A peer that is made direct is dialled, now if it is not connected, and again whenever it is lost
    /// ([`Origin::Direct`](crate::Origin::Direct)). The engine remembers the decision until it ends.
    ///
    /// # Errors
    /// The engine has ended.
    pub fn set_direct(&self, peer: &N::Peer, direct: bool) -> Result<(), EngineStopped> {
        self.check_running()?;
        self.shared.record(RecordedInput::SetDirect { peer, direct });
        let item = SupervisorItem::message(SetDirect { peer: peer.clone(), direct });
        self.shared.directory.set_direct(peer, direct, || self.send(item));
        Ok(())
    }

    /// The peers of which the application [decided](Self::set_direct) that they are direct peers, ascending.
    pub fn direct_peers(&self) -> Vec<N::Peer> {
        self.shared.directory.direct_peers()
    }

    /// Whether the application [decided](Self::set_direct) that a peer is a direct peer.
    pub fn is_direct(&self, peer: &N::Peer) -> bool {
        self.shared.directory.is_direct(peer)
    }

    /// Asks the p2p layer to close the connections of `peer` and to refuse new ones for `duration`
    /// ([`P2pOutput::Kick`](crate::P2pOutput::Kick)). A block that lasts longer stays.
    ///
    /// # Errors
    /// The engine has ended.
    pub fn block(&self, peer: &N::Peer, duration: Duration) -> Result<(), EngineStopped> {
        self.check_running()?;
        self.shared.record(RecordedInput::Block { peer, duration });
        self.set_blocked(peer, Some(duration));
        Ok(())
    }

    /// Asks the p2p layer to admit `peer` again ([`P2pOutput::Unblock`](crate::P2pOutput::Unblock)).
    ///
    /// # Errors
    /// The engine has ended.
    pub fn unblock(&self, peer: &N::Peer) -> Result<(), EngineStopped> {
        self.check_running()?;
        self.shared.record(RecordedInput::Unblock(peer));
        self.set_blocked(peer, None);
        Ok(())
    }

    fn set_blocked(&self, peer: &N::Peer, duration: Option<Duration>) {
        self.send(SupervisorItem::message(SetBlocked { peer: peer.clone(), duration }));
    }

    fn check_running(&self) -> Result<(), EngineStopped> {
        if self.shared.is_closing() { Err(EngineStopped) } else { Ok(()) }
    }
}
