//! Messages that are published together.

use super::{behaviour::Behaviour, error::PublishError, topic::TopicHash};
use crate::{
    libp2p::{ids::MessageId, network::Libp2pNetwork},
    network::FullMessage,
};

impl Behaviour {
    /// Publishes several messages together, of one topic or of several: each goes to one peer before any goes to a second one
    /// ([`Worker::publish_batch`](crate::Worker::publish_batch)). What becomes of each, an
    /// [`Event::Published`](super::Event::Published) reports. Returns their ids, in the order of the messages.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), for any of the messages, or the engine has not room for all. Then none is published.
    pub fn publish_batch<T: Into<TopicHash>, D: Into<Vec<u8>>>(
        &mut self,
        messages: impl IntoIterator<Item = (T, D)>,
    ) -> Result<Vec<MessageId>, PublishError> {
        let messages = messages.into_iter().map(|(topic, data)| self.message(topic.into(), data.into()));
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<_> = messages.iter().map(|message| message.message_id.clone()).collect();
        let running = self.running().map_err(PublishError::Engine)?;
        messages.iter().try_for_each(|message| running.check_size(message))?;
        let tickets = running.worker().publish_batch(messages)?;
        for (message_id, ticket) in ids.iter().zip(tickets) {
            running.follow(message_id.clone(), ticket);
        }
        Ok(ids)
    }

    /// A message as it is sent: encoded and signed.
    pub(super) fn message(
        &self,
        topic: TopicHash,
        data: Vec<u8>,
    ) -> Result<FullMessage<Libp2pNetwork>, PublishError> {
        Ok(self.network().message(topic, data)?)
    }
}
