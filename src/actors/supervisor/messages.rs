//! TODO header.

use tokio::sync::oneshot;

use crate::{
    actors::{
        arbiter::mailbox::TopicAddr,
        mesh::messages::{PeersQuery, Snapshot, TopicItem},
    },
    network::{Delivery, Direction, Network, PeerKind, Validity},
    protocol::{connection::ConnectionId, exchange::event::TopicEvent, topic::TopicState},
    timestamp::Timestamp,
};

/// To the supervisor.
pub(crate) enum SupervisorItem<N: Network> {
    /// From the handle, in the order of each peer's connections.
    Connect {
        peer: N::Peer,
        direction: Direction,
        kind: PeerKind,
        connection_id: ConnectionId,
    },
    Disconnect {
        peer: N::Peer,
        at: Timestamp,
    },
    /// From the handle: the application speaks of peers and points.
    SetApplicationScore {
        peer: N::Peer,
        score: f64,
    },
    SetUnreachablePoint(N::Point),
    /// From the handle: the p2p layer says so.
    SlowPeer(N::Peer),
    /// From the handle: something about a topic that has no actor.
    Topic {
        topic: N::Topic,
        item: TopicItem<N>,
    },
    /// From the handle: a topic needs an actor; its address is in the directory already.
    Spawn {
        topic: N::Topic,
        address: TopicAddr<N>,
    },
    /// From a topic: what it came to know.
    Facts {
        topic: N::Topic,
        facts: Vec<TopicEvent<N>>,
        at: Timestamp,
    },
    /// From a topic: it has nothing to do, after so many of the application's commands.
    Idle(N::Topic, u32),
    /// From a topic that retired.
    Retired(Box<TopicState<N>>),
    /// From the seat of a topic that panicked.
    Panicked(N::Topic),
    /// From the heartbeat, or from whoever drives the engine by hand.
    Tick,
    CheckParked,
    ProcessBatch,
    /// From a validation of a batch: its verdicts, none if it took too long.
    BatchVerdicts {
        batch: Vec<Delivery<N>>,
        verdicts: Vec<Validity>,
    },
    /// Questions of the handle.
    Inspect(oneshot::Sender<Snapshot<N>>),
    Look(PeersQuery<N>),
    /// The topics that follow this one, at most so many.
    Topics(Option<N::Topic>, usize, oneshot::Sender<Vec<TopicLocation<N>>>),
    Delays(oneshot::Sender<Vec<(N::Point, i64)>>),
    BatchDeadline(oneshot::Sender<Option<Timestamp>>),
    /// The last item.
    Stop(oneshot::Sender<()>),
}

/// A topic, with its address if it has an actor.
pub(crate) type TopicLocation<N> = (<N as Network>::Topic, Option<TopicAddr<N>>);
