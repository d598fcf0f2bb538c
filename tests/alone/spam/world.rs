//! A [`World`]: the pure node, for what needs no engine to be seen.

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use actix_gossipsub::{
    ConnectionInfo, FullMessage, Limits, LimitsConfig,
    protocol::{Node, NodeOptions, ReceiveOutcome, Timestamp, ValidationMode},
};

use super::support::{Field, Id, alone};

/// A node whose clock stands still but for heartbeats.
pub struct World {
    pub node: Node<Field>,
    pub limits: Limits<u64>,
    pub now: Timestamp,
    validation_mode: ValidationMode,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// A node with the specification's limits, but for some changes.
    pub fn new(change: impl FnOnce(&mut LimitsConfig<u64>)) -> Self {
        Self::with(Field::default(), None, change)
    }

    pub fn with(
        field: Field,
        batch_interval: Option<Duration>,
        change: impl FnOnce(&mut LimitsConfig<u64>),
    ) -> Self {
        let mut limits = LimitsConfig::default();
        change(&mut limits);
        let limits = Limits::try_from(limits).expect("valid limits");
        let options = NodeOptions::default().with(|o| {
            o.seed = 1;
            o.batch_interval = batch_interval;
        });
        let validation_mode = batch_interval.map_or(ValidationMode::Sequential, |_| ValidationMode::Batched);
        Self {
            node: Node::new(Arc::new(field), limits.clone(), options),
            limits,
            now: Timestamp::ZERO,
            validation_mode,
            _alone: alone(),
        }
    }

    /// A connection that we dialled: it may enter a full mesh.
    pub fn connect(&mut self, peer: u64) {
        self.node.add_peer(&peer, &ConnectionInfo::outbound(), self.now);
    }

    pub fn join(&mut self, topic: u64) {
        self.node.join(&topic, self.now);
    }

    /// So many heartbeats pass.
    pub fn pass(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now = self.now.after(self.limits.heartbeat_interval);
            self.node.heartbeat(self.now);
        }
    }

    /// A peer sends a message; a batch is judged as soon as it is due.
    pub fn receive(
        &mut self,
        peer: u64,
        topic: u64,
        message_id: Id,
        content: &[u8],
    ) -> ReceiveOutcome<Field> {
        let message = FullMessage { topic, message_id, message: content.to_vec() };
        self.node.receive_message(&peer, Arc::new(message), self.validation_mode, self.now)
    }
}
