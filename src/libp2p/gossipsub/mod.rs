//! Gossipsub as one behaviour, with the API of rust-libp2p's gossipsub: an application that uses that one changes its
//! imports. `docs/migration.md` goes through it call by call.
//!
//! ```no_run
//! use actix_gossipsub::libp2p::{Keypair, gossipsub, libp2p::Swarm};
//! # use libp2p::{noise, tcp, yamux, futures::StreamExt, swarm::SwarmEvent};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Keypair::generate_ed25519();
//! let signed = gossipsub::MessageAuthenticity::Signed(key.clone());
//! let mut gossipsub = gossipsub::Behaviour::new(signed, gossipsub::Config::default())?;
//! gossipsub.subscribe(&gossipsub::IdentTopic::new("news"))?;
//! // Or one of several behaviours, by #[derive(NetworkBehaviour)].
//! let mut swarm: Swarm<gossipsub::Behaviour> = libp2p::SwarmBuilder::with_existing_identity(key)
//!     .with_tokio()
//!     .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
//!     .with_behaviour(|_| gossipsub)?
//!     .build();
//! loop {
//!     if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = swarm.select_next_some().await {
//!         println!("{}", String::from_utf8_lossy(&message.data));
//!     }
//! }
//! # }
//! ```
//!
//! # Where it runs
//!
//! The behaviour is `Send` and needs no actix system; the swarm is polled in a tokio runtime, which may be that of an actix
//! system. The engine starts when the swarm is polled for the first time, or at the first publication; that thread decides.
//!
//! | part | `#[tokio::main]` | in an actix system | with [`on_arbiters`](ConfigBuilder::on_arbiters) |
//! |---|---|---|---|
//! | the swarm, and with it this behaviour | the task that polls it, on any worker | the arbiter that polls it | the same |
//! | a connection: frames, signatures, message ids | a task of the swarm's executor, on the runtime's workers | a task of the same arbiter; in the [ready-made swarm](crate::libp2p) on threads of its own | the same |
//! | supervisor, heartbeat, router | the thread `gossipsub` of an actix system that the engine runs | the first of the arbiters that the engine spawns in the caller's system | the first of these arbiters |
//! | topics, validators | that thread and further arbiters beside it, one for each core; see [`arbiters`](ConfigBuilder::arbiters) | the arbiters that the engine spawns, one for each core | these arbiters; the engine starts no thread |
//! | the end | the threads end when the behaviour is dropped | the same, and with the system | the arbiters stay with their owner |
//!
//! # How fresh the answers are
//!
//! Methods answer at once and ask no actor. [`topics`](Behaviour::topics) is up to date.
//! [`mesh_peers`](Behaviour::mesh_peers), [`all_mesh_peers`](Behaviour::all_mesh_peers) and
//! [`all_peers`](Behaviour::all_peers) are those of the events that the engine had reported when the swarm was polled last, at
//! most one event of the swarm before the events [`Graft`](Event::Graft), [`Prune`](Event::Prune),
//! [`Subscribed`](Event::Subscribed) and [`Unsubscribed`](Event::Unsubscribed).
//! [`peer_protocol`](Behaviour::peer_protocol) follows the connections of the swarm. [`peer_score`](Behaviour::peer_score)
//! is the score that topics use: it has all penalties so far, and the deliveries up to the last heartbeat. The
//! [`Worker`](crate::Worker) answers further questions exactly, and asynchronously.
//!
//! # Bounds
//!
//! A poll does a bounded amount of work. The engine is given inputs only when all of its events are returned, so that an
//! application that polls seldom slows down its peers and queues nothing without bound. When the engine has no room for the
//! inputs of a peer, that peer is not read. Of events, only [`Penalty`](Event::Penalty) is ever dropped, beyond 4,096 of them,
//! and [`EventsLost`](Event::EventsLost) has their number.
//!
//! # What is missing
//!
//! `docs/migration.md` lists the calls and settings of rust-libp2p's gossipsub that are not here. There is no method that
//! silently does nothing.

mod behaviour;
mod config;
mod error;
mod hooks;
mod message;
mod message_ids;
mod message_life;
mod peer_events;
mod peer_settings;
mod peers;
mod poll;
mod publish_batch;
mod relay;
mod room;
mod running;
mod score;
mod topic;

pub use self::{
    behaviour::Behaviour,
    config::{Config, ConfigBuilder},
    error::{BehaviourError, ConfigBuilderError, PublishError, ScoreError, SubscriptionError},
    message::{Event, FailedMessages, Message, MessageAcceptance, PeerKind},
    score::{
        PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay,
        score_parameter_decay_with_base,
    },
    topic::{Hasher, IdentTopic, IdentityHash, Sha256Hash, Sha256Topic, Topic, TopicHash},
};
#[cfg(feature = "snappy")]
pub use crate::libp2p::transform::snappy::SnappyTransform;
pub use crate::libp2p::{
    connection::capabilities::{ProtocolId, ProtocolVersion as Version},
    ids::MessageId,
    network::SubscriptionFilter,
    presets::{ethereum_message_id, filecoin_message_id},
    signature::{authenticity::MessageAuthenticity, validation::ValidationMode},
    swarm::event::Event as TransportEvent,
    transform::{DataTransform, IdentityTransform, RawMessage},
};
