//! The actors: they translate, call the protocol's state machines, and flush. They never decide.
//!
//! ```text
//!   transport ──┐                      ┌── facts ──▶ supervisor ◀── heartbeat
//!               ├─▶ handle ─▶ inbox ─▶ mesh actor        │
//!   application ┘      │               ▲  │   └ orders ◀─┤
//!                      └───────────────┼──┼─────────────▶│
//!                                      │  └─ outputs ─▶ router ─▶ p2p stream, app stream
//! ```
//!
//! **Inboxes.** Each actor has an [`inbox`]: a queue that wakes the actor's task once a burst.
//! Whatever must stay in order goes through one inbox; everything in it is handled in that order.
//!
//! **Desks.** What a topic's burst leads to is written into an outbox that all topics of one arbiter share, one
//! after the other: a [`desk`]. It is empty again when the burst is handed on.
//!
//! **Order.** What is promised, and which edge keeps it:
//!
//! | relation | kept by |
//! |---|---|
//! | what one peer says about one topic | handle → that topic's inbox; for a topic without actor, handle → supervisor |
//! | a peer's connections and disconnections | handle → supervisor, entered under the peer's lock in the directory |
//! | a connection before what the peer says | the directory holds it before `p2p_input` returns; the input carries it |
//! | the application's join before what arrives after it | the topic's inbox is in the directory, join first, before `app_input` returns |
//! | SUBSCRIBE before GRAFT, PRUNE before UNSUBSCRIBE | both from the topic's actor, after the supervisor's Welcome or Farewell |
//! | ping, then grafts, then prunes of a heartbeat | supervisor emits, then orders; a topic emits, then reports; router is FIFO |
//! | outputs of a topic to a peer | mesh actor → router |
//! | a score before what follows from it | supervisor publishes scores before it sends orders |
//! | messages of one batch or one check, to the application | supervisor has one order out at a time |
//!
//! Nothing else is ordered.
//!
//! **Deliveries** are counted by the topic, and told to the supervisor at each heartbeat, before anything that
//! changes their worth (graft, prune, leave), and when somebody waits for it (`settle`): one word a peer does for
//! hundreds of messages. Until then a score lacks what a peer did well, for a heartbeat at most; what it did badly
//! is told at once.
//!
//! **Time.** What a peer or the application says is stamped when it comes, not when it is handled. Full messages,
//! most of what comes, share a stamp: those that are taken out of an inbox together came when the first of them
//! did. A copy is so never taken for late because we are.
//!
//! **Load.** An inbox that is not empty, or whose actor has not handed on what follows from what it took, holds a
//! ticket; so does each verdict that is awaited. Without tickets the engine is settled.
//!
//! **Waiting.** A join or leave needs to know who is connected, which the supervisor knows: the
//! topic tells it, and holds back all but orders until the answer comes. A heartbeat has two halves
//! with a barrier at the supervisor, because what one topic prunes changes the scores by which
//! another chooses.
//!
//! **Ends.** A mesh actor that panics is started anew on the same inbox, what it held is lost; more
//! than five times a minute, and its topic is given up. A panic of supervisor or router ends the
//! engine: both streams end, `completion` tells the cause. A topic that needs no actor retires: its
//! state goes to the supervisor, which answers for it until it is joined or published to again.

mod attendance;
pub(crate) mod clock;
pub(crate) mod desk;
pub(crate) mod heartbeat;
pub(crate) mod inbox;
pub(crate) mod journal;
mod log;
pub(crate) mod messages;
pub(crate) mod pool;
pub(crate) mod pulse;
mod restarts;
pub(crate) mod router;
mod sample;
pub(crate) mod saying;
pub(crate) mod shared;
pub(crate) mod supervisor;
mod topic;
mod validation;
