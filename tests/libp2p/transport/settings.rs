//! These tests check what the application of a running node changes about its peers: direct peers, blocks, and which
//! subscriptions are accepted.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{
    AppInput,
    libp2p::{Keypair, Libp2pNetwork, Node, SignaturePolicy, SubscriptionFilter, TopicName},
};

use super::topic;

/// The time after which a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);

fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(async {
        tokio::time::timeout(TIMEOUT, test).await.expect("the test ends in time");
    });
}

/// A node that listens and has joined a topic. Its heartbeats are short.
async fn node(network: Option<fn(Keypair) -> Libp2pNetwork>) -> Node {
    let key = Keypair::generate_ed25519();
    let limits = actix_gossipsub::LimitsConfig::default().with(|limits| {
        limits.heartbeat_interval = Duration::from_millis(50);
        limits.bounds.reconnect_interval_ticks = 2;
    });
    let mut builder = Node::builder(key.clone()).listen("/ip4/127.0.0.1/tcp/0").topic(topic()).limits(limits);
    if let Some(network) = network {
        builder = builder.network(network(key));
    }
    let (node, mut received) = builder.start().await.expect("the node starts");
    actix::spawn(async move { while received.recv().await.is_some() {} });
    node
}

/// Waits until the engine of `node` knows whether `other` is connected.
async fn connected(node: &Node, other: &Node, expected: bool) {
    let is_connected = async || {
        let connection = node.worker().connection_of(&other.peer_id()).await;
        connection.expect("the engine runs").is_some()
    };
    while is_connected().await != expected {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The number of connections that the node has had so far.
fn connections(node: &Node) -> u64 {
    let counts = node.worker().event_counts().into_iter();
    counts.filter(|(name, _, _)| *name == "ADD_PEER").map(|(_, _, count)| count).sum()
}

async fn meet(alice: &Node, bob: &Node) {
    alice.handle().dial(bob.addresses()[0].clone()).await.expect("the dial begins");
    connected(alice, bob, true).await;
    connected(bob, alice, true).await;
}

#[test]
fn a_direct_peer_is_dialled_again_whenever_its_connection_is_lost() {
    run(async {
        let (alice, bob) = (node(None).await, node(None).await);
        meet(&alice, &bob).await;
        alice.worker().set_direct(&bob.peer_id(), true).expect("the engine runs");
        for _ in 0..3 {
            let before = connections(&bob);
            bob.handle().disconnect(alice.peer_id()).await.expect("the node runs");
            while connections(&bob) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connected(&alice, &bob, true).await;
        }
        let connection = alice.worker().connection_of(&bob.peer_id()).await.expect("the engine runs");
        assert!(connection.is_none_or(|connection| connection.direct));
        alice.worker().set_direct(&bob.peer_id(), false).expect("the engine runs");
        alice.shutdown().await;
        bob.shutdown().await;
    });
}

#[test]
fn a_peer_that_the_application_blocks_is_refused_until_it_is_admitted_again() {
    run(async {
        let (alice, bob) = (node(None).await, node(None).await);
        meet(&alice, &bob).await;
        alice.worker().block(&bob.peer_id(), Duration::MAX).expect("the engine runs");
        connected(&alice, &bob, false).await;
        connected(&bob, &alice, false).await;
        assert!(alice.handle().dial(bob.addresses()[0].clone()).await.is_err(), "the peer is blocked");
        alice.worker().unblock(&bob.peer_id()).expect("the engine runs");
        alice.worker().settle().await;
        // The request to the transport is on its way when the engine has settled.
        while alice.handle().dial(bob.addresses()[0].clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connected(&alice, &bob, true).await;
        alice.shutdown().await;
        bob.shutdown().await;
    });
}

#[test]
fn a_node_describes_its_peers() {
    run(async {
        let (alice, bob) = (node(None).await, node(None).await);
        meet(&alice, &bob).await;
        let describe = async || alice.handle().describe(bob.peer_id()).await.expect("the node runs");
        // Identify reports the agent after the connection.
        while describe().await.agent.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let info = describe().await;
        let address = info.address.expect("a connection").to_string();
        assert!(bob.addresses()[0].to_string().starts_with(&address), "{address}");
        assert_eq!(info.agent.as_deref(), Some(concat!("actix-gossipsub/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(info.protocol.expect("gossipsub").to_string(), "/meshsub/1.2.0");
        assert_eq!(info.blocked_for, None);
        alice.handle().block(bob.peer_id(), Duration::from_secs(60)).await.expect("the node runs");
        connected(&alice, &bob, false).await;
        let blocked = describe().await;
        assert!(blocked.blocked_for.is_some_and(|time| time <= Duration::from_secs(60)), "{blocked:?}");
        while describe().await.address.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((describe().await.agent, describe().await.protocol), (None, None));
        alice.handle().block(bob.peer_id(), Duration::MAX).await.expect("the node runs");
        assert_eq!(describe().await.blocked_for, Some(Duration::MAX));
        alice.handle().unblock(bob.peer_id()).await.expect("the node runs");
        assert_eq!(describe().await.blocked_for, None);
        alice.shutdown().await;
        bob.shutdown().await;
    });
}

#[test]
fn a_node_stores_only_the_subscriptions_that_its_filter_allows() {
    run(async {
        let filtered = |key| {
            let filter = SubscriptionFilter::new().topics([topic()]).patterns(["/eth2/*/beacon_block/*"]);
            let policy = SignaturePolicy::StrictSign(Box::new(key));
            Libp2pNetwork::builder(policy).subscription_filter(filter).build()
        };
        let (alice, bob) = (node(Some(filtered)).await, node(None).await);
        let allowed = TopicName::from("/eth2/8c9f62fe/beacon_block/ssz_snappy");
        for name in ["chat", "/eth2/8c9f62fe/voluntary_exit/ssz_snappy", allowed.as_str(), "last"] {
            bob.worker().app_input(AppInput::Join(name.into())).expect("the engine runs");
        }
        meet(&alice, &bob).await;
        // A peer sends all its subscriptions at once.
        while topics_of(&alice, &bob).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        alice.worker().settle().await;
        assert_eq!(topics_of(&alice, &bob).await, [allowed, topic()].into());
        alice.shutdown().await;
        bob.shutdown().await;
    });
}

/// The topics of `other` that the engine of `node` knows.
async fn topics_of(node: &Node, other: &Node) -> BTreeSet<TopicName> {
    let connection = node.worker().connection_of(&other.peer_id()).await.expect("the engine runs");
    connection.map(|connection| connection.topics).unwrap_or_default()
}

async fn until_topics(node: &Node, other: &Node, expected: &[&str]) {
    let expected = expected.iter().map(|name| TopicName::from(*name)).collect();
    let is_so = async {
        while topics_of(node, other).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let known = tokio::time::timeout(TIMEOUT / 3, is_so).await;
    assert!(known.is_ok(), "{:?} are not {expected:?}", topics_of(node, other).await);
}

/// A new filter decides about each SUBSCRIBE from now on: what a peer is subscribed to stays, and what was refused is not
/// remembered.
#[test]
fn a_filter_that_is_replaced_decides_about_later_subscriptions() {
    run(async {
        let key = Keypair::generate_ed25519();
        let policy = SignaturePolicy::StrictSign(Box::new(key.clone()));
        let first = SubscriptionFilter::new().topics(["a", "b"]);
        let network = Libp2pNetwork::builder(policy).subscription_filter(first).build();
        let builder = Node::builder(key).listen("/ip4/127.0.0.1/tcp/0").network(network.clone());
        let (alice, _messages) = builder.start().await.expect("the node starts");
        let bob = node(None).await;
        // Each change is announced by itself.
        let inputs = async |inputs: &[AppInput<Libp2pNetwork>]| {
            for input in inputs {
                bob.worker().app_input(input.clone()).expect("the engine runs");
                bob.worker().settle().await;
            }
        };
        let join = |name: &str| AppInput::Join(name.into());
        let leave = |name: &str| AppInput::Leave(name.into());
        inputs(&["a", "b", "c"].map(join)).await;
        meet(&alice, &bob).await;
        until_topics(&alice, &bob, &["a", "b"]).await;

        network.set_subscription_filter(Some(SubscriptionFilter::new().topics(["b", "c"])));
        inputs(&[join("d"), leave("c"), join("c")]).await;
        until_topics(&alice, &bob, &["a", "b", "c"]).await;
        // In this order only the last of them leads to the topics that are waited for.
        inputs(&[leave("b"), leave("a"), join("a"), join("b")]).await;
        until_topics(&alice, &bob, &["b", "c"]).await;

        network.set_subscription_filter(None);
        inputs(&[join("e")]).await;
        // Those that were refused are still not among them.
        until_topics(&alice, &bob, &["b", "c", "e"]).await;
        alice.shutdown().await;
        bob.shutdown().await;
    });
}
