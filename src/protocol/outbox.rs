//! What handling an input leaves behind: outputs, facts for the peers' side, orders for the topics'
//! side. Carries; never decides.

use std::{fmt, sync::Arc};

use derive_where::derive_where;

use super::{
    Timestamp, credits::Deliveries, delivery::Handling, link::Link, peers::Standing, stats::Stats,
    tally::Tally, unread::Unread,
};
use crate::{
    limits::Limits,
    network::{AppOutput, Delivery, FullMessage, Later, Network, P2pMessage, P2pOutput, Validity},
};

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
            Self::Answer => "iwant_response",
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
pub enum Emission<N: Network> {
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

impl<N: Network> Emission<N> {
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

/// What a topic may know of the peers beyond their links.
pub(crate) trait Roster<N: Network> {
    /// How a peer stands: its connection, if it has one, and its score, if it has one.
    fn standing(&self, peer: &N::Peer) -> Standing;

    /// Whether surely nobody's score is below this; `false` says nothing.
    fn none_below(&self, score: f64) -> bool;

    /// Whether anybody's IDONTWANT is remembered; cheap.
    fn has_unwanted(&self) -> bool {
        false
    }

    /// Whether a peer said that it does not want this message.
    fn is_unwanted(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        let _ = (peer, id);
        false
    }

    /// Those of these connections that are up, each with its peer, in their order.
    fn named(&self, links: &mut dyn Iterator<Item = Link>) -> Vec<(N::Peer, Link)>;

    /// A peer's score; zero for one without.
    fn score(&self, peer: &N::Peer) -> f64 {
        self.standing(peer).score.unwrap_or_default()
    }
}

/// What a state machine of a topic is given with each input.
pub(crate) struct Context<'a, N: Network> {
    pub(crate) network: &'a N,
    pub(crate) limits: &'a Limits<N::Topic>,
    pub(crate) roster: &'a dyn Roster<N>,
    pub(crate) now: Timestamp,
}

/// What a topic leaves behind.
#[derive_where(Debug, Default)]
pub(crate) struct Outbox<N: Network> {
    pub(crate) p2p: Vec<Unread<N>>,
    pub(crate) app: Vec<AppOutput<N>>,
    pub(crate) facts: Vec<Fact<N>>,
    pub(crate) stats: Stats,
    pub(crate) tally: Tally,
    /// Verdicts that come later, each to be handed back to
    /// [`TopicState::resolve`](super::topic::TopicState).
    pub(crate) later: Vec<Validation<N>>,
    /// The copy of a message that was had already: of no more use, but whoever brought it may want its memory back.
    pub(crate) copy: Option<Arc<FullMessage<N>>>,
    /// Ids that entered (true) or left the history, for networks whose ids don't name their topic.
    pub(crate) history: Vec<(N::MessageId, bool)>,
}

/// A message and its verdict to come.
pub(crate) struct Validation<N: Network> {
    pub(crate) message: Arc<FullMessage<N>>,
    pub(crate) verdict: Later<Validity>,
}

impl<N: Network> fmt::Debug for Validation<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validation").field(&self.message).finish()
    }
}

/// What a topic tells the peers' side. Facts of one topic are folded in the order they came about.
#[derive_where(Clone, Debug)]
pub(crate) enum Fact<N: Network> {
    /// A connection is subscribed to the topic now.
    Subscribed(N::Peer, Link),
    /// It is not any more.
    Unsubscribed(N::Peer, Link),
    /// A SUBSCRIBE was refused for the cap on topics.
    TopicLimitExceeded(N::Peer),
    Grafted(N::Peer, Link),
    Pruned(N::Peer, Link),
    /// Each peer once.
    Delivered(Vec<Deliveries<N>>),
    InvalidMessage(N::Peer),
    /// P7.
    Misbehaved(N::Peer, u32),
    /// A PRUNE of a mesh peer carried these peers.
    PxOffered(N::Peer, Vec<N::Peer>),
    /// The topic was joined, and waits for [`Order::Welcome`].
    Joined,
    /// The topic was left, and waits for [`Order::Farewell`].
    Left,
    /// A message whose validity is unknown.
    Park(Delivery<N>),
    /// A message for the pending batch.
    Batch(Delivery<N>),
    /// The order to maintain is done; the topic waits for [`Order::Conclude`].
    Maintained(Maintenance<N>),
    /// The order to conclude is done: the topic's part of the heartbeat is.
    Concluded,
    /// An order to retry or to apply verdicts is done.
    Dispatched,
}

