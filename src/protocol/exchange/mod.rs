//! The messages between topics and the peers' side: events of topics, commands to topics, and the view of peers that a
//! topic gets. The outbox collects the effects of one input.

pub(crate) mod command;
pub(crate) mod event;
pub(crate) mod peer_view;

use std::{fmt, sync::Arc};

use derive_where::derive_where;

use self::{event::TopicEvent, peer_view::PeerView};
use super::{
    connection::ConnectionId,
    inspect::stats::Stats,
    outcome::counters::InputCounters,
    output::{
        Lane,
        pending::{PendingDelivery, PendingOutput},
    },
};
use crate::{
    admission::charge::Charge,
    limits::Limits,
    network::{BoxFuture, FullMessage, Network, P2pMessage, Validity, hooks::Hooks},
    timestamp::Timestamp,
};

/// The environment that a topic's state machine is given with each input.
pub(crate) struct Context<'a, N: Network> {
    pub(crate) network: &'a Hooks<N>,
    pub(crate) limits: &'a Limits<N::Topic>,
    pub(crate) peer_view: &'a dyn PeerView<N>,
    /// The id of this node, if it is known.
    pub(crate) self_peer: Option<&'a N::Peer>,
    pub(crate) now: Timestamp,
    /// The time by which messages expire: that of the engine, also where `now` is that of a message that arrived earlier.
    pub(crate) present: Timestamp,
}

impl<N: Network> Context<'_, N> {
    /// When a message expires; the largest timestamp if it does not.
    #[inline]
    pub(crate) fn expiry(&self, message: &FullMessage<N>) -> Timestamp {
        self.network.expires_at(message, self.present).unwrap_or(Timestamp::MAX)
    }

    /// Whether the time of a message is over.
    #[inline]
    pub(crate) fn has_expired(&self, message: &FullMessage<N>) -> bool {
        self.expiry(message) <= self.present
    }
}

/// The effects of the inputs that a topic has handled.
#[derive_where(Debug, Default)]
pub(crate) struct Outbox<N: Network> {
    pub(crate) p2p: Vec<PendingOutput<N>>,
    pub(crate) app: Vec<PendingDelivery<N>>,
    pub(crate) events: Vec<TopicEvent<N>>,
    pub(crate) stats: Stats,
    pub(crate) counters: InputCounters,
    /// Asynchronous validations to wait for. Each result goes back to the topic.
    pub(crate) pending_validations: Vec<Validation<N>>,
    /// Ids that entered (`true`) or left (`false`) the message history, for networks whose ids do not name a topic.
    pub(crate) history_changes: Vec<(N::MessageId, bool)>,
}

/// A message and the future of its validation.
pub(crate) struct Validation<N: Network> {
    /// The peer that delivered the message first.
    pub(crate) sender: N::Peer,
    pub(crate) message: Arc<FullMessage<N>>,
    /// The size of the message.
    pub(crate) bytes: usize,
    pub(crate) verdict: BoxFuture<Validity>,
}

impl<N: Network> fmt::Debug for Validation<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validation").field(&self.message).finish()
    }
}

impl<N: Network> Outbox<N> {
    /// Whether there is nothing to send or report, counters aside.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { p2p, app, events, pending_validations, history_changes, stats: _, counters: _ } = self;
        p2p.is_empty()
            && app.is_empty()
            && events.is_empty()
            && pending_validations.is_empty()
            && history_changes.is_empty()
    }

    /// Sends a control message to the peer of a connection. IHAVE and IWANT to a bootstrap peer are left out, and everything
    /// to one that speaks floodsub.
    pub(crate) fn send(&mut self, to: ConnectionId, message: P2pMessage<N>) {
        let is_gossip = matches!(message, P2pMessage::IHave { .. } | P2pMessage::IWant { .. });
        if to.is_floodsub() || (is_gossip && !to.takes_gossip()) {
            return;
        }
        self.count_sent(&message);
        self.p2p.push(PendingOutput::Message { to, message });
    }

    /// Answers a peer. If it has no connection, the answer is sent as in the reference, but not over a later connection.
    pub(crate) fn answer(
        &mut self,
        peer: &N::Peer,
        connection_id: Option<ConnectionId>,
        message: P2pMessage<N>,
    ) {
        match connection_id {
            Some(connection_id) => self.send(connection_id, message),
            None => {
                self.count_sent(&message);
                self.p2p.push(PendingOutput::ToUnconnected { to: peer.clone(), message });
            }
        }
    }

    fn count_sent(&mut self, message: &P2pMessage<N>) {
        match message {
            P2pMessage::Graft { .. } => self.stats.count_sent_grafts += 1,
            P2pMessage::Prune { .. } => self.stats.count_sent_prunes += 1,
            P2pMessage::IHave { .. } => self.stats.count_sent_ihaves += 1,
            P2pMessage::IWant { .. } => self.stats.count_sent_iwants += 1,
            _ => {}
        }
    }

    /// Announces to all peers that a topic was joined or left.
    pub(crate) fn announce(&mut self, topic: N::Topic, joined: bool) {
        self.p2p.push(PendingOutput::Announcement { topic, joined });
    }

    /// Sends an IHAVE to all of `to`, all of which take gossip.
    pub(crate) fn gossip(&mut self, to: Vec<ConnectionId>, message: P2pMessage<N>) {
        if !to.is_empty() {
            self.stats.count_sent_ihaves += to.len() as u64;
            self.p2p.push(PendingOutput::Gossip { to, message });
        }
    }

    /// Sends an IDONTWANT of `id` to all of `to`, all of which take gossip.
    pub(crate) fn send_idontwant(&mut self, to: Vec<ConnectionId>, id: N::MessageId) {
        if !to.is_empty() {
            let message = P2pMessage::IDontWant { message_ids: vec![id] };
            self.p2p.push(PendingOutput::Gossip { to, message });
        }
    }

    /// Sends a full message of `bytes` bytes to all of `to`, none of which is a bootstrap peer. `sent_first`: before the
    /// messages of other topics in its lane.
    #[inline]
    pub(crate) fn broadcast(
        &mut self,
        to: Vec<N::Peer>,
        message: &Arc<FullMessage<N>>,
        bytes: usize,
        (lane, sent_first): (Lane, bool),
        charge: &mut Charge,
    ) {
        if !to.is_empty() {
            self.stats.count_sent_app_messages += to.len() as u64;
            let bytes = bytes + size_of_val(&*to) + size_of::<PendingOutput<N>>();
            charge.begin(|| bytes);
            let (message, charge) = (Arc::clone(message), charge.clone());
            self.p2p.push(PendingOutput::Broadcast { to, message, bytes, lane, sent_first, charge });
        }
    }
}
