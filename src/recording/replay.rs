//! Replays a recording, line by line, on a [`Node`]: on one thread, without a transport, by the recording's clock.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{
    Mistake, Recordable,
    line::{AppInput, Backoff, Connection, Milliseconds, Op, PeerInput, PeerMessage, output, read},
};
use crate::{
    limits::Limits,
    network::{ConnectionInfo, P2pInput, PeerKind, PxPeer},
    protocol::{Event, Node, NodeOptions, NodeOutputs, RemainingBackoff, Timestamp, ValidationMode, View},
};

/// A node that performs the lines of a recording.
pub struct Replay<N: Recordable> {
    node: Node<N>,
    network: Arc<N>,
    validation_mode: ValidationMode,
    line: usize,
    now: Timestamp,
    lost: u64,
}

/// A line that was performed, and its effects.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The number of the line, from 1.
    pub line: usize,
    /// The recording's clock. In JSON milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The operation, as the file has it.
    pub op: Value,
    /// The node's decision: one of the outcomes of [`protocol`](crate::protocol). Null if the operation has none.
    pub outcome: Value,
    /// The outputs to the p2p layer, oldest first.
    pub p2p: Vec<Value>,
    /// The messages that are delivered to the application, oldest first.
    pub app: Vec<Value>,
    /// The events for the operator, oldest first.
    pub events: Vec<Value>,
}

impl<N: Recordable> Replay<N> {
    /// Starts a node as the first line of a recording says. `network` makes the node's network from the recorded
    /// [`persistent_points`](crate::Network::persistent_points). Its hooks should answer as in the recorded engine.
    ///
    /// # Errors
    /// The line is wrong.
    pub fn start(
        network: impl FnOnce(Vec<N::Point>) -> N,
        first_line: &str,
    ) -> Result<(Self, Replayed), Mistake> {
        let (Op::Make(make), written) = read::<N>(first_line, 1)? else {
            return Err(Mistake::new(1, "op.op", "the first line must be `make`"));
        };
        if make.network != N::NAME {
            let problem = format!("`{}` is another network, expected `{}`", make.network, N::NAME);
            return Err(Mistake::new(1, "op.network", problem));
        }
        let limits = Limits::try_from(make.limits).map_err(|error| Mistake::new(1, "op.limits", error))?;
        let network = Arc::new(network(make.initial_points));
        let batch_interval = make.batching_interval.map(|Milliseconds(interval)| interval);
        let validation_mode =
            if batch_interval.is_some() { ValidationMode::Batched } else { ValidationMode::Sequential };
        let options = NodeOptions { self_peer: make.self_peer, seed: make.seed, batch_interval };
        let node = Node::new(Arc::clone(&network), limits, options);
        let mut replay = Self { node, network, validation_mode, line: 1, now: Timestamp::ZERO, lost: 0 };
        for topic in make.topics {
            replay.node.join(&topic, replay.now);
        }
        let replayed = replay.replayed(written, Value::Null);
        Ok((replay, replayed))
    }

    /// Performs the next line.
    ///
    /// # Errors
    /// The line is wrong, and has no effect.
    pub fn perform(&mut self, line: &str) -> Result<Replayed, Mistake> {
        self.line += 1;
        let (op, written) = read(line, self.line)?;
        let outcome = self.op(op)?;
        Ok(self.replayed(written, outcome))
    }

    /// The number of inputs that the recording lacks so far. If there are any, the replay differs from what happened.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The node, for inspection.
    pub fn node(&self) -> &Node<N> {
        &self.node
    }

    /// The whole state of the node. Lists that have no order are sorted.
    pub fn view(&self) -> View<N> {
        let mut view = self.node.view(self.now);
        view.cached.sort_by(|a, b| (&a.topic, &a.id).cmp(&(&b.topic, &b.id)));
        view.seen.sort_by(|a, b| (&a.topic, &a.id).cmp(&(&b.topic, &b.id)));
        view.gossip.values_mut().for_each(|ids| ids.sort());
        view
    }

