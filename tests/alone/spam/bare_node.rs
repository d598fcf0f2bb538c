//! A [`BareNode`] is the pure state machine with its clock, for attacks that can be observed on it alone.

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use actix_gossipsub::{
    ConnectionInfo, FullMessage, Limits, LimitsConfig,
    protocol::{Node, NodeOptions, ReceiveOutcome, Timestamp, ValidationMode},
};

use super::support::{AttackNetwork, Id, without_graylist};
use crate::lock_process;

/// A node whose clock advances at heartbeats only.
pub struct BareNode {
    pub node: Node<AttackNetwork>,
    pub limits: Limits<u64>,
    pub now: Timestamp,
    validation_mode: ValidationMode,
    _alone: MutexGuard<'static, ()>,
}

impl BareNode {
    /// A node with the limits of the specification and some changes.
    pub fn new(change: impl FnOnce(&mut LimitsConfig<u64>)) -> Self {
        Self::with(AttackNetwork::default(), None, change)
    }

    pub fn with(
        network: AttackNetwork,
        batch_interval: Option<Duration>,
        change: impl FnOnce(&mut LimitsConfig<u64>),
    ) -> Self {
        let mut limits = LimitsConfig::default();
        without_graylist(&mut limits);
        change(&mut limits);
        let limits = Limits::try_from(limits).expect("valid limits");
        let options = NodeOptions::default().with(|o| {
            o.seed = 1;
            o.batch_interval = batch_interval;
        });
        let validation_mode = batch_interval.map_or(ValidationMode::Sequential, |_| ValidationMode::Batched);
        Self {
            node: Node::new(Arc::new(network), limits.clone(), options),
            limits,
            now: Timestamp::ZERO,
            validation_mode,
            _alone: lock_process(),
        }
    }

    /// Adds an outbound connection, which may enter a full mesh.
    pub fn connect(&mut self, peer: u64) {
        self.node.add_peer(&peer, &ConnectionInfo::outbound(), self.now);
    }

    pub fn join(&mut self, topic: u64) {
        self.node.join(&topic, self.now);
    }

    /// Runs this many heartbeats.
    pub fn pass_heartbeats(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now = self.now.after(self.limits.heartbeat_interval);
            self.node.heartbeat(self.now);
        }
    }

    /// A peer sends a message.
    pub fn receive(
        &mut self,
        peer: u64,
        topic: u64,
        message_id: Id,
        content: &[u8],
    ) -> ReceiveOutcome<AttackNetwork> {
        let message = FullMessage { topic, message_id, message: content.to_vec() };
        self.node.receive_message(&peer, Arc::new(message), self.validation_mode, self.now)
    }
}
