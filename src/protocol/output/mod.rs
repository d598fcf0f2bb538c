//! TODO header.

pub(crate) mod expand;
pub(crate) mod pending;

use std::sync::Arc;

use derive_where::derive_where;

use crate::network::{FullMessage, Network, P2pMessage, P2pOutput};

/// How urgent an output is, most urgent first. What is less urgent goes first when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Who is in which topic and mesh, who is still there, and whom to connect to. Never dropped.
    Control,
    /// Full messages that the application publishes.
    Publish,
    /// Full messages of others.
    Forward,
    /// Full messages that a peer asked for.
    Answer,
    /// Offers, requests and refusals: IHAVE, IWANT, IDONTWANT. The last are written ahead of full messages all the
    /// same: after them they are worth nothing.
    Gossip,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 5] = [Self::Control, Self::Publish, Self::Forward, Self::Answer, Self::Gossip];

    /// Its name, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Publish => "publish",
            Self::Forward => "forward",
            Self::Answer => "answer",
            Self::Gossip => "gossip",
        }
    }

    /// Of what is for one peer.
    pub(crate) fn of<N: Network>(output: &P2pOutput<N>) -> Self {
        let P2pOutput::OutMessage { message, .. } = output else { return Self::Control };
        match message {
            P2pMessage::IHave { .. } | P2pMessage::IWant { .. } | P2pMessage::IDontWant { .. } => {
                Self::Gossip
            }
            P2pMessage::FullMessage(_) => Self::Forward,
            _ => Self::Control,
        }
    }

    /// How many places there are for what waits in lanes: one a lane, and one for IDONTWANTs.
    pub(crate) const PLACES: usize = Self::ALL.len() + 1;

    /// Where an output of this lane waits, in the order in which places are read.
    pub(crate) fn place(self, idontwant: bool) -> usize {
        match self {
            Self::Control => 0,
            Self::Gossip if idontwant => 1,
            lane => lane as usize + 1,
        }
    }

    /// The places of what is less urgent than this lane, the first to be given up first.
    pub(crate) fn less_urgent(self) -> &'static [usize] {
        const GIVEN_UP: [usize; Lane::PLACES - 1] = [5, 1, 4, 3, 2];
        match self {
            Self::Gossip => &[],
            lane => &GIVEN_UP[..Self::ALL.len() - lane as usize],
        }
    }
}

/// One output for the p2p layer. What is said to many peers is one item until somebody reads it.
#[derive_where(Clone, Debug)]
pub enum OutputBatch<N: Network> {
    /// Send a full message to each of these peers.
    Broadcast {
        /// The recipients, ascending.
        to: Vec<N::Peer>,
        /// The message.
        message: Arc<FullMessage<N>>,
        /// Why it is sent.
        lane: Lane,
    },
    /// Tell each of these peers the same.
    Gossip {
        /// Whom, none of them twice.
        to: Vec<N::Peer>,
        /// What: an IHAVE, or an IDONTWANT.
        message: P2pMessage<N>,
    },
    /// Do this.
    Output(P2pOutput<N>),
}

impl<N: Network> OutputBatch<N> {
    /// How many of the seed's items it stands for.
    pub fn count(&self) -> usize {
        match self {
            Self::Broadcast { to, .. } | Self::Gossip { to, .. } => to.len(),
            Self::Output(_) => 1,
        }
    }

    /// How urgent it is.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Broadcast { lane, .. } => *lane,
            Self::Gossip { .. } => Lane::Gossip,
            Self::Output(output) => Lane::of(output),
        }
    }
}
