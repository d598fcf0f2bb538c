//! Joins, leaves and relays of the application.

use super::Node;
use crate::{
    network::Network,
    protocol::{
        outcome::{JoinOutcome, LeaveOutcome},
        topic::interest::Interest,
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Joins a topic.
    pub fn join(&mut self, topic: &N::Topic, now: Timestamp) -> JoinOutcome<N> {
        self.add_interest(Interest::Deliver, topic, now)
    }

    /// Leaves a topic. It stays in the mesh if the topic is relayed.
    pub fn leave(&mut self, topic: &N::Topic, now: Timestamp) -> LeaveOutcome<N> {
        self.remove_interest(Interest::Deliver, topic, now)
    }

    /// Relays a topic: takes part in its mesh and forwards its messages, without a delivery to the application. A topic that
    /// is joined too delivers. To relay it twice is to relay it once.
    pub fn relay(&mut self, topic: &N::Topic, now: Timestamp) -> JoinOutcome<N> {
        self.add_interest(Interest::Relay, topic, now)
    }

    /// Relays a topic no more. It stays in the mesh if the topic is joined.
    pub fn stop_relay(&mut self, topic: &N::Topic, now: Timestamp) -> LeaveOutcome<N> {
        self.remove_interest(Interest::Relay, topic, now)
    }

    fn add_interest(&mut self, interest: Interest, topic: &N::Topic, now: Timestamp) -> JoinOutcome<N> {
        self.on_active_topic(topic, now, |topic, cx, outbox| topic.join(interest, cx, outbox))
    }

    fn remove_interest(&mut self, interest: Interest, topic: &N::Topic, now: Timestamp) -> LeaveOutcome<N> {
        self.on_topic(topic, now, |topic, cx, outbox| topic.leave(interest, cx, outbox))
    }
}
