//! Reports of what becomes of a message on its way to each recipient. Every report is completed exactly once: one that
//! is dropped reports that the connection ended first.

use std::{fmt, sync::Arc};

use ::libp2p::PeerId;

use super::lanes::Item;
use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        network::Libp2pNetwork,
    },
    network::P2pMessage,
    worker::DropReason,
};

/// Receives delivery reports. The methods are called on several tasks at once and must not block.
pub trait DeliveryListener: Send + Sync {
    /// Whether a publish ticket waits for reports of this message. Called once when the message is queued.
    fn has_publish_listener(&self, topic: &TopicName, id: &MessageId) -> bool;
    /// All bytes of the message were written to one recipient's stream and flushed.
    fn report_sent(&self, topic: &TopicName, id: &MessageId);
    /// The message is not sent to one recipient.
    fn report_not_sent(&self, topic: &TopicName, id: &MessageId, reason: DropReason);

    /// Messages for `peer`, or an IHAVE with these ids, were dropped because it reads too slowly.
    /// [`report_room`](Self::report_room) follows unless the peer disconnects.
    fn report_missed(&self, peer: &PeerId, topic: &TopicName, ids: &[MessageId]) {
        let _ = (peer, topic, ids);
    }

    /// `peer` reads again, after [`report_missed`](Self::report_missed), and its send queue has room for this number of
    /// messages.
    fn report_room(&self, peer: &PeerId, messages: usize) {
        let _ = (peer, messages);
    }
}

/// Reports what one peer misses because it reads too slowly.
#[derive(Clone)]
pub(in crate::libp2p) struct MissedReports {
    peer: PeerId,
    listener: Arc<dyn DeliveryListener>,
}

impl MissedReports {
    pub(in crate::libp2p) fn new(peer: PeerId, listener: &Arc<dyn DeliveryListener>) -> Self {
        Self { peer, listener: Arc::clone(listener) }
    }

    /// Reports items that are dropped. Returns the size in bytes of the largest that carried or offered messages; `None` if
    /// there is none.
    pub(super) fn report_missed(&self, dropped: &[Item]) -> Option<usize> {
        let mut largest = None;
        for item in dropped {
            if let Some((topic, ids)) = item.offer.messages() {
                self.listener.report_missed(&self.peer, topic, ids);
                largest = largest.max(Some(item.fragment.bytes.len()));
            }
        }
        largest
    }

    pub(super) fn report_room(&self, messages: usize) {
        self.listener.report_room(&self.peer, messages);
    }
}

impl fmt::Debug for MissedReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MissedReports({})", self.peer)
    }
}

/// The pending report for one recipient. It travels with the queued message.
pub(in crate::libp2p) struct DeliveryReport {
    message: Arc<(TopicName, MessageId)>,
    listener: Arc<dyn DeliveryListener>,
    completed: bool,
}

/// Creates the reports of one message, one for each recipient.
pub(in crate::libp2p) struct DeliveryReports {
    message: Arc<(TopicName, MessageId)>,
    listener: Arc<dyn DeliveryListener>,
}

impl DeliveryReports {
    /// `None` if the message is not a full message, or if the listener wants no reports of it.
    pub(in crate::libp2p) fn new(
        message: &P2pMessage<Libp2pNetwork>,
        listener: &Arc<dyn DeliveryListener>,
    ) -> Option<Self> {
        let P2pMessage::FullMessage(message) = message else { return None };
        let wanted = listener.has_publish_listener(&message.topic, &message.message_id);
        // Not the message: its bytes would stay in memory as long as the slowest recipient takes.
        let name = || Arc::new((message.topic.clone(), message.message_id.clone()));
        wanted.then(|| Self { message: name(), listener: Arc::clone(listener) })
    }

    /// The report for another recipient.
    pub(in crate::libp2p) fn report(&self) -> DeliveryReport {
        let (message, listener) = (Arc::clone(&self.message), Arc::clone(&self.listener));
        DeliveryReport { message, listener, completed: false }
    }
}

