//! Reports of what becomes of a message on its way to each recipient. Every report is completed exactly once: one that
//! is dropped reports that the connection ended first.

use std::{fmt, sync::Arc};

use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        network::Libp2pNetwork,
    },
    network::{FullMessage, P2pMessage},
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
}

/// The pending report for one recipient. It travels with the queued message.
pub(in crate::libp2p) struct DeliveryReport {
    message: Arc<FullMessage<Libp2pNetwork>>,
    listener: Arc<dyn DeliveryListener>,
    completed: bool,
}

/// Creates the reports of one message, one for each recipient.
pub(in crate::libp2p) struct DeliveryReports {
    message: Arc<FullMessage<Libp2pNetwork>>,
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
        wanted.then(|| Self { message: Arc::clone(message), listener: Arc::clone(listener) })
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
        self.listener.report_sent(&self.message.topic, &self.message.message_id);
    }

    pub(in crate::libp2p) fn not_sent(mut self, reason: DropReason) {
        self.complete_not_sent(reason);
    }

    fn complete_not_sent(&mut self, reason: DropReason) {
        self.completed = true;
        self.listener.report_not_sent(&self.message.topic, &self.message.message_id, reason);
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
        write!(f, "DeliveryReport({})", self.message)
    }
}
