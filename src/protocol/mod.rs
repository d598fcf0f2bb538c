//! The protocol as pure state machines. In this folder nobody knows an actor, a clock, a lock, a
//! channel, a log or a metric: time is an argument, randomness is seeded, order is that of ordered
//! collections wherever it can reach an output.
//!
//! There are two machines and their composition:
//!
//! * a topic (`topic.rs` and `mesh.rs`, `delivery.rs`, `gossip.rs`, `unwanted.rs`, `fanout.rs`,
//!   `maintenance.rs`): everything about one topic, and no other;
//! * the peers' side (`peers.rs` and `round.rs`, `px.rs`, `undecided.rs`, `score.rs`): connections,
//!   scores, and whatever is not one topic's;
//! * [`Node`]: both, composed synchronously. The actors compose them too, over threads.
//!
//! Topics know connections by numbers (`link.rs`); who they are is looked up (`connected.rs`), for gossip when it is
//! read (`unread.rs`).
//!
//! Topics tell the peers' side *facts*; it gives them *orders* (`outbox.rs`). Each input has one
//! outcome enum whose variants are all that can become of it (`outcome.rs`).
//!
//! Behaviour is that of the corrected Octez reference, as recorded in `tests/traces`; comments name
//! the sections of the libp2p gossipsub specifications v1.0, v1.1 and v1.2.

mod backoff;
mod batch;
mod breakdown;
mod company;
mod composition;
mod connected;
mod counters;
mod credits;
mod decision;
mod delivery;
mod event;
mod expansion;
mod fanout;
mod footprint;
mod gossip;
mod invalid;
mod link;
mod look;
mod lowest;
mod maintenance;
mod mesh;
mod names;
mod node;
mod outbox;
mod outcome;
mod parked;
mod parts;
mod peer_score;
mod peers;
mod promises;
mod px;
mod reconnect;
mod round;
mod sample;
mod score;
mod sheet;
mod stats;
mod subscribers;
mod tally;
mod time;
mod topic;
mod topics;
mod undecided;
mod unread;
mod unwanted;
mod validating;
mod view;
mod window;

pub(crate) use company::{Company, ConnectionClass, ConnectionDirection, ScoreBand, ScoreComponent};
pub(crate) use connected::Connected;
pub(crate) use event::RateLimit;
pub(crate) use link::Link;
pub(crate) use names::Named;
pub(crate) use outbox::{Context, Fact, Order, Outbox, Roster, Validation};
pub(crate) use peers::{Peers, PeersOutbox, Quota, Standing};
pub(crate) use round::Pace;
pub(crate) use stats::TopicCounts;
pub(crate) use tally::{
    Grafted, IWantResponse, Penalties, Penalty as ScorePenalty, Promised, Removed, Rest, Tally,
};
pub(crate) use topic::TopicState;
pub(crate) use unread::Unread;
pub(crate) use unwanted::{Unwanted, check_idontwant};

pub use breakdown::{ScoreBreakdown, Threshold, TopicBreakdown};
pub use decision::{Decision, Grafting, Happened, Penalty, Pruning, Record};
pub use delivery::Handling;
pub use event::Event;
pub use expansion::Expansion;
pub use footprint::Footprint;
pub use look::Membership;
pub use names::Input;
pub use node::{Drained, Node};
pub use outbox::{Emission, Lane};
pub use outcome::{
    AddPeer, GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome,
    JoinOutcome, LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, RemovePeer, SubscribeOutcome,
    UnsubscribeOutcome,
};
pub use peers::{NodeOptions, PeerKind};
pub use stats::Stats;
pub use time::Timestamp;
pub use view::{CachedView, ConnectionView, FanoutView, ScoreView, SeenView, TopicScoreView, View};
