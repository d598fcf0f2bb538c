//! The subscribers beyond the mesh or fanout to which an own message is sent: if the mesh is small, or by flood publishing
//! (v1.1).

use std::{collections::BTreeMap, sync::Arc};

use super::{TopicState, idontwant::is_declined};
use crate::{
    network::{FullMessage, Network},
    protocol::{
        connection::ConnectionId,
        exchange::Context,
        rng::{choose, choose_some},
    },
};

impl<N: Network> TopicState<N> {
    /// Chooses further subscribers for an own message of `bytes` bytes: not below the publish threshold, and such as have
    /// neither sent nor declined it. The time follows from the number that is wanted, and not from that of subscribers.
    pub(super) fn further_recipients(
        &mut self,
        message: &Arc<FullMessage<N>>,
        bytes: usize,
        cx: &Context<'_, N>,
    ) -> Vec<N::Peer> {
        let served = self.served().map_or(0, |served| {
            // Bootstrap peers are sent no messages.
            served.values().filter(|connection_id| !connection_id.is_bootstrap()).count()
        });
        let wanted = self.wanted(served, bytes, cx);
        if wanted == 0 {
            return Vec::new();
        }
        // All others are in the mesh or fanout, are direct or speak floodsub.
        let known = served + self.unmeshed_count();
        if self.subscribers.len() <= known {
            return Vec::new();
        }
        let looked_at = known.saturating_add(wanted).saturating_mul(2).saturating_add(8);
        let sample;
        let connection_ids = if looked_at < self.subscribers.len() {
            sample = choose_some(self.subscribers.as_slice(), looked_at, &mut self.rng);
            &sample[..]
        } else {
            self.subscribers.as_slice()
        };
        let has_declined = is_declined(message, self.parameters.idontwant_message_size, cx);
        let fits = |peer: &N::Peer| {
            !self.served().is_some_and(|served| served.contains_key(peer))
                && !self.has_pending_copy_of(message, peer)
                && !has_declined(peer)
        };
        let takes_messages = |connection_id: ConnectionId| !connection_id.is_bootstrap();
        let threshold = cx.limits.publish_threshold;
        let candidates = self.candidates_among(connection_ids, cx, threshold, takes_messages, fits);
        choose(candidates, wanted, &mut self.rng).into_iter().map(|(peer, _)| peer).collect()
    }

    /// The mesh or fanout.
    fn served(&self) -> Option<&BTreeMap<N::Peer, ConnectionId>> {
        self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers))
    }

    /// The most peers beyond the `served` ones to which a message of this size is sent.
    fn wanted(&self, served: usize, bytes: usize, cx: &Context<'_, N>) -> usize {
        let extensions = &cx.limits.extensions;
        let least = if extensions.publish_reaches_degree_optimal {
            self.parameters.degrees.degree_optimal
        } else {
            0
        };
        let missing = least.saturating_sub(served);
        let per_second = extensions.flood_publish_bytes_per_second;
        if per_second == 0 {
            return missing;
        }
        let interval = cx.limits.heartbeat_interval.as_millis();
        let budget = (per_second as u128).saturating_mul(interval) / 1000;
        let budget = usize::try_from(budget).unwrap_or(usize::MAX);
        missing.max(budget.saturating_sub(self.flooded_bytes) / bytes.max(1))
    }

    /// Whether the peer has sent a copy of the message that awaits its verdict.
    fn has_pending_copy_of(&self, message: &Arc<FullMessage<N>>, peer: &N::Peer) -> bool {
        [&self.pending_validations, &self.batched].into_iter().any(|pending| {
            let delivery = if pending.is_empty() { None } else { pending.get(message) };
            delivery.is_some_and(|delivery| delivery.senders().any(|sender| sender == peer))
        })
    }
}
