//! The engine, as the transport needs it, and how a [`Worker`] is one. It adds nothing to either.

use std::{fmt, future, sync::Arc};

use ::libp2p::{Multiaddr, PeerId};
use futures::future::BoxFuture;

use super::{Libp2pNetwork, MessageId, Reports, TopicName};
use crate::{
    network::P2pInput,
    protocol::Lane,
    worker::{DropReason, Refused, Worker},
};

/// The engine, as the transport needs it. No call may block.
pub trait Engine {
    /// Why an input is refused.
    type Refused: fmt::Debug;

    /// Takes what the network says.
    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), Self::Refused>;

    /// Learns that a point it asked for can't be reached.
    fn set_unreachable_point(&self, point: Multiaddr);

    /// Whether there was no room and may be some later. Then the input is kept, and its peer is not read,
    /// until the engine takes it; otherwise it is lost.
    fn is_for_now(&self, refused: &Self::Refused) -> bool {
        let _ = refused;
        false
    }

    /// Waits until an input of `peer` may be taken. Too early an answer costs another try.
    fn p2p_input_ready(&self, peer: PeerId) -> BoxFuture<'static, ()> {
        let _ = peer;
        Box::pin(future::ready(()))
    }

    /// A peer reads too slowly. Told once, until it reads again; it may be disconnected next.
    fn report_slow_peer(&self, peer: &PeerId) {
        let _ = peer;
    }

    /// So many outputs of a lane were not sent.
    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        let _ = (lane, reason, count);
    }

    /// Who wants to hear what becomes of messages, if anybody.
    fn reports(&self) -> Option<Arc<dyn Reports>> {
        None
    }
}

impl Engine for Worker<Libp2pNetwork> {
    type Refused = Refused;

    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), Refused> {
        Self::p2p_input(self, input)
    }

    fn set_unreachable_point(&self, point: Multiaddr) {
        Self::set_unreachable_point(self, point);
    }

    fn is_for_now(&self, refused: &Refused) -> bool {
        *refused != Refused::Stopped
    }

    fn p2p_input_ready(&self, peer: PeerId) -> BoxFuture<'static, ()> {
        let worker = self.clone();
        Box::pin(async move { Self::p2p_input_ready(&worker, &peer).await })
    }

    fn report_slow_peer(&self, peer: &PeerId) {
        Self::report_slow_peer(self, peer);
    }

    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        Self::report_dropped(self, lane, reason, count);
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        Some(Arc::new(self.clone()))
    }
}

impl Reports for Worker<Libp2pNetwork> {
    fn wants_reports(&self, topic: &TopicName, id: &MessageId) -> bool {
        self.has_publish_listener(topic, id)
    }

    fn report_sent(&self, topic: &TopicName, id: &MessageId) {
        Self::report_sent(self, topic, id);
    }

    fn report_not_sent(&self, topic: &TopicName, id: &MessageId, reason: DropReason) {
        Self::report_not_sent(self, topic, id, reason);
    }
}
