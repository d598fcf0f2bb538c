//! The events of a node, for the observer that its driver was given.

use std::fmt;

use ::libp2p::{Multiaddr, PeerId, ping, swarm::DialError};

use crate::{
    libp2p::{network::Libp2pNetwork, swarm::event::Event},
    network::P2pInput,
};

/// An event of a node, for the observer that its driver was given.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeEvent<'a> {
    /// The node listens on this address.
    Listening(&'a Multiaddr),
    /// The node no longer listens on this address.
    ListenerExpired(&'a Multiaddr),
    /// An input is about to be passed to the engine: a connection, a subscription, a message, … Emitted once for each
    /// input, even if the engine has no room for it at first.
    Input(&'a P2pInput<Libp2pNetwork>),
    /// The engine refused an input, for this reason, and the input is lost: the engine has ended, or the peer has
    /// disconnected while the input was pending.
    Refused(&'a P2pInput<Libp2pNetwork>, &'a dyn fmt::Debug),
    /// The engine has no room for the inputs of this peer, for this reason. The peer is not read until
    /// [`Resumed`](Self::Resumed).
    Paused(PeerId, &'a dyn fmt::Debug),
    /// The engine has taken all pending inputs of a peer.
    Resumed(PeerId),
    /// An event of the gossipsub behaviour, except [`Event::Inputs`].
    Gossipsub(&'a Event),
    /// A dial failed; the peer, if it is known.
    DialFailed(Option<PeerId>, &'a DialError),
    /// A peer did not answer a ping: its connection is closed.
    PingFailed(PeerId, &'a ping::Failure),
}
