//! The outputs of the engine become queued items, dials, and closed and blocked connections.

use std::{borrow::Cow, task::Waker, time::Instant};

use ::libp2p::{
    Multiaddr, PeerId,
    swarm::{CloseConnection, ToSwarm},
};

use super::{
    behaviour::Behaviour,
    config::SlowPeerAction,
    event::{Event, Slowness},
};
use crate::{
    libp2p::{
        codec::limits::MAX_RECORD_BYTES_OUT,
        connection::{
            delivery_report::DeliveryReports,
            lanes::{Item, Offer},
            push::Push,
        },
        network::Libp2pNetwork,
        state::address_book::without_peer,
    },
    network::{P2pMessage, P2pOutput},
    protocol::{Lane, OutputBatch},
    worker::DropReason,
};

impl Behaviour {
    /// Carries out an output of the engine. Never blocks. Messages that are not sent are reported by
    /// [`Event::Dropped`]. Poll the swarm between calls, since each may add events.
    pub fn apply(&mut self, output: P2pOutput<Libp2pNetwork>) {
        self.emit(OutputBatch::Output(output));
    }

    /// Carries out an output that comes with its lane; see
    /// [`P2pOutputs::recv_batch`](crate::P2pOutputs::recv_batch). A message to many peers is encoded once.
    /// Delivery reports are made for the lane [`Publish`](Lane::Publish) and for outputs without a lane.
    pub fn emit(&mut self, emission: OutputBatch<Libp2pNetwork>) {
        let lane = emission.lane();
        match emission {
            OutputBatch::Broadcast { to, message, sent_first, .. } => {
                let message = P2pMessage::FullMessage(message);
                self.send(&to, &message, (lane, sent_first), lane == Lane::Publish);
            }
            OutputBatch::Gossip { to, message } => self.send(&to, &message, (lane, false), false),
            OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }) => {
                self.send(&[to_peer], &message, (lane, false), true);
            }
            OutputBatch::Output(output) => self.apply_output(output),
        }
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn apply_output(&mut self, output: P2pOutput<Libp2pNetwork>) {
        match output {
            P2pOutput::Disconnect { peer } => self.close(peer, CloseConnection::All),
            P2pOutput::Kick { peer, duration } => self.block(peer, duration),
            P2pOutput::Unblock { peer } => _ = self.unblock(&peer),
            P2pOutput::Connect { peer, origin, record } => {
                let action = self.dials.dial_peer(peer, &origin, record.as_deref(), Instant::now());
                self.events.extend(action);
            }
            P2pOutput::ConnectPoint { point } if self.is_reached(&point) => {}
            P2pOutput::ConnectPoint { point } => {
                let action = self.dials.dial_point(point);
                self.events.push_back(action);
            }
            // Advertised peers are stored in the address book alone, which evicts them by itself.
            P2pOutput::Forget { .. } | P2pOutput::OutMessage { .. } => {}
        }
    }

    fn send(
        &mut self,
        to: &[PeerId],
        message: &P2pMessage<Libp2pNetwork>,
        (lane, sent_first): (Lane, bool),
        reported: bool,
    ) {
        let message = &*self.with_records(message);
        let encoded = self.encoder.encode(message, lane == Lane::Answer, self.network.limits());
        let listener = self.delivery_listener.as_ref().filter(|_| reported);
        let reports = listener.and_then(|listener| DeliveryReports::new(message, listener));
        let offer = Offer::of(message, self.state.memory());
        for peer in to {
            let mut report = reports.as_ref().map(DeliveryReports::report);
            match &encoded {
                // A full message is a single fragment, so that the report of the first fragment is that of the message.
                Ok(fragments) => fragments.iter().for_each(|fragment| {
                    self.queue(
                        *peer,
                        Item::new(message, fragment, (lane, sent_first), &offer, report.take()),
                    );
                }),
                Err(_) => {
                    self.dropped.add_one(*peer, DropReason::TooLarge, lane);
                    report.into_iter().for_each(|report| report.not_sent(DropReason::TooLarge));
                }
            }
        }
        if let Err(error) = encoded {
            self.add_event(Event::EncodeFailed { error });
        }
    }

    /// Adds to a PRUNE the records that the recommended peers sent of themselves.
    fn with_records<'a>(&self, message: &'a P2pMessage<Libp2pNetwork>) -> Cow<'a, P2pMessage<Libp2pNetwork>> {
        let P2pMessage::Prune { topic, px, backoff } = message else { return Cow::Borrowed(message) };
        if px.is_empty() {
            return Cow::Borrowed(message);
        }
        let most = MAX_RECORD_BYTES_OUT.min(self.network.limits().max_control_bytes_out / 2);
        let px = self.state.records().add_to(px, most);
        Cow::Owned(P2pMessage::Prune { topic: topic.clone(), px, backoff: *backoff })
    }

    fn queue(&mut self, peer: PeerId, item: Item) {
        let lane = item.lane;
        match self.connections.send(&peer, item) {
            Some(push) => self.on_pushed(peer, push),
            // The item's delivery report completes by its drop.
            None => self.dropped.add_one(peer, DropReason::Disconnected, lane),
        }
    }

    pub(super) fn on_pushed(&mut self, peer: PeerId, push: Push) {
        self.dropped.add(peer, DropReason::PeerQueueFull, push.dropped);
        self.dropped.add(peer, DropReason::TransportMemory, push.over_memory);
        self.dropped.add(peer, DropReason::Superseded, push.superseded);
        self.dropped.add(peer, DropReason::Unsupported, push.unsupported);
        if push.overflowed {
            let memory = push.over_memory.of(Lane::Control) > 0;
            self.on_slow_peer(peer, if memory { Slowness::Memory } else { Slowness::Overflow });
        }
    }

    pub(super) fn on_slow_peer(&mut self, peer: PeerId, slowness: Slowness) {
        self.add_event(Event::SlowPeer { peer, slowness });
        if slowness != Slowness::WriteTimeout || self.config.slow_peer == SlowPeerAction::Disconnect {
            self.change(peer, |connections| connections.drop_peer(&peer));
            self.close(peer, CloseConnection::All);
        }
    }

    pub(super) fn close(&mut self, peer_id: PeerId, connection: CloseConnection) {
        self.events.push_back(ToSwarm::CloseConnection { peer_id, connection });
    }

    /// Whether a dial of the address is in progress or led to an open connection. The engine asks for persistent points
    /// again and again, and without this check an address that names no peer would be dialled each time.
    fn is_reached(&self, point: &Multiaddr) -> bool {
        let address = Some(without_peer(point.clone()));
        self.dials.has_point(point) || {
            let book = self.state.addresses();
            self.connections.peers().any(|peer| book.dialled(peer) == address)
        }
    }
}
