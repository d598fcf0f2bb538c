//! A [`Trial`] is a target with an honest pair that is connected only to it and publishes all the time. In the end both must
//! have each message of the other one, and the target must have forgotten all other peers.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use libp2p::PeerId;

use crate::cases::{
    TOPIC,
    peer::{Habit, Options, Peer},
    poll_until,
    target::{Kind, Setup, Target},
    wire::{Id, Message, message},
};

/// The panic of a case that can't be run against a program. It says what is missing.
pub struct NoMeans(pub &'static str);

pub struct Trial {
    pub target: Target,
    heartbeat: Duration,
    honest: Option<[Honest; 2]>,
}

/// A peer of the honest pair.
pub struct Honest {
    pub peer: Arc<Peer>,
    stop: Arc<AtomicBool>,
    published: tokio::task::JoinHandle<u64>,
}

/// Runs a case: starts the target and the honest pair, calls `attack`, and checks the target.
pub async fn trial(kind: Kind, setup: Setup, attack: impl AsyncFnOnce(&Trial)) {
    let target = Target::start(kind, &setup).await;
    let honest = if setup.honest { Some(honest_pair(&target, &setup).await) } else { None };
    let mut trial = Trial { target, heartbeat: setup.heartbeat, honest };
    attack(&trial).await;
    if let Some(pair) = trial.honest.take() {
        trial.check(pair).await;
    }
    trial.target.stop().await;
}

/// Two peers in the mesh of the target that have received a message of each other, and publish one at each heartbeat.
async fn honest_pair(target: &Target, setup: &Setup) -> [Honest; 2] {
    let (heartbeat, anonymous) = (setup.heartbeat, setup.anonymous);
    let options = || Options { habit: Habit::Honest, anonymous, ..Options::default() };
    let peers = [Arc::new(Peer::start(options()).await), Arc::new(Peer::start(options()).await)];
    for peer in &peers {
        peer.connect(target.address()).await;
        peer.enter_mesh().await;
    }
    for (from, to) in [(0, 1), (1, 0)] {
        // The target may not know the other's subscription yet: then a message comes by gossip, or only a later one.
        let arrived = poll_until(async || {
            let first = peers[from].message(1 << 32 | peers[from].next_number(), 100);
            peers[from].publish(std::slice::from_ref(&first));
            tokio::time::sleep(heartbeat).await;
            (peers[to].copies(&first.id()) > 0).then_some(())
        });
        assert!(arrived.await.is_some(), "the honest peers get each other's messages");
    }
    peers.map(|peer| {
        let stop = Arc::new(AtomicBool::new(false));
        let (publisher, stopped) = (peer.clone(), stop.clone());
        let published = tokio::spawn(async move {
            let mut n = 0;
            while !stopped.load(Ordering::Relaxed) {
                publisher.publish(&[publisher.message(n, 100)]);
                n += 1;
                tokio::time::sleep(heartbeat).await;
            }
            n
        });
        Honest { peer, stop, published }
    })
}

impl Trial {
    /// Waits for at least this number of heartbeats of the target. The number is a lower bound, for what must not happen, or
    /// for what happens at a heartbeat.
    pub async fn heartbeats(&self, count: u32) {
        tokio::time::sleep(self.heartbeat * count).await;
    }

    /// A peer that is connected, with an open stream.
    pub async fn peer(&self, options: Options) -> Peer {
        let peer = Peer::start(options).await;
        peer.connect(self.target.address()).await;
        peer
    }

    /// A peer that does nothing by itself, with an open stream.
    pub async fn attacker(&self) -> Peer {
        self.peer(Options::default()).await
    }

    /// A peer in the mesh: it has grafted the target, and was not pruned.
    pub async fn in_mesh(&self) -> Peer {
        let peer = self.attacker().await;
        self.enter_mesh(&peer).await;
        peer
    }

    /// Lets a peer enter the mesh. A message of the honest pair that is forwarded to it proves it.
    pub async fn enter_mesh(&self, peer: &Peer) {
        peer.enter_mesh().await;
        if self.target.mesh(TOPIC).await.is_some() {
            let entered = poll_until(async || {
                let mesh = self.target.mesh(TOPIC).await.unwrap_or_default();
                mesh.contains(&peer.id).then_some(())
            });
            assert!(entered.await.is_some(), "the peer enters the mesh");
        } else if self.honest.is_none() {
            // What the specification of these cases waits for a PRUNE.
            tokio::time::sleep(Duration::from_millis(300) * crate::cases::factor()).await;
        } else {
            peer.until("a forwarded message", |rpc| !rpc.messages.is_empty()).await;
        }
        assert_eq!(peer.prunes(TOPIC), 0, "the peer is not pruned");
    }

    /// A subscribed peer that refuses each GRAFT, so that it is in no mesh.
    pub async fn lazy(&self) -> Peer {
        let peer = self.peer(Options { habit: Habit::Lazy, ..Options::default() }).await;
        peer.hello().await;
        peer
    }

    /// A peer sends this many messages with wrong signatures, and waits until its score is lower.
    pub async fn misbehave(&self, peer: &Peer, count: u64) {
        let before = self.score(peer).await;
        for n in 0..count {
            let mut forged = peer.message(1 << 40 | n, 100);
            forged.signature = Some(vec![1; 64]);
            peer.send(message(&forged));
        }
        self.wait_for_score(peer, "lower", |score| score < before).await;
        self.handled(peer).await;
    }

    /// Waits until the target has delivered a message that the peer sends now: it has handled all that the peer sent before.
    pub async fn handled(&self, peer: &Peer) {
        let last = peer.message(1 << 48 | peer.next_number(), 100);
        peer.send(message(&last));
        self.wait_for_delivery(&last).await;
    }

    /// A peer of the honest pair.
    pub fn honest(&self, index: usize) -> &Peer {
        &self.honest.as_ref().expect("the case has an honest pair")[index].peer
    }

    /// An honest peer publishes messages with `length` bytes of payload. Their numbers begin with `first`, which must be
    /// above those of the heartbeats.
    pub fn publish(&self, first: u64, count: u64, length: usize) -> Vec<Message> {
        let honest = self.honest(0);
        let messages: Vec<_> = (first..first + count).map(|n| honest.message(n, length)).collect();
        honest.publish(&messages);
        messages
    }

    /// Waits until the target has delivered a message.
    pub async fn wait_for_delivery(&self, message: &Message) {
        let found = poll_until(async || (self.deliveries(message) > 0).then_some(())).await;
        assert!(found.is_some(), "the target delivers the message");
    }

    pub fn deliveries(&self, message: &Message) -> usize {
        let id = message.id();
        self.target.delivered().iter().filter(|delivered| delivered.id == id).count()
    }

    /// The score of a peer. Ends the case if the target has no means to find out.
    pub async fn score(&self, peer: &Peer) -> f64 {
        match self.target.score(peer.id).await {
            Some(score) => score,
            None => panic_any(NoMeans("to read a score")),
        }
    }

    /// Nothing was counted against a peer. A program may reward it.
    pub async fn assert_not_penalised(&self, peer: &Peer) {
        let score = self.score(peer).await;
        let rewards = matches!(self.target, Target::Program(_));
        assert!(score == 0.0 || (rewards && score > 0.0), "the score is {score}");
    }

    /// Waits until the score of a peer fulfils a condition.
    pub async fn wait_for_score(&self, peer: &Peer, what: &str, condition: impl Fn(f64) -> bool) -> f64 {
        let found = poll_until(async || Some(self.score(peer).await).filter(|score| condition(*score))).await;
        match found {
            Some(score) => score,
            None => panic!("the score is {what}, not {}", self.score(peer).await),
        }
    }

    /// The target publishes a message and returns its id.
    pub async fn target_publishes(&self, topic: &str, data: Vec<u8>) -> Id {
        match self.target.publish(topic, data).await {
            Some(id) => id,
            None => panic_any(NoMeans("to let it publish")),
        }
    }

    pub async fn mesh(&self, topic: &str) -> BTreeSet<PeerId> {
        match self.target.mesh(topic).await {
            Some(mesh) => mesh,
            None => panic_any(NoMeans("to read its mesh")),
        }
    }

    pub async fn peers(&self) -> BTreeMap<PeerId, BTreeSet<String>> {
        match self.target.peers().await {
            Some(peers) => peers,
            None => panic_any(NoMeans("to list its peers")),
        }
    }

    pub async fn join(&self, topic: &str, join: bool) {
        if !self.target.join(topic, join).await {
            panic_any(NoMeans("to let it join or leave"));
        }
    }

    pub async fn target_dials(&self, peer: &Peer) {
        if !self.target.dial(&peer.address).await {
            panic_any(NoMeans("to let it dial"));
        }
    }

    /// Waits until a condition about the target is true.
    pub async fn wait(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let found = poll_until(async || condition().await.then_some(())).await;
        assert!(found.is_some(), "not true within the time limit: {what}");
    }

    /// The honest peers have all messages of each other, and no other peer is left.
    async fn check(&self, pair: [Honest; 2]) {
        let mut numbers = Vec::new();
        let mut peers = Vec::new();
        for honest in pair {
            honest.stop.store(true, Ordering::Relaxed);
            numbers.push(honest.published.await.expect("the honest peer publishes"));
            peers.push(honest.peer);
        }
        for (from, to) in [(0, 1), (1, 0)] {
            // One more, after the attack.
            let last = peers[from].message(numbers[from], 100);
            peers[from].publish(&[last]);
            let missing = || {
                let ids = (0..=numbers[from]).map(|n| peers[from].message(n, 100).id());
                ids.filter(|id| peers[to].copies(id) == 0).count()
            };
            let complete = poll_until(async || (missing() == 0).then_some(())).await;
            assert!(
                complete.is_some(),
                "an honest peer missed {} of {} messages of the other",
                missing(),
                numbers[from] + 1
            );
        }
        if self.target.peers().await.is_some() {
            self.wait("the target has forgotten all but the honest peers", async || {
                let left = self.peers().await;
                left.len() == 2 && peers.iter().all(|peer| left.contains_key(&peer.id))
            })
            .await;
        }
    }
}