    fn op(&mut self, op: Op<N>) -> Result<Value, Mistake> {
        let (node, now) = (&mut self.node, self.now);
        // An operation without an outcome returns `()`, which is null in JSON.
        Ok(match op {
            Op::Make(_) => return Err(Mistake::new(self.line, "op.op", "`make` must be the first line")),
            Op::AdvanceTime { ms: Milliseconds(span) } => json!(self.now = now.after(span)),
            Op::Gap { lost } => json!(self.lost += lost),
            Op::P2pInput { input } => self.peer_input(input),
            Op::AppInput { input: AppInput::PublishMessage(full) } => {
                json!(node.publish(Arc::unwrap_or_clone(full), now))
            }
            Op::AppInput { input: AppInput::PublishToAtLeast { min_peers, message } } => {
                json!(node.publish_to_at_least(min_peers, Arc::unwrap_or_clone(message), now))
            }
            Op::AppInput { input: AppInput::Join { topic } } => json!(node.join(&topic, now)),
            Op::AppInput { input: AppInput::Leave { topic } } => json!(node.leave(&topic, now)),
            Op::AppInput { input: AppInput::Relay { topic } } => json!(node.relay(&topic, now)),
            Op::AppInput { input: AppInput::StopRelay { topic } } => json!(node.stop_relay(&topic, now)),
            Op::AppInput { input: AppInput::SetApplicationScore { peer, score } } => {
                json!(node.set_application_score(&peer, score))
            }
            Op::Heartbeat {} => json!(node.heartbeat(now)),
            Op::CheckUnknownMessages {} => json!(node.check_parked(now)),
            Op::ProcessBatch {} => json!(node.process_batch(now)),
            Op::SetUnreachablePoint { point } => json!(node.set_unreachable_point(point)),
            Op::RestoreBackoffs { backoffs } => {
                let backoff = |Backoff { topic, peer, ms: Milliseconds(remaining) }| RemainingBackoff {
                    topic,
                    peer,
                    remaining,
                };
                json!(node.restore_backoffs(&backoffs.into_iter().map(backoff).collect::<Vec<_>>(), now))
            }
            Op::SetLimits { values } => {
                let set = node.set_limits(*values, now);
                json!(set.map_err(|error| Mistake::new(self.line, "op.values", error))?)
            }
            Op::SetDirect { peer, direct } => json!(node.set_direct(&peer, direct, now)),
            Op::Block { peer, ms: Milliseconds(duration) } => json!(node.block(peer, duration)),
            Op::Unblock { peer } => json!(node.unblock(peer)),
            Op::SlowPeer { peer } => json!(node.report_slow_peer(&peer)),
            Op::PeerFeedback { peer, topic, feedback } => {
                json!(node.report_peer_feedback(&peer, &topic, feedback, now))
            }
            Op::ProtocolViolation { peer } => json!(node.report_protocol_violation(&peer, now)),
        })
    }

    fn peer_input(&mut self, input: PeerInput<N>) -> Value {
        let (node, now) = (&mut self.node, self.now);
        let (from, message) = match input {
            PeerInput::NewConnection(connection) => return self.connect(connection),
            PeerInput::Disconnection { peer } => return json!(node.remove_peer(&peer, now)),
            PeerInput::RemoteAddresses { peer, addresses } => {
                node.p2p_input(P2pInput::RemoteAddresses { peer, addresses }, now);
                return Value::Null;
            }
            PeerInput::FurtherConnection { peer } => {
                node.p2p_input(P2pInput::FurtherConnection { peer }, now);
                return Value::Null;
            }
            PeerInput::InMessage { from_peer, p2p_message } => (from_peer, p2p_message),
        };
        match message {
            PeerMessage::Graft { topic } => json!(node.graft(&from, &topic, now)),
            PeerMessage::Prune { topic, px, backoff } => {
                json!(node.prune(&from, &topic, px.into_iter().map(PxPeer::new).collect(), backoff.0, now))
            }
            PeerMessage::IHave { topic, message_ids } => json!(node.ihave(&from, &topic, message_ids, now)),
            PeerMessage::IWant { message_ids } => json!(node.iwant(&from, message_ids, now)),
            PeerMessage::IDontWant { message_ids } => json!(node.idontwant(&from, message_ids, now)),
            PeerMessage::Subscribe { topic } => json!(node.subscribe(&from, &topic, now)),
            PeerMessage::Unsubscribe { topic } => json!(node.unsubscribe(&from, &topic, now)),
            PeerMessage::Message(full) => json!(node.receive_message(&from, full, self.validation_mode, now)),
            PeerMessage::Ping {} => Value::Null,
        }
    }

    fn connect(&mut self, connection: Connection<N>) -> Value {
        let Connection { peer, direct, outbound, trusted, bootstrap, point, address, floodsub } = connection;
        if let Some(point) = point {
            self.network.set_reachable_point(&peer, point);
        }
        // tests/traces/FORMAT.md, section 6: the reference takes trusted peers for outbound ones.
        let outbound = outbound.unwrap_or(trusted);
        let info = if outbound { ConnectionInfo::outbound() } else { ConnectionInfo::inbound() };
        let mut info = info.kind(PeerKind { direct, trusted, bootstrap });
        (info.remote_address, info.floodsub) = (address, floodsub);
        json!(self.node.add_peer(&peer, &info, self.now))
    }

    fn replayed(&mut self, op: Value, outcome: Value) -> Replayed {
        let NodeOutputs { p2p, app, events, .. } = self.node.drain();
        let (p2p, app) =
            (p2p.into_iter().map(output).collect(), app.iter().map(|full| json!(full)).collect());
        // Other events of a node repeat its inputs.
        let events = events.into_iter().filter_map(|event| match event {
            Event::SubscribeTopicCapExceeded { peer, max_topics } => Some(
                json!({ "type": "subscribe_topic_cap_exceeded", "peer": peer, "max_topics": max_topics }),
            ),
            _ => None,
        });
        let (line, time, events) = (self.line, self.now, events.collect());
        Replayed { line, time, op, outcome, p2p, app, events }
    }
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    Milliseconds(time.as_duration()).serialize(serializer)
}
