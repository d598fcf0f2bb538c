//! Messages that the application publishes.

use std::sync::Arc;

use super::{TopicState, idontwant::filter_idontwant_uncounted};
use crate::{
    admission::charge::Charge,
    network::{FullMessage, Network},
    protocol::{
        exchange::{Context, Outbox},
        outcome::PublishOutcome,
        output::Lane,
        rng::ProtocolRng,
    },
};

impl<N: Network> TopicState<N> {
    /// Publishes a message of the application, if it can be sent to at least `min_peers` peers. It is not delivered to the
    /// application itself. The message is charged until it is sent. A message that is not published changes nothing.
    pub(crate) fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        min_peers: usize,
        mut charge: Charge,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> PublishOutcome<N> {
        if self.parameters.is_too_large(|| cx.network.encoded_size(&message)) {
            return PublishOutcome::TooLarge;
        }
        let expires_at = cx.expiry(&message);
        if expires_at <= cx.present {
            return PublishOutcome::Outdated;
        }
        if self.seen.contains(&message.message_id) {
            return PublishOutcome::AlreadyPublished;
        }
        let size = message.sizes(cx.network);
        let rng = (min_peers > 0).then(|| self.rng.serialize_state());
        let has_new_fanout = self.mesh.is_none() && self.make_fanout(cx);
        let (mut to, mut sent) = self.recipients(None, &[], cx);
        let large = self.parameters.idontwant_message_size;
        let suppressed = filter_idontwant_uncounted(&mut sent, &message, large, cx);
        let further = self.further_recipients(&message, size.total, cx);
        let peers = sent.len() + further.len();
        if peers < min_peers {
            self.fanout.take_if(|_| has_new_fanout);
            if let Some(rng) = rng {
                self.rng = ProtocolRng::deserialize_state(&rng);
            }
            return PublishOutcome::TooFewPeers { peers };
        }
        if suppressed > 0 {
            outbox.counters.suppressed_by_idontwant(suppressed);
        }
        self.fulfil_promises(&message.message_id, cx, outbox);
        self.history.insert(&message, size, expires_at, cx, outbox);
        self.seen.insert(&message.message_id, size.id, None, Vec::new(), cx);
        if self.mesh.is_none() {
            self.extend_fanout(cx);
            outbox.counters.fanout_sends(sent.len());
        }
        if !further.is_empty() {
            self.flooded_bytes = self.flooded_bytes.saturating_add(size.total.saturating_mul(further.len()));
            outbox.counters.further_sends(further.len());
            to.extend(further.iter().cloned());
            sent.extend(further);
            [&mut to, &mut sent].into_iter().for_each(|peers| peers.sort_unstable());
        }
        let missing = self.parameters.degrees.degree_optimal.saturating_sub(peers);
        if cx.limits.extensions.publish_reaches_degree_optimal && missing > 0 {
            self.unserved.insert(&message.message_id, missing);
        }
        if cx.limits.extensions.idontwant_on_publish {
            self.send_idontwant(&message, None, cx, outbox);
        }
        outbox.broadcast(
            sent,
            &message,
            size.total,
            (Lane::Publish, self.parameters.sent_first),
            &mut charge,
        );
        PublishOutcome::Published { to }
    }
}
