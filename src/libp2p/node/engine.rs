//! The engine as the driver sees it: the traits for its inputs and its outputs, and their implementations by a
//! [`Worker`] and its streams.

use std::{
    fmt,
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::libp2p::{Multiaddr, PeerId};
use futures::{Stream, StreamExt, future::BoxFuture};

use crate::{
    libp2p::{
        connection::{delivery_report::DeliveryListener, graylist::Graylist},
        ids::{MessageId, TopicName},
        limits::behaviour::{DirectSource, ScoreSource},
        network::Libp2pNetwork,
    },
    network::{P2pInput, P2pOutput},
    protocol::{Lane, OutputBatch},
    worker::{DropReason, P2pOutputs, Refused, Worker},
};

/// An input that an engine refused, given back.
#[derive(Debug)]
pub struct RefusedInput<R> {
    /// Why the engine refused the input.
    pub reason: R,
    /// The input.
    pub input: Box<P2pInput<Libp2pNetwork>>,
}

impl<R> RefusedInput<R> {
    /// An input that is refused for this reason.
    pub fn new(reason: R, input: P2pInput<Libp2pNetwork>) -> Self {
        Self { reason, input: Box::new(input) }
    }
}

/// An engine, as a [`NodeDriver`](crate::libp2p::NodeDriver) uses it. [`Worker`] is one. No method may block.
pub trait Engine {
    /// Why an input is refused.
    type Refused: fmt::Debug;

    /// Takes an input from the network.
    ///
    /// # Errors
    /// The engine does not take the input and gives it back. See [`is_temporary`](Self::is_temporary).
    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), RefusedInput<Self::Refused>>;

    /// An address that the engine asked to dial can't be reached.
    fn set_unreachable_point(&self, point: Multiaddr);

    /// Whether the engine has no room now but may have some later. The driver then keeps the input, and does not read
    /// the peer, until the engine takes it. Otherwise the input is lost. By default `false`.
    fn is_temporary(&self, refused: &Self::Refused) -> bool {
        let _ = refused;
        false
    }

    /// Waits until the engine may take this input. The driver tries again when this completes; completing too
    /// early costs one more attempt. By default it completes at once.
    fn p2p_input_ready(&self, input: &P2pInput<Libp2pNetwork>) -> BoxFuture<'static, ()> {
        let _ = input;
        Box::pin(future::ready(()))
    }

    /// A peer reads too slowly. Called once, until the peer reads again. The peer may be disconnected next.
    fn report_slow_peer(&self, peer: &PeerId) {
        let _ = peer;
    }

    /// A peer sent bytes that are no RPC.
    fn report_protocol_violation(&self, peer: &PeerId) {
        let _ = peer;
    }

    /// `count` outputs of `lane` were not sent for this reason.
    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        let _ = (lane, reason, count);
    }

    /// The graylist, if the engine has one: RPCs of graylisted peers are dropped before they are decoded. Called once, when
    /// the driver is created.
    fn graylist(&self) -> Option<Arc<dyn Graylist>> {
        None
    }

    /// The receiver of delivery reports, if the engine wants them. Called once, when the driver is created.
    fn delivery_listener(&self) -> Option<Arc<dyn DeliveryListener>> {
        None
    }

    /// A peer is a direct peer by the configuration. Called for each when the driver is created. The engine asks for
    /// connections to it ([`Origin::Direct`](crate::Origin::Direct)).
    fn add_direct(&self, peer: &PeerId) {
        let _ = peer;
    }

    /// Which peers are direct peers, if the engine decides on that: the connection limits admit them in any case. By default
    /// those of the configuration are. Called once, when the driver is created.
    fn direct(&self) -> Option<Arc<DirectSource>> {
        None
    }

    /// The scores of peers, if the engine has some: when the node has no room for a connection, they decide which one
    /// closes. Called once, when the driver is created.
    fn scores(&self) -> Option<Arc<ScoreSource>> {
        None
    }
}

