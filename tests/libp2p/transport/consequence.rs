//! These tests connect a whole node to peers that send garbage, break streams or have a low score. The node must drop what
//! a graylisted peer sends before it is decoded, refuse blocked peers, and leave the score of a bad link as it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::libp2p::{BehaviourConfig, Libp2pNetwork, Node, SignaturePolicy, TopicName};
use actix_gossipsub::{AppInput, AppOutputs, ConnectionRefusal, LimitsConfig, Network, Page, Validity};
use futures::StreamExt;
use libp2p::{PeerId, identity::Keypair, swarm::dial_opts::DialOpts};
use testkit::wait;
use tokio::sync::mpsc;

use super::{support::*, topic};

/// A raw peer that runs in a task of its own.
struct Peer {
    id: PeerId,
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Dial(DialOpts),
    Write(PeerId, Vec<u8>),
    Reset(PeerId, Vec<u8>),
}

impl Peer {
    /// The peer ends, and its connections break, when this is dropped.
    fn start() -> Self {
        let mut raw = other(|_| Raw::new(Reads::All));
        let (commands, mut received) = mpsc::unbounded_channel();
        let id = *raw.local_peer_id();
        actix_rt::spawn(async move {
            loop {
                tokio::select! {
                    command = received.recv() => match command {
                        // It fails while the peer dials or is connected.
                        Some(Command::Dial(opts)) => drop(raw.dial(opts)),
                        Some(Command::Write(peer, bytes)) => raw.behaviour_mut().write(peer, bytes, 8_192),
                        Some(Command::Reset(peer, bytes)) => raw.behaviour_mut().reset(peer, bytes),
                        None => return,
                    },
                    _ = raw.select_next_some() => {}
                }
            }
        });
        Self { id, commands }
    }

    fn send(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "the peer runs");
    }

    fn dial(&self, node: &Node) {
        let opts = DialOpts::peer_id(node.peer_id()).addresses(node.addresses().to_vec());
        self.send(Command::Dial(opts.build()));
    }

    fn write(&self, node: &Node, bytes: impl Into<Vec<u8>>) {
        self.send(Command::Write(node.peer_id(), bytes.into()));
    }

    fn reset(&self, node: &Node, bytes: impl Into<Vec<u8>>) {
        self.send(Command::Reset(node.peer_id(), bytes.into()));
    }
}

/// Polls until the condition is true.
async fn until_true(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let probe = async || condition().await.then_some(());
    let found = wait::until(Duration::from_secs(20), Duration::from_millis(10), probe).await;
    assert!(found.is_some(), "{what} within 20 s");
}

async fn is_connected(node: &Node, peer: &Peer) -> bool {
    node.worker().connection_of(&peer.id).await.unwrap().is_some()
}

async fn connect(node: &Node, peer: &Peer) {
    until_true("the peer connects", async || {
        peer.dial(node);
        is_connected(node, peer).await
    })
    .await;
}

/// The peer dials until it is refused because it is blocked.
async fn dial_blocked(node: &Node, peer: &Peer) {
    let refused = || node.network().transport_stats().refused(ConnectionRefusal::Banned);
    let before = refused();
    until_true("the peer is refused", async || {
        peer.dial(node);
        refused() > before
    })
    .await;
    assert!(!is_connected(node, peer).await);
}

async fn set_score(node: &Node, peer: &Peer, score: f64) {
    node.worker().app_input(AppInput::SetApplicationScore { peer: peer.id, score }).unwrap();
    node.worker().settle().await;
}

/// The score of a peer and its counter of misbehaviours (P7); zero without a score.
async fn score(node: &Node, peer: &Peer) -> (f64, f64) {
    let score = node.worker().score_of(&peer.id, Page::first(0)).await.unwrap();
    score.map_or((0.0, 0.0), |score| (score.score, score.behaviour_penalty))
}

/// A node without heartbeats but those that the test runs.
async fn node(
    network: Libp2pNetwork,
    change: impl FnOnce(&mut LimitsConfig<TopicName>),
) -> (Node, AppOutputs<Libp2pNetwork>) {
    let mut limits = LimitsConfig::default();
    change(&mut limits);
    let builder = Node::builder(Keypair::generate_ed25519()).network(network).limits(limits);
    let builder = builder.engine(|engine| engine.arbiters(1).manual().message_events(16));
    builder.topic(topic()).listen("/ip4/127.0.0.1/tcp/0").start().await.unwrap()
}

fn anonymous_network() -> Libp2pNetwork {
    Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).build()
}

