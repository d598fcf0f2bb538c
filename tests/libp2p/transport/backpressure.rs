//! This test runs an engine that refuses the inputs of one peer. Only the connection of that peer may be slowed down,
//! and all messages must arrive.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::libp2p::{
    BehaviourConfig, DeliveryListener, Engine, MessageId, NodeDriver, NodeEvent, NodeHandle, OutputStream,
    QueueLimits, RefusedInput, TopicName, TransportConfig,
};
use actix_gossipsub::{DropReason, P2pInput, P2pMessage, P2pOutput};
use futures::{StreamExt, future::BoxFuture};
use libp2p::{Multiaddr, PeerId, identity::Keypair};
use tokio::{sync::watch, task::JoinHandle};

use super::{support::*, topic};

/// An engine that refuses the messages of one peer while `accepts` is false.
#[derive(Clone)]
struct RefusingEngine {
    refused: PeerId,
    accepts: watch::Receiver<bool>,
    accepted: Arc<Mutex<HashMap<PeerId, Vec<Input>>>>,
}

impl Engine for RefusingEngine {
    type Refused = &'static str;

    fn p2p_input(&self, input: Input) -> Result<(), RefusedInput<&'static str>> {
        let peer = match &input {
            P2pInput::InMessage { from_peer, .. } => *from_peer,
            P2pInput::NewConnection { peer, .. } | P2pInput::Disconnection { peer } => *peer,
            _ => unreachable!(),
        };
        let is_message = matches!(input, P2pInput::InMessage { .. });
        if is_message && peer == self.refused && !*self.accepts.borrow() {
            return Err(RefusedInput::new("the test refuses the peer", input));
        }
        self.accepted.lock().unwrap().entry(peer).or_default().push(input);
        Ok(())
    }

    fn set_unreachable_point(&self, _: Multiaddr) {}

    fn is_temporary(&self, _: &&'static str) -> bool {
        true
    }

    fn p2p_input_ready(&self, _: &Input) -> BoxFuture<'static, ()> {
        let mut accepts = self.accepts.clone();
        Box::pin(async move {
            let _ = accepts.wait_for(|accepts| *accepts).await;
        })
    }
}

impl RefusingEngine {
    fn count(&self, peer: PeerId) -> usize {
        self.accepted.lock().unwrap().get(&peer).map_or(0, Vec::len)
    }

    /// The numbers of the messages accepted from `peer`.
    fn numbers(&self, peer: PeerId) -> Vec<usize> {
        let number = |input: &Input| match input {
            P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } => {
                Some(usize::from_be_bytes(full.message.data()[..8].try_into().unwrap()))
            }
            _ => None,
        };
        self.accepted.lock().unwrap()[&peer].iter().filter_map(number).collect()
    }
}

/// A delivery listener that counts the written messages.
#[derive(Default)]
struct Sent(AtomicUsize);

impl DeliveryListener for Sent {
    fn has_publish_listener(&self, _: &TopicName, _: &MessageId) -> bool {
        true
    }

    fn report_sent(&self, _: &TopicName, _: &MessageId) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn report_not_sent(&self, _: &TopicName, _: &MessageId, _: DropReason) {}
}

