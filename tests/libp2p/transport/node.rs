//! This module runs the driver task with a substitute for the engine.

use std::{sync::mpsc as std_mpsc, time::Duration};

use actix_gossipsub::libp2p::{
    Engine, Node, NodeDriver, NodeHandle, OutputStream, RefusedInput, TransportConfig,
};
use actix_gossipsub::{Origin, P2pInput, P2pOutput};
use libp2p::{Multiaddr, PeerId, identity::Keypair};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{support::*, topic};

/// An engine that records its inputs and refuses unsubscriptions.
struct RecordingEngine {
    inputs: mpsc::UnboundedSender<Input>,
    unreachable: mpsc::UnboundedSender<Multiaddr>,
}

impl Engine for RecordingEngine {
    type Refused = &'static str;

    fn p2p_input(&self, input: Input) -> Result<(), RefusedInput<&'static str>> {
        if matches!(input, P2pInput::InMessage { message: NetMessage::Unsubscribe { .. }, .. }) {
            return Err(RefusedInput::new("unsubscriptions are refused", input));
        }
        self.inputs.send(input).map_err(|error| RefusedInput::new("the test has ended", error.0))
    }

    fn set_unreachable_point(&self, point: Multiaddr) {
        let _ = self.unreachable.send(point);
    }
}

struct Running {
    handle: NodeHandle,
    task: JoinHandle<()>,
    outputs: futures::channel::mpsc::UnboundedSender<P2pOutput<Net>>,
    inputs: mpsc::UnboundedReceiver<Input>,
    unreachable: mpsc::UnboundedReceiver<Multiaddr>,
    events: std_mpsc::Receiver<String>,
    address: Multiaddr,
}

async fn running() -> Running {
    running_and(|| {}).await
}

/// `observed` is called at the end of each call of the observer.
async fn running_and(observed: impl Fn() + Send + 'static) -> Running {
    let key = Keypair::generate_ed25519();
    let network = settings(&key).build();
    let swarm = actix_gossipsub::libp2p::swarm(key, network, &TransportConfig::default()).unwrap();
    let (sender, inputs) = mpsc::unbounded_channel();
    let (unreachable_sender, unreachable) = mpsc::unbounded_channel();
    let (outputs, stream) = futures::channel::mpsc::unbounded();
    let (event_sender, events) = std_mpsc::channel();
    let engine = RecordingEngine { inputs: sender, unreachable: unreachable_sender };
    let (node, handle) = NodeDriver::new(swarm, engine, OutputStream(stream), move |event| {
        let _ = event_sender.send(format!("{event:?}"));
        observed();
    });
    let task = tokio::spawn(node);
    let address = handle.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
    Running { handle, task, outputs, inputs, unreachable, events, address }
}

impl Running {
    fn output(&self, output: P2pOutput<Net>) {
        self.outputs.unbounded_send(output).unwrap();
    }

    fn send_message(&self, to_peer: PeerId, message: NetMessage) {
        self.output(P2pOutput::OutMessage { to_peer, message });
    }

