//! The mesh actor: one for each topic that is joined or published to. It owns the topic's state (mesh, fanout,
//! backoffs, message cache, seen messages, subscribers) and handles SUBSCRIBE, UNSUBSCRIBE, GRAFT, PRUNE, IHAVE, IWANT
//! and full messages. Inputs of peers, commands of the application and commands of the supervisor come in order through
//! the arbiter's mailbox, as [`TopicItem`](messages::TopicItem)s; queries come as actix messages. Its outputs go to the
//! router, its events to the supervisor.

pub(crate) mod actor;
pub(crate) mod messages;
pub(crate) mod peer_message;
mod publish;
pub(in crate::actors) mod run;
pub(in crate::actors) mod validation;
