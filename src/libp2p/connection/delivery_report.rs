//! What becomes of a message on its way to one peer, for those who want to hear of it. A receipt is
//! settled exactly once: one that is dropped unsettled tells that the connection ended before.

use std::{fmt, sync::Arc};

use crate::{
    libp2p::{
        ids::{MessageId, TopicName},
        network::Libp2pNetwork,
    },
    network::{FullMessage, P2pMessage},
    worker::NotSent,
};

/// Who wants to hear what became of messages. Called from several tasks at once; no call may block.
pub trait Reports: Send + Sync {
    /// Whether somebody wants to hear of this message. Asked when it is queued.
    fn wants_reports(&self, topic: &TopicName, id: &MessageId) -> bool;
    /// All its bytes were handed to one peer's stream, and flushed.
    fn report_sent(&self, topic: &TopicName, id: &MessageId);
    /// It does not go to one peer.
    fn report_not_sent(&self, topic: &TopicName, id: &MessageId, reason: NotSent);
}

/// Goes with a message to one peer, wherever it waits.
pub(in crate::libp2p) struct Receipt {
    message: Arc<FullMessage<Libp2pNetwork>>,
    reports: Arc<dyn Reports>,
    settled: bool,
}

/// Makes a receipt for each peer that one message goes to.
pub(in crate::libp2p) struct Receipts {
    message: Arc<FullMessage<Libp2pNetwork>>,
    reports: Arc<dyn Reports>,
}

impl Receipts {
    /// `None` if nobody wants to hear of it.
    pub(in crate::libp2p) fn of(
        message: &P2pMessage<Libp2pNetwork>,
        reports: &Arc<dyn Reports>,
    ) -> Option<Self> {
        let P2pMessage::FullMessage(message) = message else { return None };
        let wanted = reports.wants_reports(&message.topic, &message.message_id);
        wanted.then(|| Self { message: Arc::clone(message), reports: Arc::clone(reports) })
    }

    pub(in crate::libp2p) fn receipt(&self) -> Receipt {
        let (message, reports) = (Arc::clone(&self.message), Arc::clone(&self.reports));
        Receipt { message, reports, settled: false }
    }
}

impl Receipt {
    pub(in crate::libp2p) fn sent(mut self) {
        self.settled = true;
        self.reports.report_sent(&self.message.topic, &self.message.message_id);
    }

    pub(in crate::libp2p) fn not_sent(mut self, reason: NotSent) {
        self.settle(reason);
    }

    fn settle(&mut self, reason: NotSent) {
        self.settled = true;
        self.reports.report_not_sent(&self.message.topic, &self.message.message_id, reason);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(NotSent::Disconnected);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.message)
    }
}
