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
    network::{BoxFuture, FullMessage, Network, P2pMessage, P2pOutput, Validity, hooks::Hooks},
    timestamp::Timestamp,
};

/// The environment that a topic's state machine is given with each input.
pub(crate) struct Context<'a, N: Network> {
    pub(crate) network: &'a Hooks<N>,
    pub(crate) limits: &'a Limits<N::Topic>,
    pub(crate) peer_view: &'a dyn PeerView<N>,
    pub(crate) now: Timestamp,
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
    pub(crate) message: Arc<FullMessage<N>>,
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

    /// Sends a control message. IHAVE and IWANT to a bootstrap peer are left out.
    pub(crate) fn send(
        &mut self,
        to_peer: N::Peer,
        connection_id: Option<ConnectionId>,
        message: P2pMessage<N>,
    ) {
        let bootstrap = connection_id.is_some_and(ConnectionId::is_bootstrap);
        if bootstrap && matches!(message, P2pMessage::IHave { .. } | P2pMessage::IWant { .. }) {
            return;
        }
        match &message {
            P2pMessage::Graft { .. } => self.stats.count_sent_grafts += 1,
            P2pMessage::Prune { .. } => self.stats.count_sent_prunes += 1,
            P2pMessage::IHave { .. } => self.stats.count_sent_ihaves += 1,
            P2pMessage::IWant { .. } => self.stats.count_sent_iwants += 1,
            _ => {}
        }
        self.p2p.push(P2pOutput::OutMessage { to_peer, message }.into());
    }

    /// Sends an IHAVE to all of `to`, none of which is a bootstrap peer.
    pub(crate) fn gossip(&mut self, to: Vec<ConnectionId>, message: P2pMessage<N>) {
        if !to.is_empty() {
            self.stats.count_sent_ihaves += to.len() as u64;
            self.p2p.push(PendingOutput::Gossip { to, message });
        }
    }

    /// Sends an IDONTWANT of `id` to all of `to`, none of which is a bootstrap peer.
    pub(crate) fn send_idontwant(&mut self, to: Vec<ConnectionId>, id: N::MessageId) {
        if !to.is_empty() {
            let message = P2pMessage::IDontWant { message_ids: vec![id] };
            self.p2p.push(PendingOutput::Gossip { to, message });
        }
    }

    /// Sends a full message of `bytes` bytes to all of `to`, none of which is a bootstrap peer.
    pub(crate) fn broadcast(
        &mut self,
        to: Vec<N::Peer>,
        message: &Arc<FullMessage<N>>,
        bytes: usize,
        lane: Lane,
        charge: &mut Charge,
    ) {
        if !to.is_empty() {
            self.stats.count_sent_app_messages += to.len() as u64;
            let bytes = bytes + size_of_val(&*to) + size_of::<PendingOutput<N>>();
            charge.begin(|| bytes);
            let (message, charge) = (Arc::clone(message), charge.clone());
            self.p2p.push(PendingOutput::Broadcast { to, message, bytes, lane, charge });
        }
    }
}
