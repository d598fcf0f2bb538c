//! A peer that writes any bytes, and records each RPC that it gets: an attacker, or an honest peer of which a test sees
//! everything.

mod state;
mod swarm;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol, swarm::SwarmEvent};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::cases::{
    TOPIC, poll_until,
    wire::{Id, Message, Rpc, graft, message, subscribe},
};
use state::{Shared, State};
use swarm::{Command, Opens, run, swarm};

pub const V1_0: &str = "/meshsub/1.0.0";
pub const V1_1: &str = "/meshsub/1.1.0";
pub const V1_2: &str = "/meshsub/1.2.0";
pub const V1_3: &str = "/meshsub/1.3.0";
pub const FLOODSUB: &str = "/floodsub/1.0.0";

/// What a peer does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Habit {
    /// Nothing.
    Silent,
    /// It answers each GRAFT on the topic by a PRUNE with a backoff of 60 s.
    Lazy,
    /// It grafts again after a PRUNE without backoff, requests what it is offered and sends what it is asked for.
    Honest,
}

/// The protocol of all peers of a case that names no other. A program may not have v1.2.
fn latest() -> &'static str {
    let named = std::env::var("GOSSIPSUB_CASES_PROTOCOL").ok();
    [V1_0, V1_1, V1_2].into_iter().find(|id| named.as_deref() == Some(*id)).unwrap_or(V1_2)
}

/// How a peer starts.
#[derive(Clone)]
pub struct Options {
    pub key: Keypair,
    /// The protocols that it accepts. It opens its own stream with the first.
    pub protocols: Vec<&'static str>,
    pub habit: Habit,
    /// Whether it reads the streams of the target.
    pub reads: bool,
    /// Whether its own messages name no author and have no signature.
    pub anonymous: bool,
    /// Whether identify reports a signed record of its address. It has the format of rust-libp2p, which go refuses.
    pub record: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (key, protocols) = (Keypair::generate_ed25519(), vec![latest()]);
        Self { key, protocols, habit: Habit::Silent, reads: true, anonymous: false, record: false }
    }
}

/// A running peer. Its connections are closed when it is dropped.
pub struct Peer {
    pub id: PeerId,
    pub key: Keypair,
    pub address: Multiaddr,
    anonymous: bool,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    protocol: &'static str,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Starts a peer that listens.
    pub async fn start(options: Options) -> Self {
        let Options { key, protocols, habit, reads, anonymous, record } = options;
        let shared = Arc::new(Shared { state: Mutex::default(), habit: Mutex::new(habit), reads });
        let mut swarm = swarm(&key, &protocols, record, &shared);
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let id = *swarm.local_peer_id();
        let (commands, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(swarm, receiver, shared.clone()));
        let (address, protocol) = (address.with(Protocol::P2p(id)), protocols[0]);
        Self { id, key, address, anonymous, shared, commands, protocol, task }
    }

    /// Dials the target, opens a stream and waits for both.
    pub async fn connect(&self, to: &Multiaddr) {
        self.dial(to).await;
        self.open().await;
    }

    pub async fn dial(&self, to: &Multiaddr) {
        self.command(Command::Dial(to.clone()));
        self.wait("the connection", |state| !state.connections.is_empty()).await;
    }

    /// Opens a stream to the target, which becomes the one that is written to.
    pub async fn open(&self) {
        let before = self.state().opened;
        self.command(Command::Open(Opens { protocol: self.protocol, shared: self.shared.clone() }));
        self.wait("a stream to the target", |state| state.opened > before).await;
    }

    /// Closes the connections, and waits until they are closed.
    pub async fn disconnect(&self) {
        self.command(Command::Disconnect);
        self.wait("the end of the connection", |state| state.connections.is_empty()).await;
    }

    pub fn send(&self, rpc: Rpc) {
        self.write(rpc.frame());
    }

    /// Writes bytes in one piece. They are lost if the stream is broken.
    pub fn write(&self, bytes: Vec<u8>) {
        self.shared.write(bytes);
    }

    /// Sends messages of its own, which it also sends to peers that ask for them.
    pub fn publish(&self, messages: &[Message]) {
        for one in messages {
            self.state().own.insert(one.id(), one.clone());
            self.send(message(one));
        }
    }

    /// A message of this peer with `length` bytes of payload. It is signed unless the peer is anonymous.
    pub fn message(&self, n: u64, length: usize) -> Message {
        let author = self.id.to_bytes();
        let mut data = [&n.to_be_bytes()[..], &author].concat();
        data.resize(length, n as u8);
        if self.anonymous {
            return Message { data: Some(data), topic: Some(TOPIC.into()), ..Message::default() };
        }
        Message::signed(&self.key, TOPIC, n, data)
    }