impl DeliveryReport {
    pub(in crate::libp2p) fn sent(mut self) {
        self.completed = true;
        self.listener.report_sent(&self.message.0, &self.message.1);
    }

    pub(in crate::libp2p) fn not_sent(mut self, reason: DropReason) {
        self.complete_not_sent(reason);
    }

    fn complete_not_sent(&mut self, reason: DropReason) {
        self.completed = true;
        self.listener.report_not_sent(&self.message.0, &self.message.1, reason);
    }
}

impl Drop for DeliveryReport {
    fn drop(&mut self) {
        if !self.completed {
            self.complete_not_sent(DropReason::Disconnected);
        }
    }
}

impl fmt::Debug for DeliveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryReport({} on {})", self.message.1, self.message.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, task::Context};

    use super::*;
    use crate::{
        libp2p::{
            codec::{encode::Kind, limits::WireLimits},
            connection::{
                lanes::{Offer, tests::item},
                queue_limits::QueueLimits,
                send_queue::SendQueue,
            },
        },
        protocol::Lane,
    };

    fn fill(queue: &SendQueue) {
        let cx = Context::from_waker(std::task::Waker::noop());
        queue.fill(&mut Vec::new(), 1, &WireLimits::default(), &cx);
    }

    /// The reports of missed messages, each with the first byte of its id, and of room.
    #[derive(Default)]
    struct Listener(Mutex<Vec<Result<u8, usize>>>);

    impl DeliveryListener for Listener {
        fn has_publish_listener(&self, _: &TopicName, _: &MessageId) -> bool {
            false
        }
        fn report_sent(&self, _: &TopicName, _: &MessageId) {}
        fn report_not_sent(&self, _: &TopicName, _: &MessageId, _: DropReason) {}
        fn report_missed(&self, _: &PeerId, _: &TopicName, ids: &[MessageId]) {
            self.0.lock().unwrap().extend(ids.iter().map(|id| Ok(id.as_bytes()[0])));
        }
        fn report_room(&self, _: &PeerId, messages: usize) {
            self.0.lock().unwrap().push(Err(messages));
        }
    }

    #[test]
    fn missed_messages_are_reported_and_then_once_the_room_for_them() {
        let listener = Arc::new(Listener::default());
        let reports = || std::mem::take(&mut *listener.0.lock().unwrap());
        let dyn_listener: Arc<dyn DeliveryListener> = listener.clone();
        let limits = QueueLimits::default().with(|l| (l.max_items, l.max_bytes) = (8, 1_000));
        let missed = MissedReports::new(PeerId::random(), &dyn_listener);
        let memory = Arc::default();
        let queue = SendQueue::new(limits, &memory, Some(missed));
        let id = |tag: u8| MessageId::from(vec![tag]);
        let push = |tag| {
            let offer = Offer::Message("t".into(), id(tag));
            queue.push(Item { offer, ..item(Kind::Message, Lane::Forward, tag) });
        };
        (0..8).for_each(push);
        assert_eq!(reports(), []);
        push(8);
        let ihave = P2pMessage::IHave { topic: "t".into(), message_ids: vec![id(9), id(10)] };
        let offer = Offer::of(&ihave, &memory);
        queue.push(Item { offer, ..item(Kind::IHave, Lane::Gossip, 9) });
        queue.push(item(Kind::IWant, Lane::Gossip, 0));
        assert_eq!(reports(), [Ok(8), Ok(9), Ok(10)]);
        fill(&queue);
        assert_eq!(reports(), [Err(4)]);
        fill(&queue);
        assert_eq!(reports(), []);

        // A peer that does not read has no room until it does, however empty the queue.
        push(11);
        queue.drop_pending();
        push(12);
        assert_eq!(reports(), [Ok(11), Ok(12)]);
        fill(&queue);
        assert_eq!(reports(), [Err(4)]);
    }
}
