//! Topics that are relayed: their valid messages are forwarded, and the application receives none.

use super::{
    behaviour::{Behaviour, State},
    error::SubscriptionError,
    topic::{Hasher, Topic, TopicHash},
};
use crate::network::AppInput;

impl Behaviour {
    /// Relays a topic, when the engine starts if it does not run yet: the node announces it, takes part in its mesh, validates
    /// its messages and forwards those that are valid, but no [`Event::Message`](super::Event::Message) comes of them. Returns
    /// false if it was relayed before: relays are not counted.
    ///
    /// A topic that is [subscribed to](Self::subscribe) too, before or after, has messages; unsubscribing from it leaves the
    /// relay, and [`stop_relay`](Self::stop_relay) leaves the subscription. With
    /// [`validate_messages`](super::ConfigBuilder::validate_messages) there are messages in any case: the application gives
    /// a verdict on each.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn relay<H: Hasher>(&mut self, topic: &Topic<H>) -> Result<bool, SubscriptionError> {
        let topic = self.check_topic(topic)?;
        if matches!(self.state, State::Configured(_)) {
            return Ok(self.relayed.insert(topic));
        }
        let running = self.running().map_err(SubscriptionError::Engine)?;
        if running.worker().is_relayed(&topic) {
            return Ok(false);
        }
        running.worker().app_input(AppInput::Relay(topic))?;
        Ok(true)
    }

    /// Relays a topic no more. Returns false if it was not relayed.
    pub fn stop_relay<H: Hasher>(&mut self, topic: &Topic<H>) -> bool {
        let topic = topic.hash();
        match &self.state {
            State::Configured(_) => self.relayed.remove(&topic),
            State::Running(running) => {
                running.worker().is_relayed(&topic)
                    && running.worker().app_input(AppInput::StopRelay(topic)).is_ok()
            }
            // An engine that has ended has no topics.
            State::Ended(_) => false,
        }
    }

    /// The name of a topic that may be joined.
    pub(super) fn check_topic<H: Hasher>(&self, topic: &Topic<H>) -> Result<TopicHash, SubscriptionError> {
        let topic = topic.hash();
        if !self.network().limits().allow_topic(&topic) {
            return Err(SubscriptionError::InvalidTopic);
        }
        if !self.network().allows_subscription(&topic) {
            return Err(SubscriptionError::NotAllowed);
        }
        Ok(topic)
    }
}