    /// Waits for the target's subscription, then subscribes.
    pub async fn hello(&self) {
        self.subscribed(TOPIC).await;
        self.send(subscribe(TOPIC, true));
    }

    /// Waits until the target has subscribed to a topic.
    pub async fn subscribed(&self, topic: &str) {
        let subscription = (true, topic.to_owned());
        self.until("the target subscribes", |rpc| rpc.subscriptions.contains(&subscription)).await;
    }

    /// Enters the mesh.
    pub async fn enter_mesh(&self) {
        self.subscribed(TOPIC).await;
        self.send(subscribe(TOPIC, true).and(graft(TOPIC)));
    }

    /// Waits until an RPC has arrived for which `wanted` is true, and returns the first of them.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Rpc) -> bool) -> Rpc {
        let found = || self.state().received.iter().find(|rpc| wanted(rpc)).cloned();
        match poll_until(async || found()).await {
            Some(rpc) => rpc,
            None => panic!("never received: {what}\n{}", self.describe()),
        }
    }

    /// A number that is larger at each call.
    pub fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.numbers += 1;
        state.numbers
    }

    pub async fn wait_for_message(&self, message: &Message) {
        let id = message.id();
        self.wait("a message", |state| state.arrived.contains_key(&id)).await;
    }

    async fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let found = poll_until(async || condition(&self.state()).then_some(())).await;
        assert!(found.is_some(), "not true within the time limit: {what}\n{}", self.describe());
    }

    /// Waits until the target has ended this number of our streams.
    pub async fn wait_for_resets(&self, count: usize) {
        self.wait("the target resets the stream", |state| state.broken >= count).await;
    }

    /// How often a message has arrived.
    pub fn copies(&self, id: &Id) -> usize {
        self.state().arrived.get(id).copied().unwrap_or_default()
    }

    pub fn received(&self) -> Vec<Rpc> {
        self.state().received.clone()
    }

    /// Forgets what was received.
    pub fn clear(&self) {
        let mut state = self.state();
        (state.received, state.arrived) = (Vec::new(), BTreeMap::new());
    }

    /// The ids in the IWANTs that have arrived.
    pub fn wanted(&self) -> Vec<Id> {
        self.received().into_iter().flat_map(|rpc| rpc.iwant.concat()).collect()
    }

    /// The ids in the IHAVEs that have arrived.
    pub fn offered(&self) -> Vec<Id> {
        self.received().into_iter().flat_map(|rpc| rpc.ihave).flat_map(|(_, ids)| ids).collect()
    }

    /// The ids in the IDONTWANTs that have arrived.
    pub fn declined(&self) -> Vec<Id> {
        self.received().into_iter().flat_map(|rpc| rpc.idontwant.concat()).collect()
    }

    pub fn prunes(&self, topic: &str) -> usize {
        let prunes =
            |rpc: &Rpc| rpc.prune.iter().filter(|prune| prune.topic.as_deref() == Some(topic)).count();
        self.received().iter().map(prunes).sum()
    }

    pub fn grafts(&self, topic: &str) -> usize {
        self.received().iter().flat_map(|rpc| &rpc.graft).filter(|found| *found == topic).count()
    }

    /// The protocols of the streams that the target opened.
    pub fn protocols(&self) -> Vec<String> {
        self.state().protocols.clone()
    }

    pub fn is_connected(&self) -> bool {
        self.connections() > 0
    }

    pub fn connections(&self) -> usize {
        self.state().connections.len()
    }

    /// Begins this number of dials, without waiting for them.
    pub fn dial_often(&self, to: &Multiaddr, count: usize) {
        (0..count).for_each(|_| self.command(Command::Dial(to.clone())));
    }

    /// Resets the streams of the target, and accepts no others.
    pub fn reset_inbound(&self) {
        let mut state = self.state();
        state.resets = true;
        state.readers.drain(..).for_each(|reader| reader.abort());
    }

    pub fn set_habit(&self, habit: Habit) {
        *self.shared.habit.lock().unwrap() = habit;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn command(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "the peer runs");
    }

    fn describe(&self) -> String {
        let state = self.state();
        let last = state.received[state.received.len().saturating_sub(10)..].iter().map(ToString::to_string);
        let last = last.collect::<Vec<_>>().join("\n");
        let (connections, opened, broken) = (state.connections.len(), state.opened, state.broken);
        format!(
            "{}: {connections} connections, {opened} streams of which {broken} broke; last received:\n{last}",
            self.id
        )
    }
}
