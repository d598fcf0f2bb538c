//! The interest of the application in a topic: in its messages, or only in relaying them. The topic is joined while
//! there is one of the two.

use super::TopicState;
use crate::{
    network::Network,
    protocol::{
        exchange::{Context, Outbox},
        outcome::{JoinOutcome, LeaveOutcome},
    },
};

/// Why the application is in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// It wants the messages.
    Deliver,
    /// The node takes part in the mesh and forwards the messages that are valid. This alone delivers none.
    Relay,
}

/// The interests in a topic. Each is there or not: they are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interests {
    deliver: bool,
    relay: bool,
}

impl Interests {
    /// Adds an interest. Returns false if it was there.
    pub(crate) fn add(&mut self, interest: Interest) -> bool {
        !std::mem::replace(self.get_mut(interest), true)
    }

    /// Removes an interest. Returns whether it was there.
    pub(crate) fn remove(&mut self, interest: Interest) -> bool {
        std::mem::take(self.get_mut(interest))
    }

    pub(crate) fn has(self, interest: Interest) -> bool {
        match interest {
            Interest::Deliver => self.deliver,
            Interest::Relay => self.relay,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(self) -> bool {
        !self.deliver && !self.relay
    }

    /// The interests of the set.
    pub(crate) fn iter(self) -> impl Iterator<Item = Interest> {
        [Interest::Deliver, Interest::Relay].into_iter().filter(move |interest| self.has(*interest))
    }

    fn get_mut(&mut self, interest: Interest) -> &mut bool {
        match interest {
            Interest::Deliver => &mut self.deliver,
            Interest::Relay => &mut self.relay,
        }
    }
}

impl<N: Network> TopicState<N> {
    /// Adds an interest. The first one joins the topic; with another one the mesh is there already, and peers learn nothing.
    pub(crate) fn join(
        &mut self,
        interest: Interest,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> JoinOutcome<N> {
        match self.interests.add(interest) {
            true if self.is_joined() => JoinOutcome::Joined { to_graft: Vec::new() },
            true => self.join_mesh(cx, outbox),
            false => JoinOutcome::AlreadyJoined,
        }
    }

    /// Removes an interest. The last one leaves the topic.
    pub(crate) fn leave(
        &mut self,
        interest: Interest,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> LeaveOutcome<N> {
        match self.interests.remove(interest) {
            true if self.interests.is_empty() => self.leave_mesh(cx, outbox),
            true => LeaveOutcome::Left { to_prune: Vec::new(), no_px: Vec::new() },
            false => LeaveOutcome::NotJoined,
        }
    }
}