impl Engine for Worker<Libp2pNetwork> {
    type Refused = Refused;

    fn p2p_input(&self, input: P2pInput<Libp2pNetwork>) -> Result<(), RefusedInput<Refused>> {
        self.try_p2p_input(input).map_err(|(reason, input)| RefusedInput::new(reason, input))
    }

    fn set_unreachable_point(&self, point: Multiaddr) {
        Self::set_unreachable_point(self, point);
    }

    fn is_temporary(&self, refused: &Refused) -> bool {
        Refused::is_temporary(*refused)
    }

    fn p2p_input_ready(&self, input: &P2pInput<Libp2pNetwork>) -> BoxFuture<'static, ()> {
        Box::pin(Self::p2p_input_ready(self, input))
    }

    fn report_slow_peer(&self, peer: &PeerId) {
        Self::report_slow_peer(self, peer);
    }

    fn report_protocol_violation(&self, peer: &PeerId) {
        Self::report_protocol_violation(self, peer);
    }

    fn graylist(&self) -> Option<Arc<dyn Graylist>> {
        Some(Arc::new(self.clone()))
    }

    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        Self::report_dropped(self, lane, reason, count);
    }

    fn delivery_listener(&self) -> Option<Arc<dyn DeliveryListener>> {
        Some(Arc::new(self.clone()))
    }

    fn add_direct(&self, peer: &PeerId) {
        // An engine that has ended has no peers.
        let _ = self.set_direct(peer, true);
    }

    fn direct(&self) -> Option<Arc<DirectSource>> {
        let worker = self.clone();
        Some(Arc::new(move |peer| worker.is_direct(peer)))
    }

    fn scores(&self) -> Option<Arc<ScoreSource>> {
        let worker = self.clone();
        Some(Arc::new(move |peer| worker.score(peer)))
    }
}

impl Graylist for Worker<Libp2pNetwork> {
    fn is_graylisted(&self, peer: &PeerId) -> bool {
        Self::is_graylisted(self, peer)
    }
}

impl DeliveryListener for Worker<Libp2pNetwork> {
    fn has_publish_listener(&self, topic: &TopicName, id: &MessageId) -> bool {
        self.has_publish_listener(topic, id)
    }

    fn report_sent(&self, topic: &TopicName, id: &MessageId) {
        Self::report_sent(self, topic, id);
    }

    fn report_not_sent(&self, topic: &TopicName, id: &MessageId, reason: DropReason) {
        Self::report_not_sent(self, topic, id, reason);
    }

    fn report_missed(&self, peer: &PeerId, topic: &TopicName, ids: &[MessageId]) {
        Self::report_missed(self, peer, topic, ids);
    }

    fn report_room(&self, peer: &PeerId, messages: usize) {
        Self::report_room(self, peer, messages);
    }
}

/// A source of outputs for a [`NodeDriver`](crate::libp2p::NodeDriver).
///
/// A worker's [`P2pOutputs`] is one, with lanes and with one batch for all recipients of a message. A wrapper around it
/// keeps both by implementing this trait. Any stream of [`P2pOutput`]s is one as [`OutputStream`]; its messages have
/// the lane that [`OutputBatch::lane`] derives from their kind.
pub trait OutputSource {
    /// Polls for the next outputs; `None` once the engine has ended.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>>;
}

impl OutputSource for P2pOutputs<Libp2pNetwork> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>> {
        // The future has no state between two polls: a new one continues where the last one stopped.
        pin!(self.recv_batch()).poll(cx)
    }
}

/// Makes an [`OutputSource`] of a stream of single outputs.
#[derive(Debug)]
pub struct OutputStream<S>(pub S);

impl<S: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin> OutputSource for OutputStream<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>> {
        self.0.poll_next_unpin(cx).map(|output| output.map(OutputBatch::Output))
    }
}
