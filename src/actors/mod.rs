//! The actors of an engine: they run the protocol's state machines on several threads, and send the results to each
//! other and to the output streams.
//!
//! # Who owns what
//!
//! ```text
//!                                        full messages, GRAFT, ...            outputs
//!   transport ───┐                      ┌──────────────▶ mesh actors ──────────────────▶ router ──▶ p2p stream
//!                ├──▶ handle (Worker) ──┤                 │       ▲                        ▲  └───▶ app stream
//!   application ─┘                      │          events │       │ commands      outputs │
//!                                       │                 ▼       │                        │
//!                                       └──────────────▶ supervisor ───────────────────────┘
//!                                          connections,       ▲
//!                                          scores, queries    │ ticks
//!                                                         heartbeat
//! ```
//!
//! | actor | how many | state that it owns | messages that it takes |
//! |---|---|---|---|
//! | [`SupervisorActor`](supervisor::actor::SupervisorActor) | 1 | peers, their subscriptions, scores, parked messages, batches | [`supervisor::messages`] |
//! | [`MeshActor`](mesh::actor::MeshActor) | 1 for each active topic | the topic: mesh, fanout, backoffs, message cache, subscribers | [`mesh::messages`] |
//! | [`HeartbeatActor`](heartbeat::actor::HeartbeatActor) | 1 | the timer | its own timer |
//! | [`RouterActor`](router::actor::RouterActor) | 1 | nothing but its queue | [`router::messages`] |
//! | [`ArbiterActor`](arbiter::actor::ArbiterActor) | 1 for each arbiter | the index of the arbiter's mesh actors | [`arbiter::mailbox::Envelope`] |
//!
//! Supervisor, router and heartbeat run on the first arbiter, topics on all arbiters in turn. A topic is *active*, with
//! an actor, while it is joined, published to or remembers messages. Any other topic is *passive*. It has no state: its
//! subscribers are in the connections of the supervisor's peers, and so are the backoffs of GRAFTs on it that were refused. The
//! supervisor handles its inputs ([`PassiveTopic`](crate::protocol::passive::PassiveTopic)); a heartbeat visits only topics with
//! an actor. A topic that becomes active takes its subscribers and backoffs from the supervisor, with one lookup for each
//! connection. What all threads may read without asking an actor is in
//! [`Shared`](shared::Shared): the directory (connections and scores) and the [topic table](topic_table) (who has an
//! actor, and where).
//!
//! # Mailboxes
//!
//! Supervisor, router and each arbiter have an [`Inbox`](inbox::Inbox) in place of actix' mailbox: a queue that wakes
//! the actor's task once a burst, however many items arrive, and that counts as work until its items are handled
//! completely. Messages of the handle about peers and queries are actix messages: the supervisor has a `Handler` for
//! each, and they travel as actix envelopes in its inbox, so that they keep their order with connections, ticks and
//! events.
//!
//! Mesh actors share the [mailbox of their arbiter](arbiter::mailbox). A burst of messages often concerns many topics,
//! a few messages each, and to wake one task a topic would cost more than it seems. One actix message for each topic in
//! a drain was measured (workload W, one arbiter, 50 peers, instructions an input): 2,087 in place of 1,936 with 10
//! topics (+7.8 %), and 2,322 in place of 1,996 with 1,000 topics (+16.4 %). So the arbiter's actor drains the mailbox
//! once, groups the items by topic, and runs each topic on its items in turn. It borrows the topic's state for that
//! from the mesh actor, which owns it in an `Rc<RefCell<_>>` on the same thread. Queries go through the mesh actor's
//! own handler.
//!
//! A topic handles at most 256 items before other tasks of its arbiter run. After 4,096 items of one batch the mailbox
//! is drained again, so that a flood on one topic does not delay the others. Topics write their results into one
//! outbox, one after the other; [outputs, then events](mesh::run::Outgoing) are sent when the turn ends.
//!
//! # Order
//!
//! | relation | kept by |
//! |---|---|
//! | the messages of one peer about one topic | handle → the topic's arbiter mailbox; for a passive topic, handle → supervisor |
//! | connections and disconnections of a peer | handle → supervisor, sent under the peer's lock in the directory |
//! | a connection is in the directory before any actor receives its id, and removed before topics receive the disconnection | the directory changes first, then the supervisor is sent the message |
//! | a connection before the messages of the peer | the directory has it before `p2p_input` returns, and the input carries it |
//! | a connection before an application score, a slow-peer report or a query that follows it; all of them before a later tick | handle → supervisor, one inbox |
//! | the application's join before messages that arrive after it | the topic table has the topic's address, and the mailbox the join, before `app_input` returns |
//! | what the application decides about a direct peer before the connections of the peer that follow | handle → supervisor, sent under the peer's lock in the directory |
//! | new limits in the order in which they are in force | handle → supervisor, sent while no other change is made |
//! | an offer of missed messages after the messages themselves | the topic sent the messages before they could be dropped |
//! | a query after every input accepted before it | it is queued behind them: in the topic's arbiter mailbox or in the supervisor's inbox |
//! | the announcement of all topics to a new peer before any other output for its connection | handle → router, sent under the peer's lock in the directory |
//! | SUBSCRIBE before GRAFT, PRUNE before UNSUBSCRIBE | the topic sends both, after the supervisor has confirmed the join or leave; announcements are expanded in the order in which they are read |
//! | the ping, the grafts, then the prunes of a heartbeat | the supervisor sends outputs before commands, a topic outputs before events; the router is FIFO |
//! | the outputs of a topic to a peer | the topic's arbiter → router; the messages of a batch of publications come after what each topic sent before, by the last topic that handles one |
//! | a score before the commands that follow from it | the supervisor publishes scores before it sends commands |
//! | the messages of one batch or one parked check, to the stream that topics share | the supervisor has one such command in flight |
//! | the messages of a topic to its subscription; those before a leave before the end of the stream | the topic's actor sends both |
//!
//! Nothing else is ordered.
//!
//! **Limits** that change are in force for all threads at once ([`CurrentLimits`](crate::directory::limits::CurrentLimits)):
//! an item is handled under those that were in force when its handling began. What follows from them and is stored (scores, and
//! the parameters of each topic) follows when the supervisor has the message about them, and the topics its command.
//!
//! **Time.** Inputs of peers and of the application have the time at which they arrived, not the time at which they are
//! handled. Full messages, which are most inputs, share a time: that of the first one in their batch. So a duplicate
//! never counts as late because the engine was slow.
//!
//! **Joins and leaves** change scores, which the supervisor owns, and the PRUNEs of a leave offer peers by these scores. The
//! topic reports the join or leave and defers all items until the confirmation arrives, queries too.
//!
//! **Announcements.** A join or leave is one output for all peers, and a new connection one output for all topics. The reader
//! of the p2p stream expands them from what it has read before
//! ([`Announcements`](crate::protocol::output::announcements::Announcements)), so their order in the queue decides what each
//! peer knows, and neither the supervisor nor a topic needs a list of peers for it.
//!
//! **Heartbeats** have two phases with a barrier at the supervisor, because the prunes of one topic change the scores
//! with which another topic selects peers.
//!
//! **Deliveries** are counted by the topic. It reports them to the supervisor at each heartbeat, before a change on
//! which their value depends (graft, prune, leave), and in `settle`: one report stands for hundreds of messages. Until
//! then a score lacks the peer's latest deliveries. Penalties are reported at once.
//!
//! # Back-pressure
//!
//! Each input of a peer or publication of the application has a credit, which admission grants within the limits
//! (`bounds.max_input_items`, `bounds.max_input_bytes`) and which is released when the input is handled. So mailboxes
//! and inboxes are bounded by the limits on inputs, and need none of their own. A message that a topic keeps is
//! [charged](crate::admission::charge::Charge) to the same bytes when its credit is released. The charge travels with the
//! message through validation, batches, parked messages, the router and the streams, and ends when the last of them has
//! dropped it; so admission refuses inputs whatever is slow. While the application's stream is full,
//! or the p2p stream is full of control messages, admission refuses inputs of peers. A topic with a
//! [subscription](crate::Worker::subscribe) delivers its messages to a queue of its own, past the router; while that is full,
//! admission refuses the messages of this topic only. Connections are never refused; what a
//! connection adds to the p2p stream is removed after its end, when there are more control messages than the limit.
//!
//! A message that is not sent to a peer, because the p2p stream or the transport's queue for the peer is full, is not lost:
//! its id is stored in the directory, a bounded number for each peer. When the transport reports room for the peer, or at
//! a heartbeat if only the p2p stream was full, the topics offer what is still in their history by IHAVE. A publisher
//! that uses [`publish_when_room`](crate::Worker::publish_when_room) waits until enough earlier messages are sent. One that
//! demands a minimum of peers ([`PublishOptions`](crate::PublishOptions)) is notified where a subscription to its topic is
//! handled, and after each heartbeat; the topic decides at each attempt.
//!
//! `settle` waits until nothing is busy. An inbox with items that are not completely handled counts as busy, and so do
//! a buffered item of a topic that has not started and a validation that is awaited.
//!
//! # Failure and restart
//!
//! Each call of a hook, of the observer and of the input recorder is contained where it is made, on all threads
//! ([`Hooks`](crate::network::hooks::Hooks)): a panic has a safe result, which [`Network`](crate::Network) documents,
//! and restarts nothing.
//!
//! Any other panic in a topic (of the application's types, or a bug) restarts that topic only. The item that panicked and
//! the topic's state are lost. What the items before it left in the outbox is sent, and the items behind it wait in the
//! topic's slot. The supervisor starts a new mesh actor at the same address, with the topic's subscribers, and joined as
//! the topic table says. If the panic lost a leave or its announcement, the supervisor announces it. If the topic was
//! retiring, it is passive from then on. After more than five panics in a minute
//! the topic is given up.
//!
//! A panic of any other actor ends the engine: both streams end, and `wait_for_end` returns the cause.
//!
//! # Retirement and shutdown
//!
//! A topic that a heartbeat finds neither joined nor published to reports that it can retire. If the application has
//! given it no command since, the supervisor removes it from the topic table. The topic is passive from then on: the actor hands
//! its backoffs to the supervisor, which has its subscribers already, and ends.
//!
//! `shutdown` leaves all topics, settles and closes the inboxes and the streams. The message for it is
//! [`Shutdown`](crate::messages::Shutdown), which the [`Worker`](crate::Worker) handles. The actors take no such message: they
//! stop when their inbox is closed (the heartbeat: when the engine has ended), because a message may be lost when the caller is
//! cancelled or an arbiter stops, and a closed inbox is seen by every actor that still runs. The first arbiter runs these
//! steps, so that they go on if the caller is cancelled. The engine also ends if one of its actors
//! [panics or loses its arbiter](watch), and when the last handle is dropped; then the inboxes close at once.

pub(crate) mod arbiter;
pub(crate) mod diagnostics;
pub(crate) mod fault;
pub(crate) mod heartbeat;
pub(crate) mod inbox;
pub(crate) mod mesh;
mod missed_messages;
pub(crate) mod pool;
pub(crate) mod router;
pub(crate) mod shared;
pub(crate) mod supervisor;
pub(crate) mod topic_table;
pub(crate) mod watch;
