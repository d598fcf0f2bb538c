//! What the reference calls the outcomes (FORMAT.md, 4). Complete by the compiler's word; decides nothing.

use crate::{network::Network, protocol::*};

/// An outcome's name in a trace.
pub(super) trait TraceName {
    fn trace_name(&self) -> &'static str;
}

macro_rules! names {
    ($($outcome:ident $(<$n:ident>)? { $($variant:ident $name:literal,)* })*) => { $(
        impl$(<$n: Network>)? TraceName for $outcome$(<$n>)? {
            fn trace_name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                }
            }
        }
    )* };
}

names! {
    AddPeer {
        Added "peer_added",
        AlreadyKnown "peer_already_known",
    }
    RemovePeer {
        Removing "removing_peer",
    }
    SubscribeOutcome {
        Subscribed "subscribed",
        UnknownPeer "subscribe_to_unknown_peer",
        TopicLimitExceeded "subscribe_ignored_topic_limit_exceeded",
    }
    UnsubscribeOutcome {
        Unsubscribed "unsubscribed",
        UnknownPeer "unsubscribe_from_unknown_peer",
    }
    GraftOutcome {
        Grafted "grafting_successfully",
        PeerFiltered "peer_filtered",
        UnsubscribedTopic "unsubscribed_topic",
        AlreadyInMesh "peer_already_in_mesh",
        UnexpectedPeer "unexpected_grafting_peer",
        DirectPeer "grafting_direct_peer",
        BackedOff "peer_backed_off",
        NegativeScore "grafting_peer_with_negative_score",
        MeshFull "mesh_full",
    }
    PruneOutcome<N> {
        TopicNotTracked "prune_topic_not_tracked",
        NotInMesh "peer_not_in_mesh",
        ScoreTooLow "ignore_px_score_too_low",
        NoPx "no_px",
        Px "px",
    }
    IHaveOutcome<N> {
        LowScore "ihave_from_peer_with_low_score",
        TooManyIHaves "too_many_recv_ihave_messages",
        TooManyIWants "too_many_sent_iwant_messages",
        TopicNotTracked "message_topic_not_tracked",
        InvalidId "invalid_message_id",
        Requested "message_requested_message_ids",
    }
    IWantOutcome<N> {
        LowScore "iwant_from_peer_with_low_score",
        Answered "on_iwant_messages_to_route",
    }
    IDontWantOutcome {
        SwitchedOff "idontwant_switched_off",
        UnknownPeer "idontwant_from_unknown_peer",
        LowScore "idontwant_from_peer_with_low_score",
        TooMany "too_many_idontwant_ids",
        Noted "noted_idontwant",
    }
    IWantAnswer<N> {
        Ignored "ignored",
        NotFound "not_found",
        TooManyRequests "too_many_requests",
        Message "message",
    }
    ReceiveOutcome<N> {
        Route "route_message",
        AlreadyReceived "already_received",
        NotSubscribed "not_subscribed",
        Invalid "invalid_message",
        Unknown "unknown_validity",
        Outdated "outdated",
        Batched "to_include_in_batch",
        Validating "validating",
        Throttled "throttled",
    }
    PublishOutcome<N> {
        Published "publish_message",
        AlreadyPublished "already_published",
    }
    JoinOutcome<N> {
        Joined "joining_topic",
        AlreadyJoined "already_joined",
    }
    LeaveOutcome<N> {
        Left "leaving_topic",
        NotJoined "not_joined",
    }
}