/// A frame with an anonymous message of `data` on `news`.
fn anonymous(data: &str) -> Vec<u8> {
    let length = data.len() as u8;
    [&[length + 10, 0x12, length + 8, 0x12, length], data.as_bytes(), &[0x22, 4], b"news"].concat()
}

/// A frame with a subscription to `news`.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];
/// A frame that is not protobuf.
const GARBAGE: &[u8] = &[5, 1, 2, 3, 4, 5];

/// D4: a peer at a score of -2.5e7 had 2,000 of 2,000 invalid messages judged and 20 of 20 valid ones forwarded.
#[test]
fn of_a_peer_below_the_graylist_no_id_is_made_and_no_message_judged_or_forwarded() {
    actix_rt::System::new().block_on(async {
        let (ids, judged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (id_counter, judge_counter) = (Arc::clone(&ids), Arc::clone(&judged));
        let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign)
            .message_id(move |_, message| {
                id_counter.fetch_add(1, Ordering::Relaxed);
                message.data().into()
            })
            .validator(move |delivery| {
                judge_counter.fetch_add(1, Ordering::Relaxed);
                if delivery.message.message.data().starts_with(b"invalid") {
                    return Validity::Invalid;
                }
                Validity::Valid
            });
        let (node, mut app) =
            node(network.build(), |limits| limits.extensions.disconnect_threshold = None).await;
        let (attacker, honest) = (Peer::start(), Peer::start());
        connect(&node, &attacker).await;
        connect(&node, &honest).await;
        honest.write(&node, SUBSCRIBE);
        until_true("the honest peer is in the mesh", async || {
            node.worker().tick().await;
            node.worker().state().await.unwrap().mesh[&topic()].contains(&honest.id)
        })
        .await;
        set_score(&node, &attacker, -2.5e7).await;
        assert!(node.worker().is_graylisted(&attacker.id));

        let invalid = (0..2000).map(|number| anonymous(&format!("invalid {number}")));
        let valid = (0..20).map(|number| anonymous(&format!("valid {number}")));
        attacker.write(&node, invalid.chain(valid).flatten().collect::<Vec<_>>());
        let dropped = || node.network().transport_stats().graylisted_rpcs;
        until_true("all RPCs are dropped", async || dropped() == 2020).await;
        node.worker().settle().await;
        assert_eq!((ids.load(Ordering::Relaxed), judged.load(Ordering::Relaxed)), (0, 0));
        assert_eq!(node.worker().stats().count_sent_app_messages, 0);
        assert!(app.try_recv().is_none());

        // The stream is read on, and what comes after the score has recovered is handled.
        set_score(&node, &attacker, 0.0).await;
        attacker.write(&node, anonymous("late"));
        assert_eq!(app.recv().await.unwrap().message.data(), b"late");
        node.worker().settle().await;
        assert_eq!(node.worker().stats().count_sent_app_messages, 1);
        node.shutdown().await;
    });
}

/// B1: the ban of a peer lasted one round trip.
#[test]
fn a_banned_peer_is_refused_until_its_time_is_over_or_the_ban_is_lifted() {
    actix_rt::System::new().block_on(async {
        let (node, _app) =
            node(anonymous_network(), |limits| limits.extensions.ban_duration = Duration::from_secs(3_600))
                .await;
        let peer = Peer::start();
        connect(&node, &peer).await;
        set_score(&node, &peer, -1e6).await;
        node.worker().tick().await;
        until_true("the peer is disconnected", async || !is_connected(&node, &peer).await).await;
        for _ in 0..2 {
            dial_blocked(&node, &peer).await;
        }
        assert!(node.handle().unblock(peer.id).await.unwrap());
        set_score(&node, &peer, 0.0).await;
        connect(&node, &peer).await;

        // The operator bans it, for ever and whatever its score. A shorter ban does not end that one.
        node.handle().block(peer.id, Duration::MAX).await.unwrap();
        node.handle().block(peer.id, Duration::ZERO).await.unwrap();
        until_true("the peer is disconnected", async || !is_connected(&node, &peer).await).await;
        dial_blocked(&node, &peer).await;
        assert!(node.handle().unblock(peer.id).await.unwrap());
        assert!(!node.handle().unblock(peer.id).await.unwrap());
        connect(&node, &peer).await;

        // A ban ends by itself. Until then each dial is refused.
        node.handle().block(peer.id, Duration::from_millis(50)).await.unwrap();
        connect(&node, &peer).await;
        node.shutdown().await;
    });
}

