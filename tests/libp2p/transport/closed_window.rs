//! A peer that makes us write and never reads from its socket. The node must close the connection, whose last frames
//! can't be written.

use std::{net::SocketAddr, time::Duration};

use actix_gossipsub::ConnectionRefusal;
use actix_gossipsub::libp2p::{TransportBehaviourEvent, TransportConfig};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    core::upgrade::OutboundConnectionUpgrade, identity::Keypair, noise, swarm::SwarmEvent,
    tcp::tokio::TcpStream,
};

use super::support::*;

const MULTISTREAM: &[u8] = b"\x13/multistream/1.0.0\n";
const NOISE: &[u8] = b"\x07/noise\n";
const YAMUX: &[u8] = b"\x0d/yamux/1.0.0\n";
/// A ping of yamux: version, type, flags (SYN), stream, value. It is answered by as many bytes.
const PING: [u8; 12] = [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];

async fn negotiate(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), protocol: &[u8]) {
    let expected = [MULTISTREAM, protocol].concat();
    stream.write_all(&expected).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, expected);
}

/// Connects, and then sends pings of yamux as long as they are taken, and reads nothing.
async fn send_and_never_read(to: SocketAddr) {
    let mut socket = TcpStream(tokio::net::TcpStream::connect(to).await.unwrap());
    negotiate(&mut socket, NOISE).await;
    let noise = noise::Config::new(&Keypair::generate_ed25519()).unwrap();
    let (_, mut secured) = noise.upgrade_outbound(socket, "/noise").await.unwrap();
    negotiate(&mut secured, YAMUX).await;
    let pings = PING.repeat(4_096);
    while secured.write_all(&pings).await.is_ok() && secured.flush().await.is_ok() {}
    // The socket stays open.
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_peer_that_stops_reading_at_the_socket_loses_its_slot() {
    let config = TransportConfig::default().with(|c| c.write_timeout = Duration::from_millis(500));
    let (mut node, _) = ours_with(&config);
    let address = listen(&mut node).await;
    let peer = tokio::spawn(send_and_never_read(socket_address(&address)));
    let (mut closed, mut reported) = (0, 0);
    let work = async {
        while closed == 0 || reported == 0 {
            match node.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. } => closed += 1,
                SwarmEvent::Behaviour(TransportBehaviourEvent::Limits(refused)) => {
                    assert_eq!(refused.reason, ConnectionRefusal::WriteTimeout);
                    reported += refused.count;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(25), work).await.expect("the connection is closed");
    assert_eq!((closed, reported), (1, 1));
    assert_eq!(node.network_info().num_peers(), 0);
    assert!(!peer.is_finished(), "the peer has closed nothing");
}
