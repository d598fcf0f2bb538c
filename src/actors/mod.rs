//! The actors: they translate, call the protocol's state machines, and flush. They never decide.
//!
//! ```text
//!   transport ──┐                             ┌── facts ──▶ supervisor ◀── heartbeat
//!               ├─▶ handle ─▶ desk ─▶ host ─▶ topic             │
//!   application ┘      │       ▲                │               │
//!                      │       └─── orders ─────┼───────────────┤
//!                      └────────────────────────┼──────────────▶│
//!                                               └── outputs ─▶ router ─▶ p2p stream, app stream
//! ```
//!
//! **Inboxes.** Supervisor, router and each arbiter's [`host`] have an [`inbox`]: a queue that wakes its owner's task
//! once a burst. Whatever must stay in order goes through one inbox.
//!
//! **Topics.** Each has an actor of its own, a [`mesh`]: begun and restarted by the supervisor, on one arbiter, with
//! an address. What is for it does not come to the actor's mailbox, though: with many topics of little traffic, to wake
//! each of them would cost more than all that they do. It comes to the [`desk`] of its arbiter, whose host takes out
//! what came for all of them at once and lets the topics, each on its [seat](seats), work on theirs in turn: on 256 items
//! at most before others have theirs, and on 4096 of all before what came meanwhile is looked at. A panic ends at its
//! seat. What they leave behind is written into one outbox, one topic after the other, and [leaves](outgoing) when
//! the host's turn is over: outputs first, then facts.
//!
//! **Order.** What is promised, and which edge keeps it:
//!
//! | relation | kept by |
//! |---|---|
//! | what one peer says about one topic | handle → that topic's desk; for a topic without actor, handle → supervisor |
//! | a peer's connections and disconnections | handle → supervisor, entered under the peer's lock in the directory |
//! | a connection's name before its number | the directory holds it before anybody is told; it is gone before topics hear of the end |
//! | a connection before what the peer says | the directory holds it before `p2p_input` returns; the input carries it |
//! | the application's join before what arrives after it | the topic's address is in the directory, join sent first, before `app_input` returns |
//! | SUBSCRIBE before GRAFT, PRUNE before UNSUBSCRIBE | both from the topic, after the supervisor's Welcome or Farewell |
//! | ping, then grafts, then prunes of a heartbeat | supervisor emits, then orders; a topic emits, then reports; router is FIFO |
//! | outputs of a topic to a peer | the topic's host → router |
//! | a score before what follows from it | supervisor publishes scores before it sends orders |
//! | messages of one batch or one check, to the application | supervisor has one order out at a time |
//!
//! Nothing else is ordered.
//!
//! **PeerDeliveries** are counted by the topic, and told to the supervisor at each heartbeat, before anything that
//! changes their worth (graft, prune, leave), and when somebody waits for it (`settle`): one word a peer does for
//! hundreds of messages. Until then a score lacks what a peer did well, for a heartbeat at most; what it did badly
//! is told at once.
//!
//! **Time.** What a peer or the application says is stamped when it comes, not when it is handled. Full messages,
//! most of what comes, share a stamp: those that are taken out of a desk together came when the first of them
//! did. A copy is so never taken for late because we are.
//!
//! **BusyCount.** An inbox that is not empty, or whose owner has not handed on what follows from what it took, holds a
//! ticket; so does each verdict that is awaited, and each topic whose actor is about to begin. Without tickets the
//! engine is settled.
//!
//! **Waiting.** A join or leave needs to know who is connected, which the supervisor knows: the
//! topic tells it, and holds back all but orders until the answer comes. A heartbeat has two halves
//! with a barrier at the supervisor, because what one topic prunes changes the scores by which
//! another chooses.
//!
//! **Ends.** A topic that panics gets a new actor at the same address; what the host had taken out for it is lost. More
//! than five times a minute, and it is given up. A panic of supervisor, router or host ends the engine: both
//! streams end, `completion` tells the cause. A topic that needs no actor retires, unless the application
//! told it something since it said so: its state goes to the supervisor, which answers for it until it is joined or
//! published to again.

pub(crate) mod arbiter;
pub(crate) mod diagnostics;
pub(crate) mod fault;
pub(crate) mod heartbeat;
pub(crate) mod inbox;
pub(crate) mod mesh;
pub(crate) mod pool;
pub(crate) mod router;
pub(crate) mod shared;
pub(crate) mod supervisor;
pub(crate) mod topic_table;
