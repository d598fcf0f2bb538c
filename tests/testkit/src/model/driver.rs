//! Runs operations on a node and records the outcome of each.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Delivery, FullMessage, P2pInput, P2pMessage, PxPeer,
    limits::Limits,
    protocol::{
        Footprint, GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantOutcome, JoinOutcome,
        LeaveOutcome, Node, NodeOptions, NodeOutputs, PruneOutcome, PublishOutcome, ReceiveOutcome,
        Timestamp, ValidationMode, View,
    },
};

use super::{
    network::{Ids, Net, PEERS, SELF, TOPICS},
    op::{Msg, Op},
};

/// The latest time of operations. All entries can expire before the clock ends.
const LATEST: Duration = Duration::from_nanos(u64::MAX / 2);

pub struct Driver<I: Ids> {
    pub network: Arc<Net<I>>,
    pub limits: Limits<u8>,
    pub node: Node<Net<I>>,
    pub now: Timestamp,
    /// No operation moves the clock beyond this.
    latest: Timestamp,
}

/// The deliveries of a batch with their verdicts.
type BatchOutcomes<I> = Vec<(Delivery<Net<I>>, ReceiveOutcome<Net<I>>)>;

/// The outcome of an operation.
#[derive(Debug)]
pub enum Outcome<I: Ids> {
    /// The operation returns nothing.
    Silent,
    Graft(GraftOutcome),
    Prune(PruneOutcome<Net<I>>),
    IHave(IHaveOutcome<Net<I>>),
    IWant(IWantOutcome<Net<I>>),
    IDontWant(IDontWantOutcome),
    Receive(ReceiveOutcome<Net<I>>),
    Batch(BatchOutcomes<I>),
    Publish(PublishOutcome<Net<I>>),
    Join(JoinOutcome<Net<I>>),
    Leave(LeaveOutcome<Net<I>>),
    Heartbeat(HeartbeatOutcome<Net<I>>),
}

/// One operation with its outcome and the state before and after it.
pub struct Step<'a, I: Ids> {
    pub op: &'a Op,
    pub before: &'a View<Net<I>>,
    pub outcome: Outcome<I>,
    pub drained: NodeOutputs<Net<I>>,
    pub after: &'a View<Net<I>>,
    pub footprint_before: Footprint,
    pub footprint: Footprint,
}

pub fn full<I: Ids>(message: Msg) -> FullMessage<Net<I>> {
    let Msg { topic, id_topic, number, content } = message;
    FullMessage { topic, message_id: I::id(id_topic, number), message: content }
}

fn px_peers(peers: &[u32]) -> Vec<PxPeer<u32>> {
    peers.iter().copied().map(PxPeer::new).collect()
}

pub fn delivery<I: Ids>((sender, co_senders, message): &(u32, Vec<u32>, Msg)) -> Delivery<Net<I>> {
    let co_senders: std::collections::BTreeSet<_> = co_senders.iter().copied().collect();
    let message = Arc::new(full::<I>(*message));
    let mut delivery = Delivery::new(*sender, message);
    delivery.co_senders = co_senders.into_iter().collect();
    delivery
}

impl<I: Ids> Driver<I> {
    pub fn new(limits: &Limits<u8>, seed: u64, batch_interval: Option<Duration>) -> Self {
        let network = Arc::new(Net::default());
        let options = NodeOptions::default().with(|o| {
            o.self_peer = Some(SELF);
            o.seed = seed;
            o.batch_interval = batch_interval;
        });
        let node = Node::new(Arc::clone(&network), limits.clone(), options);
        Self {
            network,
            limits: limits.clone(),
            node,
            now: Timestamp::ZERO,
            latest: Timestamp::since_start(LATEST),
        }
    }

    /// Lets operations move the clock up to its maximum.
    pub fn with_unbounded_clock(self) -> Self {
        Self { latest: Timestamp::since_start(Duration::MAX), ..self }
    }

    pub fn view(&self) -> View<Net<I>> {
        self.node.view(self.now)
    }

    pub fn run(&mut self, op: &Op) -> Outcome<I> {
        self.run_peer_op(op).or_else(|| self.run_app_op(op)).unwrap_or_else(|| {
            self.run_environment_op(op);
            Outcome::Silent
        })
    }

    fn run_peer_op(&mut self, op: &Op) -> Option<Outcome<I>> {
        let (node, now) = (&mut self.node, self.now);
        let id = |(topic, number): &(u8, u16)| I::id(*topic, *number);
        Some(match op {
            Op::Connect { peer, info } => silent(node.add_peer(peer, info, now)),
            Op::Disconnect { peer } => silent(node.remove_peer(peer, now)),
            Op::Addresses { peer, addresses } => {
                let (peer, addresses) = (*peer, addresses.clone());
                node.p2p_input(P2pInput::RemoteAddresses { peer, addresses }, now);
                Outcome::Silent
            }
            Op::Subscribe { peer, topic } => silent(node.subscribe(peer, topic, now)),
            Op::Unsubscribe { peer, topic } => silent(node.unsubscribe(peer, topic, now)),
            Op::Graft { peer, topic } => Outcome::Graft(node.graft(peer, topic, now)),
            Op::Prune { peer, topic, px, backoff } => {
                Outcome::Prune(node.prune(peer, topic, px_peers(px), *backoff, now))
            }
            Op::IHave { peer, topic, ids } => {
                Outcome::IHave(node.ihave(peer, topic, ids.iter().map(id).collect(), now))
            }
            Op::IWant { peer, ids } => Outcome::IWant(node.iwant(peer, ids.iter().map(id).collect(), now)),
            Op::IDontWant { peer, ids } => {
                Outcome::IDontWant(node.idontwant(peer, ids.iter().map(id).collect(), now))
            }
            Op::Receive { sender, message, batched } => {
                let validation_mode =
                    if *batched { ValidationMode::Batched } else { ValidationMode::Sequential };
                Outcome::Receive(node.receive_message(
                    sender,
                    Arc::new(full::<I>(*message)),
                    validation_mode,
                    now,
                ))
            }
            _ => return None,
        })
    }

