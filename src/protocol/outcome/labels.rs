//! The labels of inputs and of their outcomes, for metrics and logs.

use super::*;
use crate::network::Network;

/// An outcome with a label.
pub(crate) trait Labelled {
    /// The index of its label in [`Input::outcomes`].
    fn label_index(&self) -> usize;
}

/// Defines the labels of each outcome enum. The matches are exhaustive: a new variant without a label does not
/// compile.
macro_rules! labels {
    ($($labels:ident $outcome:ident $(<$n:ident>)? { $($variant:ident $label:literal,)* })*) => { $(
        const $labels: &[&str] = &[$($label),*];

        impl$(<$n: Network>)? $outcome$(<$n>)? {
            /// The label of the outcome, for metrics and logs.
            pub fn name(&self) -> &'static str {
                $labels[self.label_index()]
            }
        }

        impl$(<$n: Network>)? Labelled for $outcome$(<$n>)? {
            #[inline]
            fn label_index(&self) -> usize {
                enum Index { $($variant),* }
                match self {
                    $(Self::$variant { .. } => Index::$variant as usize,)*
                }
            }
        }
    )* };
}

labels! {
    ADD_PEER AddPeer {
        Added "added",
        AlreadyKnown "already_known",
    }
    REMOVE_PEER RemovePeer {
        Removing "removed",
    }
    SUBSCRIBE SubscribeOutcome {
        Subscribed "subscribed",
        Grafted "grafted",
        UnknownPeer "unknown_peer",
        TopicLimitExceeded "topic_limit_exceeded",
        Filtered "filtered",
        Graylisted "graylisted",
    }
    UNSUBSCRIBE UnsubscribeOutcome {
        Unsubscribed "unsubscribed",
        UnknownPeer "unknown_peer",
        Graylisted "graylisted",
    }
    GRAFT GraftOutcome {
        Grafted "grafted",
        PeerFiltered "peer_filtered",
        UnsubscribedTopic "not_joined",
        AlreadyInMesh "already_in_mesh",
        UnexpectedPeer "unknown_peer",
        DirectPeer "direct_peer",
        FloodsubPeer "floodsub_peer",
        BackedOff "backed_off",
        NegativeScore "negative_score",
        MeshFull "mesh_full",
        Graylisted "graylisted",
    }
    PRUNE PruneOutcome<N> {
        TopicNotTracked "not_joined",
        NotInMesh "not_in_mesh",
        ScoreTooLow "px_ignored",
        PxDisabled "px_disabled",
        NoPx "no_px",
        Px "px",
        Graylisted "graylisted",
    }
    IHAVE IHaveOutcome<N> {
        LowScore "low_score",
        TooManyIHaves "too_many_ihaves",
        TooManyIWants "too_many_iwants",
        TopicNotTracked "not_joined",
        FloodsubPeer "floodsub_peer",
        InvalidId "invalid_id",
        Requested "requested",
        Graylisted "graylisted",
    }
    IWANT IWantOutcome<N> {
        LowScore "low_score",
        Answered "answered",
        Graylisted "graylisted",
    }
    IDONTWANT IDontWantOutcome {
        SwitchedOff "disabled",
        UnknownPeer "unknown_peer",
        LowScore "low_score",
        TooMany "too_many_ids",
        Recorded "recorded",
        Graylisted "graylisted",
    }
    ANSWER IWantAnswer<N> {
        Message "message",
        NotFound "not_found",
        TooManyRequests "too_many_requests",
        TooManyBytes "too_many_bytes",
        Declined "declined",
        Ignored "ignored",
    }
    RECEIVE ReceiveOutcome<N> {
        Route "routed",
        AlreadyReceived "duplicate",
        NotSubscribed "not_joined",
        Invalid "invalid",
        Unknown "unknown",
        Outdated "outdated",
        TooLarge "too_large",
        Batched "batched",
        Validating "validating",
        Throttled "throttled",
        ValidationPanicked "validation_panicked",
        Graylisted "graylisted",
        OwnMessage "own_message",
        RefusedSource "refused_source",
    }
    PUBLISH PublishOutcome<N> {
        Published "published",
        AlreadyPublished "already_published",
        TooLarge "too_large",
        Outdated "outdated",
        TooFewPeers "too_few_peers",
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
    /// A peer connected.
    AddPeer,
    /// A peer disconnected.
    RemovePeer,
    /// A SUBSCRIBE of a peer.
    Subscribe,
    /// An UNSUBSCRIBE of a peer.
    Unsubscribe,
    /// A GRAFT of a peer.
    Graft,
    /// A PRUNE of a peer.
    Prune,
    /// An IHAVE of a peer.
    IHave,
    /// An IWANT of a peer, with ids of one topic.
    IWant,
    /// A full message of a peer.
    ReceiveMessage,
    /// Another validation of a parked message.
    RetryMessage,
    /// The verdict on a message under asynchronous or batch validation.
    ValidationResult,
    /// A publication of the application.
    Publish,
    /// A join of the application.
    Join,
    /// A leave of the application.
    Leave,
    /// An IDONTWANT of a peer. It belongs to no topic: it is counted where it is handled, and not in
    /// `InputCounters`.
    IDontWant,
}

impl Input {
    /// All inputs, in the order of their discriminants.
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
        Self::ValidationResult,
        Self::Publish,
        Self::Join,
        Self::Leave,
        Self::IDontWant,
    ];

    /// The label of the input, for metrics and logs.
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
            Self::ValidationResult => "validation_result",
            Self::Publish => "publish",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::IDontWant => "idontwant",
        }
    }

    /// The labels of all outcomes of the input.
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
            Self::ReceiveMessage | Self::RetryMessage | Self::ValidationResult => RECEIVE,
            Self::Publish => PUBLISH,
            Self::Join => JOIN,
            Self::Leave => LEAVE,
            Self::IDontWant => IDONTWANT,
        }
    }

    /// The index of its first label among the labels of the outcomes of all inputs.
    pub(crate) const fn first_label_index(self) -> usize {
        let (mut index, mut before) = (0, 0);
        while before < self as usize {
            index += Self::ALL[before].outcomes().len();
            before += 1;
        }
        index
    }

    /// The number of outcomes that `InputCounters` counts: those of all inputs except IDONTWANT.
    pub(super) const fn counted_outcomes() -> usize {
        Self::IDontWant.first_label_index()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::plain::{PlainId, PlainNetwork};

    #[test]
    fn all_inputs_are_in_discriminant_order() {
        for (index, input) in Input::ALL.into_iter().enumerate() {
            assert_eq!(input as usize, index, "{input:?}");
        }
    }

    #[test]
    fn outcomes_are_called_by_their_own_name() {
        assert_eq!(GraftOutcome::Grafted.name(), "grafted");
        assert_eq!(GraftOutcome::MeshFull.name(), "mesh_full");
        assert_eq!(RemovePeer::Removing.name(), "removed");
        assert_eq!(SubscribeOutcome::TopicLimitExceeded.name(), "topic_limit_exceeded");
    }

    /// The labels in the JSON of outcomes.
    fn labels<T: Serialize>(outcomes: &[T]) -> Vec<String> {
        outcomes.iter().map(|outcome| json!(outcome)["outcome"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn outcomes_have_the_names_of_metrics_and_logs() {
        let (score, threshold, count, max) = (-1.0, 0.0, 2, 1);
        assert_eq!(labels(&[AddPeer::Added, AddPeer::AlreadyKnown]), Input::AddPeer.outcomes());
        assert_eq!(labels(&[RemovePeer::Removing]), Input::RemovePeer.outcomes());
        let subscribe = [
            SubscribeOutcome::Subscribed,
            SubscribeOutcome::Grafted,
            SubscribeOutcome::UnknownPeer,
            SubscribeOutcome::TopicLimitExceeded,
            SubscribeOutcome::Filtered,
            SubscribeOutcome::Graylisted,
        ];
        assert_eq!(labels(&subscribe), Input::Subscribe.outcomes());
        let unsubscribe = [
            UnsubscribeOutcome::Unsubscribed,
            UnsubscribeOutcome::UnknownPeer,
            UnsubscribeOutcome::Graylisted,
        ];
        assert_eq!(labels(&unsubscribe), Input::Unsubscribe.outcomes());
        let graft = [
            GraftOutcome::Grafted,
            GraftOutcome::PeerFiltered,
            GraftOutcome::UnsubscribedTopic,
            GraftOutcome::AlreadyInMesh,
            GraftOutcome::UnexpectedPeer,
            GraftOutcome::DirectPeer,
            GraftOutcome::FloodsubPeer,
            GraftOutcome::BackedOff,
            GraftOutcome::NegativeScore,
            GraftOutcome::MeshFull,
            GraftOutcome::Graylisted,
        ];
        assert_eq!(labels(&graft), Input::Graft.outcomes());
        let prune: [PruneOutcome<PlainNetwork>; 7] = [
            PruneOutcome::TopicNotTracked,
            PruneOutcome::NotInMesh,
            PruneOutcome::ScoreTooLow { score },
            PruneOutcome::PxDisabled,
            PruneOutcome::NoPx,
            PruneOutcome::Px { peers: Vec::new() },
            PruneOutcome::Graylisted,
        ];
        assert_eq!(labels(&prune), Input::Prune.outcomes());
        let ihave: [IHaveOutcome<PlainNetwork>; 8] = [
            IHaveOutcome::LowScore { score, threshold },
            IHaveOutcome::TooManyIHaves { count, max },
            IHaveOutcome::TooManyIWants { count, max },
            IHaveOutcome::TopicNotTracked,
            IHaveOutcome::FloodsubPeer,
            IHaveOutcome::InvalidId,
            IHaveOutcome::Requested { ids: Vec::new() },
            IHaveOutcome::Graylisted,
        ];
        assert_eq!(labels(&ihave), Input::IHave.outcomes());
        let id = PlainId { number: 1, topic: "a".to_owned() };
        let ids = BTreeMap::from([(id.clone(), IWantAnswer::TooManyRequests)]);
        let iwant: [IWantOutcome<PlainNetwork>; 3] = [
            IWantOutcome::LowScore { score, threshold },
            IWantOutcome::Answered { ids },
            IWantOutcome::Graylisted,
        ];
        assert_eq!(labels(&iwant), Input::IWant.outcomes());
        assert_eq!(json!(iwant[1])["ids"], json!([[id, "too_many_requests"]]));
        let idontwant = [
            IDontWantOutcome::SwitchedOff,
            IDontWantOutcome::UnknownPeer,
            IDontWantOutcome::LowScore { score, threshold },
            IDontWantOutcome::TooMany { ignored: 1, max: 1 },
            IDontWantOutcome::Recorded { ids: 1 },
            IDontWantOutcome::Graylisted,
        ];
        assert_eq!(labels(&idontwant), Input::IDontWant.outcomes());
        let receive: [ReceiveOutcome<PlainNetwork>; 14] = [
            ReceiveOutcome::Route { to: Vec::new() },
            ReceiveOutcome::AlreadyReceived,
            ReceiveOutcome::NotSubscribed,
            ReceiveOutcome::Invalid,
            ReceiveOutcome::Unknown,
            ReceiveOutcome::Outdated,
            ReceiveOutcome::TooLarge,
            ReceiveOutcome::Batched,
            ReceiveOutcome::Validating,
            ReceiveOutcome::Throttled,
            ReceiveOutcome::ValidationPanicked,
            ReceiveOutcome::Graylisted,
            ReceiveOutcome::OwnMessage,
            ReceiveOutcome::RefusedSource,
        ];
        assert_eq!(labels(&receive), Input::ReceiveMessage.outcomes());
        let publish: [PublishOutcome<PlainNetwork>; 5] = [
            PublishOutcome::Published { to: Vec::new() },
            PublishOutcome::AlreadyPublished,
            PublishOutcome::TooLarge,
            PublishOutcome::Outdated,
            PublishOutcome::TooFewPeers { peers: 0 },
        ];
        assert_eq!(labels(&publish), Input::Publish.outcomes());
        let join: [JoinOutcome<PlainNetwork>; 2] =
            [JoinOutcome::Joined { to_graft: Vec::new() }, JoinOutcome::AlreadyJoined];
        assert_eq!(labels(&join), Input::Join.outcomes());
        let (to_prune, no_px) = (Vec::new(), Vec::new());
        let leave: [LeaveOutcome<PlainNetwork>; 2] =
            [LeaveOutcome::Left { to_prune, no_px }, LeaveOutcome::NotJoined];
        assert_eq!(labels(&leave), Input::Leave.outcomes());
    }
}