impl Sent {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until the count is positive and has not changed for a second. Returns the count.
    async fn settled(&self) -> usize {
        let mut last = 0;
        while last == 0 || last != self.count() {
            last = self.count();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        last
    }
}

struct Receiver {
    engine: RefusingEngine,
    accept: watch::Sender<bool>,
    address: Multiaddr,
    events: Arc<Mutex<Vec<String>>>,
    /// The node ends with its last handle.
    _handle: NodeHandle,
}

/// A node whose engine refuses the messages of `refused`.
async fn receiver(refused: PeerId) -> Receiver {
    let key = Keypair::generate_ed25519();
    let network = settings(&key).build();
    let swarm = actix_gossipsub::libp2p::swarm(key, network, &TransportConfig::default()).unwrap();
    let (accept, accepts) = watch::channel(false);
    let engine = RefusingEngine { refused, accepts, accepted: Arc::default() };
    let events = Arc::<Mutex<Vec<String>>>::default();
    let recorded = events.clone();
    let outputs = OutputStream(futures::stream::pending::<P2pOutput<Net>>());
    let (node, handle) = NodeDriver::new(swarm, engine.clone(), outputs, move |event| match event {
        NodeEvent::Paused(..) => recorded.lock().unwrap().push("paused".to_owned()),
        NodeEvent::Resumed(..) => recorded.lock().unwrap().push("resumed".to_owned()),
        NodeEvent::Refused(..) => recorded.lock().unwrap().push("refused".to_owned()),
        _ => {}
    });
    tokio::spawn(node);
    let address = handle.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
    Receiver { engine, accept, address, events, _handle: handle }
}

/// A swarm with a large queue and without a write timeout.
fn sender() -> (Ours, PeerId) {
    let queue =
        QueueLimits::default().with(|l| (l.max_items, l.max_bytes, l.stall_factor) = (100_000, 1 << 30, 8));
    let config = BehaviourConfig::default().with(|c| {
        (c.queue, c.write_timeout) = (queue, Duration::MAX);
        c.max_memory = 16 << 30;
    });
    let (swarm, _) = ours(config);
    let peer = *swarm.local_peer_id();
    (swarm, peer)
}

/// Lets `swarm` send `count` numbered messages of `size` bytes.
fn send(mut swarm: Ours, to: Multiaddr, count: usize, size: usize) -> (Arc<Sent>, JoinHandle<()>) {
    let sent = Arc::<Sent>::default();
    let gossipsub = &mut swarm.behaviour_mut().gossipsub;
    gossipsub.set_delivery_listener(Some(sent.clone()));
    let network = gossipsub.network().clone();
    let task = tokio::spawn(async move {
        swarm.dial(to).unwrap();
        loop {
            let event = swarm.select_next_some().await;
            let Some(P2pInput::NewConnection { peer, .. }) = gossipsub_event(event).and_then(connected)
            else {
                continue;
            };
            for number in 0..count {
                let mut data = number.to_be_bytes().to_vec();
                data.resize(size, 7);
                let message = network.message(topic(), data).unwrap();
                send_message(&mut swarm, peer, NetMessage::FullMessage(message.into()));
            }
        }
    });
    (sent, task)
}

async fn wait_for(condition: &str, until: impl Fn() -> bool) {
    let wait = async {
        while !until() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("not true within a minute: {condition}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_refused_peer_is_slowed_down_and_no_message_is_lost() {
    let ((slow, slow_peer), (quick, quick_peer)) = (sender(), sender());
    let receiver = receiver(slow_peer).await;
    let engine = &receiver.engine;
    let (slow_sent, _slow) = send(slow, receiver.address.clone(), 1_000, 20_000);
    wait_for("the slow peer is paused", || receiver.events.lock().unwrap().contains(&"paused".to_owned()))
        .await;

    let (_, _quick) = send(quick, receiver.address.clone(), 500, 1_000);
    wait_for("all messages of the other peer are accepted", || engine.count(quick_peer) == 501).await;
    assert_eq!(engine.numbers(quick_peer), (0..500).collect::<Vec<_>>());

    // The engine accepted only the connection of the slow peer, and the peer's queue does not move.
    let written = slow_sent.settled().await;
    assert_eq!(engine.count(slow_peer), 1);
    assert!((1..500).contains(&written), "{written} of 1000 messages of 20 kB were written");

    receiver.accept.send(true).unwrap();
    wait_for("all messages of the slow peer are accepted", || engine.count(slow_peer) == 1_001).await;
    assert_eq!(engine.numbers(slow_peer), (0..1_000).collect::<Vec<_>>());
    wait_for("all messages are reported as sent", || slow_sent.count() == 1_000).await;
    assert_eq!(*receiver.events.lock().unwrap(), ["paused", "resumed"]);
}

#[tokio::test]
async fn the_disconnection_of_a_refused_peer_is_accepted_at_once() {
    let (slow, slow_peer) = sender();
    let receiver = receiver(slow_peer).await;
    let (_, slow) = send(slow, receiver.address.clone(), 100, 10_000);
    wait_for("the slow peer is paused", || !receiver.events.lock().unwrap().is_empty()).await;
    slow.abort();
    wait_for("the disconnection is accepted", || receiver.engine.count(slow_peer) == 2).await;
    let inputs = receiver.engine.accepted.lock().unwrap()[&slow_peer].clone();
    assert!(matches!(inputs[..], [P2pInput::NewConnection { .. }, P2pInput::Disconnection { .. }]));
    let events = receiver.events.lock().unwrap().clone();
    assert_eq!(events[0], "paused");
    assert!(events.len() > 1 && events[1..].iter().all(|event| event == "refused"), "{events:?}");
}