    fn run_app_op(&mut self, op: &Op) -> Option<Outcome<I>> {
        let (node, now) = (&mut self.node, self.now);
        Some(match op {
            Op::ApplyBatch { deliveries } => {
                Outcome::Batch(node.apply_batch(deliveries.iter().map(delivery::<I>).collect(), now))
            }
            Op::Publish { message } => Outcome::Publish(node.publish(full::<I>(*message), now)),
            Op::Join { topic } => Outcome::Join(node.join(topic, now)),
            Op::Leave { topic } => Outcome::Leave(node.leave(topic, now)),
            Op::Heartbeat => Outcome::Heartbeat(node.heartbeat(now)),
            Op::CheckParked => {
                node.check_parked(now);
                Outcome::Silent
            }
            Op::ProcessBatch => {
                node.process_batch(now);
                Outcome::Silent
            }
            Op::ApplicationScore { peer, score } => {
                node.set_application_score(peer, *score);
                Outcome::Silent
            }
            Op::Unreachable { point } => {
                node.set_unreachable_point(*point);
                Outcome::Silent
            }
            Op::SetDirect { peer, direct } => {
                node.set_direct(peer, *direct, now);
                Outcome::Silent
            }
            _ => return None,
        })
    }

    fn run_environment_op(&mut self, op: &Op) {
        let mut answers = self.network.answers();
        match op {
            Op::Advance { by } => self.now = self.now.after(*by).min(self.latest),
            Op::SetIdVerdict { number, verdict } => drop(answers.ids.insert(*number, *verdict)),
            Op::SetMessageVerdict { number, verdict } => drop(answers.messages.insert(*number, *verdict)),
            Op::Filter { peer, action, allowed: true } => drop(answers.denied.remove(&(*peer, *action))),
            Op::Filter { peer, action, allowed: false } => drop(answers.denied.insert((*peer, *action))),
            Op::BatchLength { wrong } => answers.wrong_length = *wrong,
            other => unreachable!("{other:?} does not change the environment"),
        }
    }

    /// Runs an operation as an input of the worker, if there is such an input.
    pub fn run_as_input(&mut self, op: &Op) {
        let id = |(topic, number): &(u8, u16)| I::id(*topic, *number);
        let received = |from: &u32, message| P2pInput::InMessage { from_peer: *from, message };
        let input = match op {
            Op::Connect { peer, info } => P2pInput::NewConnection { peer: *peer, info: info.clone() },
            Op::Disconnect { peer } => P2pInput::Disconnection { peer: *peer },
            Op::Addresses { peer, addresses } => {
                P2pInput::RemoteAddresses { peer: *peer, addresses: addresses.clone() }
            }
            Op::Subscribe { peer, topic } => received(peer, P2pMessage::subscribe(*topic)),
            Op::Unsubscribe { peer, topic } => received(peer, P2pMessage::Unsubscribe { topic: *topic }),
            Op::Graft { peer, topic } => received(peer, P2pMessage::Graft { topic: *topic }),
            Op::Prune { peer, topic, px, backoff } => {
                received(peer, P2pMessage::Prune { topic: *topic, px: px_peers(px), backoff: *backoff })
            }
            Op::IHave { peer, topic, ids } => {
                let message_ids = ids.iter().map(id).collect();
                received(peer, P2pMessage::IHave { topic: *topic, message_ids })
            }
            Op::IWant { peer, ids } => {
                received(peer, P2pMessage::IWant { message_ids: ids.iter().map(id).collect() })
            }
            Op::IDontWant { peer, ids } => {
                received(peer, P2pMessage::IDontWant { message_ids: ids.iter().map(id).collect() })
            }
            Op::Publish { message } => return self.app_input(AppInput::Publish(full::<I>(*message))),
            Op::Join { topic } => return self.app_input(AppInput::Join(*topic)),
            Op::Leave { topic } => return self.app_input(AppInput::Leave(*topic)),
            Op::ApplicationScore { peer, score } => {
                return self.app_input(AppInput::SetApplicationScore { peer: *peer, score: *score });
            }
            other => return drop(self.run(other)),
        };
        self.node.p2p_input(input, self.now);
    }

    fn app_input(&mut self, input: AppInput<Net<I>>) {
        self.node.app_input(input, self.now);
    }

    /// Gives all pending verdicts, disconnects all peers, leaves all topics, and advances the clock until all entries
    /// have expired.
    pub fn wind_down(&mut self) {
        self.validate_pending();
        for peer in 0..PEERS {
            self.node.remove_peer(&peer, self.now);
        }
        for topic in 0..TOPICS {
            self.node.leave(&topic, self.now);
        }
        let longest_span = Duration::from_secs(100);
        for _ in 0..20 {
            self.now = self.now.after(longest_span);
            self.node.heartbeat(self.now);
        }
        self.node.drain();
    }

    fn validate_pending(&mut self) {
        *self.network.answers() = Default::default();
        self.node.check_parked(self.now);
        self.node.process_batch(self.now);
    }

    /// The state in a deterministic order, for comparisons.
    pub fn digest(&self) -> String {
        let mut view = self.view();
        view.cached.sort_by_key(|cached| (cached.topic, cached.id));
        view.seen.sort_by_key(|seen| (seen.topic, seen.id));
        format!("{view:?} {:?} {:?}", self.node.footprint(), self.node.stats())
    }
}

fn silent<T, I: Ids>(_: T) -> Outcome<I> {
    Outcome::Silent
}