/// B1 and D18: garbage cost nothing.
#[test]
fn garbage_lowers_the_score_until_the_peer_is_banned() {
    actix_rt::System::new().block_on(async {
        let (node, _app) = node(anonymous_network(), |_| {}).await;
        let peer = Peer::start();
        connect(&node, &peer).await;
        // Each stream of garbage counts as three misbehaviours, of which six are free. The eighth closes the connection.
        for (streams, expected) in
            [0.0, 0.0, -90.0, -360.0, -810.0, -1440.0, -2250.0, -3240.0].into_iter().enumerate()
        {
            peer.write(&node, GARBAGE);
            let misbehaviours = 3.0 * (streams + 1) as f64;
            until_true("it is reported", async || score(&node, &peer).await.1 == misbehaviours).await;
            assert_eq!(score(&node, &peer).await.0, expected);
        }
        assert_eq!(node.network().transport_stats().bad_rpcs, 8);
        until_true("the connection is closed", async || !is_connected(&node, &peer).await).await;

        connect(&node, &peer).await;
        assert!(node.worker().is_graylisted(&peer.id));
        node.worker().tick().await;
        until_true("the peer is banned", async || !is_connected(&node, &peer).await).await;
        dial_blocked(&node, &peer).await;
        node.shutdown().await;
    });
}

#[test]
fn a_stream_or_connection_that_breaks_costs_no_score_but_only_so_many_streams_are_reopened() {
    actix_rt::System::new().block_on(async {
        let (node, _app) = node(anonymous_network(), |_| {}).await;
        let peer = Peer::start();
        connect(&node, &peer).await;
        // A frame that is cut off is no garbage.
        for _ in 0..10 {
            peer.reset(&node, &SUBSCRIBE[..4]);
        }
        peer.write(&node, SUBSCRIBE);
        let subscribed = async |peer: &Peer| {
            let connection = node.worker().connection_of(&peer.id).await.unwrap();
            connection.is_some_and(|connection| connection.topics.contains(&topic()))
        };
        until_true("the peer is still read", async || subscribed(&peer).await).await;
        assert_eq!(score(&node, &peer).await, (0.0, 0.0));

        // One after another: of streams that are opened at once some are refused.
        let closed = async || {
            let connected = is_connected(&node, &peer).await;
            if connected {
                peer.reset(&node, &SUBSCRIBE[..4]);
            }
            !connected
        };
        until_true("the connection is closed", closed).await;
        assert_eq!(score(&node, &peer).await, (0.0, 0.0));
        connect(&node, &peer).await;
        let id = peer.id;
        drop(peer);
        until_true("the connection breaks", async || {
            node.worker().connection_of(&id).await.unwrap().is_none()
        })
        .await;
        let kinds = node.worker().event_counts();
        assert!(
            kinds.iter().all(|(name, ..)| ["JOIN", "ADD_PEER", "REMOVE_PEER", "GRAFT"].contains(name)),
            "{kinds:?}"
        );
        node.shutdown().await;
    });
}

/// D14: 15 of 15 own messages were taken as new when they were replayed after the seen time.
#[test]
fn an_own_message_that_a_peer_sends_is_refused_and_costs_no_score() {
    actix_rt::System::new().block_on(async {
        let key = Keypair::generate_ed25519();
        let builder = Node::builder(key).engine(|engine| engine.arbiters(1).manual().message_events(16));
        let (node, mut app) = builder.topic(topic()).listen("/ip4/127.0.0.1/tcp/0").start().await.unwrap();
        let (mut echo, network) = ours(BehaviourConfig::default());
        echo.dial(node.addresses()[0].clone()).unwrap();
        let us = node.peer_id();
        // The node has not seen this message since it started.
        let own = node.network().message(topic(), *b"own").unwrap();
        let other = network.message(topic(), *b"other").unwrap();
        actix_rt::spawn(async move {
            loop {
                let event = echo.select_next_some().await;
                if gossipsub_event(event).and_then(connected).is_some() {
                    for message in [own.clone(), other.clone()] {
                        send_message(&mut echo, us, NetMessage::FullMessage(message.into()));
                    }
                }
            }
        });
        assert_eq!(app.recv().await.unwrap().message.data(), b"other");
        node.worker().settle().await;
        assert!(app.try_recv().is_none());
        let counts = node.worker().event_counts();
        assert!(counts.contains(&("REJECT_MESSAGE", "own_message", 1)), "{counts:?}");
        assert!(!counts.iter().any(|(name, ..)| *name == "PENALTY"), "{counts:?}");
        node.shutdown().await;
    });
}