/// What a heartbeat changed in a mesh, and found.
#[derive_where(Clone, Debug, Default)]
pub(crate) struct Maintenance<N: Network> {
    pub(crate) grafted: Vec<(N::Peer, Link)>,
    pub(crate) pruned: Vec<Pruned<N>>,
    /// Who broke a promise.
    pub(crate) broken: Vec<N::Peer>,
}

impl<N: Network> Maintenance<N> {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { grafted, pruned, broken } = self;
        grafted.is_empty() && pruned.is_empty() && broken.is_empty()
    }
}

/// A peer that a heartbeat pruned.
#[derive_where(Clone, Debug)]
pub(crate) struct Pruned<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) link: Link,
    /// Its score is negative: it gets no px.
    pub(crate) no_px: bool,
}

/// What the peers' side tells a topic.
#[derive_where(Clone, Debug)]
pub(crate) enum Order<N: Network> {
    /// These peers are connected: tell them that we joined.
    Welcome(Arc<[N::Peer]>),
    /// These peers are connected: tell them that we left.
    Farewell(Arc<[N::Peer]>),
    /// A peer connected: tell it that we are in this topic.
    Announce(N::Peer),
    /// A connection is gone.
    Gone(N::Peer, Link),
    /// A parked message is decidable.
    Retry(Delivery<N>, Handling),
    /// The verdicts on a batch's messages of this topic; `None` where the application gave none.
    Verdicts(Vec<(Delivery<N>, Option<Validity>)>),
    /// First half of a heartbeat: clean up and maintain; answered by [`Fact::Maintained`].
    Maintain(u64),
    /// Second half: all topics' changes are in the scores; send prunes and gossip. Answered by
    /// [`Fact::Concluded`].
    Conclude,
}

impl<N: Network> Outbox<N> {
    /// Whether nothing was left behind; what was counted is no matter.
    pub(crate) fn is_silent(&self) -> bool {
        let Self { p2p, app, facts, later, history, copy: _, stats: _, tally: _ } = self;
        p2p.is_empty() && app.is_empty() && facts.is_empty() && later.is_empty() && history.is_empty()
    }

    /// Sends a control message. A bootstrap peer gets neither gossip nor requests.
    pub(crate) fn send(&mut self, to_peer: N::Peer, link: Option<Link>, message: P2pMessage<N>) {
        let bootstrap = link.is_some_and(Link::is_bootstrap);
        if bootstrap && matches!(message, P2pMessage::IHave { .. } | P2pMessage::IWant { .. }) {
            return;
        }
        match &message {
            P2pMessage::Graft { .. } => self.stats.count_sent_grafts += 1,
            P2pMessage::Prune { .. } => self.stats.count_sent_prunes += 1,
            P2pMessage::IHave { .. } => self.stats.count_sent_ihaves += 1,
            P2pMessage::IWant { .. } => self.stats.count_sent_iwants += 1,
            _ => {}
        }
        self.p2p.push(P2pOutput::OutMessage { to_peer, message }.into());
    }

    /// Offers the same messages to all of `to`, none of whom is a bootstrap peer.
    pub(crate) fn gossip(&mut self, to: Vec<Link>, message: P2pMessage<N>) {
        if !to.is_empty() {
            self.stats.count_sent_ihaves += to.len() as u64;
            self.p2p.push(Unread::Gossip { to, message });
        }
    }

    /// Tells all of `to`, none of whom is a bootstrap peer, not to send a message.
    pub(crate) fn decline(&mut self, to: Vec<Link>, id: N::MessageId) {
        if !to.is_empty() {
            let message = P2pMessage::IDontWant { message_ids: vec![id] };
            self.p2p.push(Unread::Gossip { to, message });
        }
    }

    /// Sends a full message to all of `to`, none of whom is a bootstrap peer.
    pub(crate) fn broadcast(&mut self, to: Vec<N::Peer>, message: &Arc<FullMessage<N>>, lane: Lane) {
        if !to.is_empty() {
            self.stats.count_sent_app_messages += to.len() as u64;
            self.p2p.push(Unread::Broadcast { to, message: Arc::clone(message), lane });
        }
    }
}
