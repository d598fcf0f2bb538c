//! What inputs and their outcomes are called, in labels and logs. Decides nothing.

use super::outcome::*;
use crate::network::Network;

/// An outcome that has a name among those of its kind.
pub(crate) trait Named {
    /// The place of its name in [`Input::outcomes`].
    fn place(&self) -> usize;
}

/// The names of each outcome enum. The matches are complete: a new variant without a name does not compile.
macro_rules! names {
    ($($names:ident $outcome:ident $(<$n:ident>)? { $($variant:ident $name:literal,)* })*) => { $(
        const $names: &[&str] = &[$($name),*];

        impl$(<$n: Network>)? $outcome$(<$n>)? {
            /// Its name, for labels and logs.
            pub fn name(&self) -> &'static str {
                $names[self.place()]
            }
        }

        impl$(<$n: Network>)? Named for $outcome$(<$n>)? {
            #[inline]
            fn place(&self) -> usize {
                enum Place { $($variant),* }
                match self {
                    $(Self::$variant { .. } => Place::$variant as usize,)*
                }
            }
        }
    )* };
}

names! {
    ADD_PEER AddPeer {
        Added "added",
        AlreadyKnown "already_known",
    }
    REMOVE_PEER RemovePeer {
        Removing "removed",
    }
    SUBSCRIBE SubscribeOutcome {
        Subscribed "subscribed",
        UnknownPeer "unknown_peer",
        TopicLimitExceeded "topic_limit_exceeded",
    }
    UNSUBSCRIBE UnsubscribeOutcome {
        Unsubscribed "unsubscribed",
        UnknownPeer "unknown_peer",
    }
    GRAFT GraftOutcome {
        Grafted "grafted",
        PeerFiltered "peer_filtered",
        UnsubscribedTopic "not_joined",
        AlreadyInMesh "already_in_mesh",
        UnexpectedPeer "unknown_peer",
        DirectPeer "direct_peer",
        BackedOff "backed_off",
        NegativeScore "negative_score",
        MeshFull "mesh_full",
    }
    PRUNE PruneOutcome<N> {
        TopicNotTracked "not_joined",
        NotInMesh "not_in_mesh",
        ScoreTooLow "px_ignored",
        NoPx "no_px",
        Px "px",
    }
    IHAVE IHaveOutcome<N> {
        LowScore "low_score",
        TooManyIHaves "too_many_ihaves",
        TooManyIWants "too_many_iwants",
        TopicNotTracked "not_joined",
        InvalidId "invalid_id",
        Requested "requested",
    }
    IWANT IWantOutcome<N> {
        LowScore "low_score",
        Answered "answered",
    }
    IDONTWANT IDontWantOutcome {
        SwitchedOff "disabled",
        UnknownPeer "unknown_peer",
        LowScore "low_score",
        TooMany "too_many_ids",
        Noted "recorded",
    }
    ANSWER IWantAnswer<N> {
        Message "message",
        NotFound "not_found",
        TooManyRequests "too_many_requests",
        Ignored "ignored",
    }
    RECEIVE ReceiveOutcome<N> {
        Route "routed",
        AlreadyReceived "duplicate",
        NotSubscribed "not_joined",
        Invalid "invalid",
        Unknown "unknown",
        Outdated "outdated",
        Batched "batched",
        Validating "validating",
        Throttled "throttled",
    }
    PUBLISH PublishOutcome<N> {
        Published "published",
        AlreadyPublished "already_published",
    }
    JOIN JoinOutcome<N> {
        Joined "joined",
        AlreadyJoined "already_joined",
    }
    LEAVE LeaveOutcome<N> {
        Left "left",
        NotJoined "not_joined",
    }
}

/// An input of a state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A connection is up.
    AddPeer,
    /// A connection is gone.
    RemovePeer,
    /// A peer subscribes.
    Subscribe,
    /// A peer unsubscribes.
    Unsubscribe,
    /// A peer grafts.
    Graft,
    /// A peer prunes.
    Prune,
    /// A peer offers messages.
    IHave,
    /// A peer asks for messages, all of one topic.
    IWant,
    /// A peer sends a full message.
    ReceiveMessage,
    /// A parked message is tried again.
    RetryMessage,
    /// The verdict on a message that had to wait: alone, or with its batch.
    JudgeMessage,
    /// The application publishes.
    Publish,
    /// The application joins.
    Join,
    /// The application leaves.
    Leave,
    /// A peer says which messages it does not want. No topic's: counted where it is decided, and not among the
    /// others.
    IDontWant,
}

impl Input {
    /// All inputs.
    pub const ALL: [Self; 15] = [
        Self::AddPeer,
        Self::RemovePeer,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Graft,
        Self::Prune,
        Self::IHave,
        Self::IWant,
        Self::ReceiveMessage,
        Self::RetryMessage,
        Self::JudgeMessage,
        Self::Publish,
        Self::Join,
        Self::Leave,
        Self::IDontWant,
    ];

    /// Its name, for labels and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddPeer => "add_peer",
            Self::RemovePeer => "remove_peer",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Graft => "graft",
            Self::Prune => "prune",
            Self::IHave => "ihave",
            Self::IWant => "iwant",
            Self::ReceiveMessage => "receive_message",
            Self::RetryMessage => "retry_validation",
            Self::JudgeMessage => "validation_result",
            Self::Publish => "publish",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::IDontWant => "idontwant",
        }
    }

    /// The names of all that can become of it.
    pub const fn outcomes(self) -> &'static [&'static str] {
        match self {
            Self::AddPeer => ADD_PEER,
            Self::RemovePeer => REMOVE_PEER,
            Self::Subscribe => SUBSCRIBE,
            Self::Unsubscribe => UNSUBSCRIBE,
            Self::Graft => GRAFT,
            Self::Prune => PRUNE,
            Self::IHave => IHAVE,
            Self::IWant => IWANT,
            Self::ReceiveMessage | Self::RetryMessage | Self::JudgeMessage => RECEIVE,
            Self::Publish => PUBLISH,
            Self::Join => JOIN,
            Self::Leave => LEAVE,
            Self::IDontWant => IDONTWANT,
        }
    }

    /// The place of its first outcome among those of all inputs.
    pub(crate) const fn first(self) -> usize {
        let (mut place, mut before) = (0, 0);
        while before < self as usize {
            place += Self::ALL[before].outcomes().len();
            before += 1;
        }
        place
    }

    /// How many outcomes the inputs have that a [`Tally`](super::tally::Tally) counts.
    pub(super) const fn tallied_outcomes() -> usize {
        Self::IDontWant.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_stand_where_their_number_says() {
        for (place, input) in Input::ALL.into_iter().enumerate() {
            assert_eq!(input as usize, place, "{input:?}");
        }
    }

    #[test]
    fn outcomes_are_called_by_their_own_name() {
        assert_eq!(GraftOutcome::Grafted.name(), "grafted");
        assert_eq!(GraftOutcome::MeshFull.name(), "mesh_full");
        assert_eq!(RemovePeer::Removing.name(), "removed");
        assert_eq!(SubscribeOutcome::TopicLimitExceeded.name(), "topic_limit_exceeded");
    }
}
