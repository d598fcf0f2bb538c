//! IDONTWANT (v1.2): asks mesh peers not to send a large message that this node has received, and leaves out recipients
//! that sent an IDONTWANT. Small messages cost less than an IDONTWANT, and none is sent for them.

use std::collections::HashSet;

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::TopicState;
use crate::{
    network::{FullMessage, Network},
    protocol::{
        exchange::{Context, Outbox},
        outcome::counters::InputCounters,
    },
};

/// The ids for which this topic has sent IDONTWANT in this heartbeat. A message can be received several times before
/// its id is marked as seen.
#[derive_where(Debug, Default)]
pub(super) struct SentIDontWant<N: Network>(HashSet<N::MessageId, RandomState>);

impl<N: Network> SentIDontWant<N> {
    /// Forgets the ids of the last heartbeat.
    pub(super) fn advance(&mut self) {
        if !self.0.is_empty() {
            self.0 = HashSet::default();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether a message is large enough for an IDONTWANT. `size` is the topic's `idontwant_message_size`.
#[inline]
fn is_large<N: Network>(message: &FullMessage<N>, size: usize, cx: &Context<'_, N>) -> bool {
    size > 0 && cx.network.message_size(&message.message) >= size
}

impl<N: Network> TopicState<N> {
    /// Sends an IDONTWANT of a message to all mesh peers but its sender. It is sent before validation, which may take
    /// long, but only of a message that is going to be validated. One that this node publishes has no sender.
    #[inline]
    pub(super) fn send_idontwant(
        &mut self,
        message: &FullMessage<N>,
        sender: Option<&N::Peer>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        if is_large(message, self.parameters.idontwant_message_size, cx) {
            self.send_idontwant_once(message, sender, cx, outbox);
        }
    }

    fn send_idontwant_once(
        &mut self,
        message: &FullMessage<N>,
        sender: Option<&N::Peer>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let id = &message.message_id;
        let below_limit = self.sent_idontwant.len() < cx.limits.extensions.max_idontwant_per_heartbeat;
        if below_limit && self.sent_idontwant.0.insert(id.clone()) {
            let others = self
                .mesh
                .iter()
                .flatten()
                .filter(|(peer, connection_id)| Some(*peer) != sender && !connection_id.is_bootstrap());
            outbox.send_idontwant(others.map(|(_, connection_id)| *connection_id).collect(), id.clone());
        }
    }
}

/// Whether a peer sent an IDONTWANT for the message. `size` is the topic's `idontwant_message_size`.
pub(super) fn is_declined<N: Network>(
    message: &FullMessage<N>,
    size: usize,
    cx: &Context<'_, N>,
) -> impl Fn(&N::Peer) -> bool {
    let may_be_declined = is_large(message, size, cx) && cx.peer_view.has_idontwant();
    move |peer| may_be_declined && cx.peer_view.received_idontwant(peer, &message.message_id)
}

/// Removes from `recipients` the peers that sent an IDONTWANT for the message. `size` is the topic's
/// `idontwant_message_size`.
#[inline]
pub(super) fn filter_idontwant<N: Network>(
    recipients: &mut Vec<N::Peer>,
    message: &FullMessage<N>,
    size: usize,
    cx: &Context<'_, N>,
    counters: &mut InputCounters,
) {
    if is_large(message, size, cx) && cx.peer_view.has_idontwant() {
        let before = recipients.len();
        recipients.retain(|peer| !cx.peer_view.received_idontwant(peer, &message.message_id));
        if recipients.len() < before {
            counters.suppressed_by_idontwant(before - recipients.len());
        }
    }
}