    async fn input(&mut self) -> Input {
        tokio::time::timeout(Duration::from_secs(10), self.inputs.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_node_carries_inputs_outputs_and_commands() {
    let (mut alice, mut bob) = (running().await, running().await);
    let (a, b) = (alice.handle.peer_id(), bob.handle.peer_id());
    alice.handle.dial(bob.address.clone()).await.unwrap();
    assert!(
        matches!(alice.input().await, P2pInput::NewConnection { peer, info } if peer == b && info.direction.is_outbound())
    );
    assert!(
        matches!(bob.input().await, P2pInput::NewConnection { peer, info } if peer == a && !info.direction.is_outbound())
    );

    alice.send_message(b, NetMessage::Unsubscribe { topic: topic() });
    alice.send_message(b, NetMessage::subscribe(topic()));
    let subscription = NetMessage::subscribe(topic());
    assert_eq!(bob.input().await, P2pInput::InMessage { from_peer: a, message: subscription });
    assert!(bob.events.try_iter().any(|event| event.starts_with("Refused")));

    // A disconnected peer is dialled by its id: the addresses are known from identify or from the first dial.
    alice.output(P2pOutput::Disconnect { peer: b });
    assert_eq!(alice.input().await, P2pInput::Disconnection { peer: b });
    assert_eq!(bob.input().await, P2pInput::Disconnection { peer: a });
    alice.output(P2pOutput::Connect { peer: b, origin: Origin::Trusted, record: None });
    assert!(matches!(alice.input().await, P2pInput::NewConnection { peer, .. } if peer == b));

    // The last message of the engine still arrives.
    assert!(matches!(bob.input().await, P2pInput::NewConnection { peer, .. } if peer == a));
    bob.send_message(a, NetMessage::subscribe(topic()));
    let subscription = NetMessage::subscribe(topic());
    drop(bob.outputs);
    assert_eq!(alice.input().await, P2pInput::InMessage { from_peer: b, message: subscription });

    tokio::time::timeout(Duration::from_secs(10), bob.task).await.unwrap().unwrap();
    assert_eq!(alice.input().await, P2pInput::Disconnection { peer: b });
    assert!(bob.handle.dial(alice.address.clone()).await.is_err());

    alice.handle.shutdown().await;
    tokio::time::timeout(Duration::from_secs(10), alice.task).await.unwrap().unwrap();
}

/// As `panic!`, without the report of the process's panic hook.
fn panic_silently() {
    std::panic::resume_unwind(Box::new("a panic that a test injects"));
}

#[tokio::test]
async fn a_node_goes_on_although_its_observer_always_panics() {
    let (mut alice, mut bob) = (running_and(panic_silently).await, running_and(panic_silently).await);
    let (a, b) = (alice.handle.peer_id(), bob.handle.peer_id());
    alice.handle.dial(bob.address.clone()).await.unwrap();
    assert!(matches!(alice.input().await, P2pInput::NewConnection { peer, .. } if peer == b));
    assert!(matches!(bob.input().await, P2pInput::NewConnection { peer, .. } if peer == a));
    // Refused inputs are events too.
    alice.send_message(b, NetMessage::Unsubscribe { topic: topic() });
    let subscription = NetMessage::subscribe(topic());
    alice.send_message(b, subscription.clone());
    assert_eq!(bob.input().await, P2pInput::InMessage { from_peer: a, message: subscription });
    let events: Vec<_> = bob.events.try_iter().collect();
    for kind in ["Listening", "Input", "Refused"] {
        assert!(events.iter().any(|event| event.starts_with(kind)), "{kind}: {events:?}");
    }
    for node in [alice, bob] {
        node.handle.shutdown().await;
        tokio::time::timeout(Duration::from_secs(10), node.task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn points_are_dialled_and_unreachable_ones_are_reported() {
    let (mut alice, bob) = (running().await, running().await);
    let nowhere: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    alice.output(P2pOutput::ConnectPoint { point: nowhere.clone() });
    let point = tokio::time::timeout(Duration::from_secs(10), alice.unreachable.recv()).await.unwrap();
    assert_eq!(point, Some(nowhere));
    alice.output(P2pOutput::ConnectPoint { point: bob.address.clone() });
    let peer = bob.handle.peer_id();
    assert!(matches!(alice.input().await, P2pInput::NewConnection { peer: dialled, .. } if dialled == peer));
    assert!(alice.unreachable.try_recv().is_err());
}

#[tokio::test]
async fn a_failed_listen_returns_a_readable_error() {
    let node = running().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let listen = async |address: &str| {
        let error = node.handle.listen(address.parse().unwrap()).await.unwrap_err();
        error.to_string()
    };
    let error = listen(&format!("/ip4/127.0.0.1/tcp/{port}")).await;
    assert!(error.starts_with("can't listen: ") && error.contains("in use"), "{error}");
    let error = listen("/unix/a").await;
    assert_eq!(error, "can't listen: /unix/a is not an address to listen at, such as /ip4/0.0.0.0/tcp/4001");
}

/// A ready-made node needs no actix system: its engine runs one of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_run_under_tokio() {
    let listener = Node::builder(Keypair::generate_ed25519()).listen("/ip4/127.0.0.1/tcp/0").topic(topic());
    let (alice, mut received) = listener.start().await.unwrap();
    let dialler =
        Node::builder(Keypair::generate_ed25519()).dial(alice.addresses()[0].clone()).topic(topic());
    let (bob, _received) = dialler.start().await.unwrap();
    bob.wait_for_mesh(topic(), 1).await.unwrap();
    bob.publish(topic(), "hello").unwrap();
    let message = received.recv().await.unwrap();
    assert_eq!(message.message.data(), b"hello");
    bob.shutdown().await;
    alice.shutdown().await;
}
