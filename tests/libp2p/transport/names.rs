//! Addresses that contain names.

use actix_gossipsub::libp2p::{Keypair, Node};
use libp2p::Multiaddr;

/// A node that is dialled at `address`, in which `{port}` is the port of the first address at which it listens, and one that
/// dials it and publishes a message, which must arrive.
pub async fn dial_and_publish(listen: &str, address: &str) {
    let alice = Node::builder(Keypair::generate_ed25519()).listen(listen).topic("news");
    let (alice, mut received) = alice.start().await.unwrap();
    let port = alice.addresses()[0].iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) | libp2p::multiaddr::Protocol::Udp(port) => Some(port),
        _ => None,
    });
    let address: Multiaddr = address.replace("{port}", &port.unwrap().to_string()).parse().unwrap();
    let bob = Node::builder(Keypair::generate_ed25519()).dial(address).topic("news");
    let (bob, mut answers) = bob.start().await.unwrap();
    let exchange = async {
        bob.wait_for_mesh("news", 1).await.unwrap();
        alice.wait_for_mesh("news", 1).await.unwrap();
        bob.publish("news", "from bob").unwrap();
        alice.publish("news", "from alice").unwrap();
        assert_eq!(received.recv().await.unwrap().message.data(), b"from bob");
        assert_eq!(answers.recv().await.unwrap().message.data(), b"from alice");
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), exchange).await.expect("messages both ways");
    bob.shutdown().await;
    alice.shutdown().await;
}

#[actix_rt::test]
async fn a_node_is_dialled_by_its_name() {
    dial_and_publish("/ip4/127.0.0.1/tcp/0", "/dns4/localhost/tcp/{port}").await;
}
