//! A node that runs as a service: it stops or is killed, and starts again as the same peer. A node of this process is its
//! peer, and judges by its own heartbeats, meshes and penalties.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use actix_gossipsub::{
    Clock, LimitsConfig, Page, SystemClock,
    libp2p::Node,
    protocol::{Event, Timestamp},
};
use futures::executor::block_on;
use libp2p::{PeerId, identity::Keypair};
use tokio::sync::oneshot;

use super::process::Process;

const HEARTBEAT: Duration = Duration::from_millis(200);
/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A path without a folder.
pub fn absent(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < TIMEOUT, "not true within {TIMEOUT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A node of this process, on a thread of its own.
struct Peer {
    node: Node,
    heartbeats: Arc<Mutex<Vec<Timestamp>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start() -> Self {
        let heartbeats = Arc::<Mutex<Vec<_>>>::default();
        let (times, (started, node), (end, ended)) =
            (Arc::clone(&heartbeats), mpsc::channel(), oneshot::channel::<()>());
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let limits = LimitsConfig::default().with(|limits| {
                    limits.heartbeat_interval = HEARTBEAT;
                    limits.score.behaviour_penalty_weight = -10.0;
                    limits.score.behaviour_penalty_threshold = 0.0;
                });
                let clock = Arc::new(SystemClock::new());
                let (node, mut messages) = Node::builder(Keypair::generate_ed25519())
                    .listen("/ip4/127.0.0.1/tcp/0")
                    .topic("t")
                    .limits(limits)
                    .engine(move |builder| {
                        let now = Arc::clone(&clock);
                        builder.clock(clock).observer(move |event| {
                            if let Event::Heartbeat { .. } = event {
                                times.lock().unwrap().push(now.now());
                            }
                        })
                    })
                    .start()
                    .await
                    .unwrap();
                started.send(node.clone()).unwrap();
                let read = async { while messages.recv().await.is_some() {} };
                futures::future::select(Box::pin(read), ended).await;
                node.shutdown().await;
            });
        });
        let node = node.recv_timeout(TIMEOUT).unwrap();
        Self { node, heartbeats, end: Some(end), thread: Some(thread) }
    }

    fn address(&self) -> String {
        self.node.addresses()[0].to_string()
    }

    fn until_meshed(&self, peer: PeerId) {
        until("the node is in the mesh of its peer", || {
            let mesh = block_on(self.node.worker().mesh_of(&"t".into())).unwrap().unwrap();
            mesh.contains(&peer).then_some(())
        });
    }

    fn until_gone(&self, peer: PeerId) {
        until("the connection has ended", || {
            block_on(self.node.worker().connection_of(&peer)).unwrap().is_none().then_some(())
        });
    }

    /// The end of the backoff of the node at its peer.
    fn backoff_until(&self, peer: PeerId) -> Option<Timestamp> {
        let backoffs = block_on(self.node.worker().backoffs(Page::all())).unwrap().items;
        let of_peer = backoffs.into_iter().flat_map(|(_, peers)| peers).find(|(other, _)| *other == peer);
        of_peer.map(|(_, until)| until)
    }

    /// The times of the last connection of the node and of the GRAFT that followed. A mesh is changed before that is recorded.
    fn connected_and_grafted(&self, peer: PeerId) -> (Timestamp, Timestamp) {
        until("the GRAFT of the node is recorded", || {
            let mut records = self.node.worker().events(0, usize::MAX).records;
            records.retain(|record| record.peer == Some(peer));
            let connected = records.iter().rposition(|record| record.kind.name() == "ADD_PEER")?;
            let grafted = records[connected..].iter().find(|record| record.kind.name() == "GRAFT")?;
            Some((records[connected].time, grafted.time))
        })
    }

    fn heartbeats_between(&self, begin: Timestamp, end: Timestamp) -> usize {
        self.heartbeats.lock().unwrap().iter().filter(|time| (begin..=end).contains(*time)).count()
    }

    /// The node sent no GRAFT that was refused, and its score was never lowered.
    fn assert_content_with(&self, peer: PeerId) {
        let counts = self.node.worker().event_counts();
        // Both may graft each other at the same time.
        let is_bad =
            |name, reason| name == "PENALTY" || (name == "REJECT_GRAFT" && reason != "already_in_mesh");
        let bad = counts.iter().filter(|(name, reason, _)| is_bad(*name, *reason));
        assert_eq!(bad.count(), 0, "{counts:?}");
        assert!(self.node.worker().score(&peer).is_none_or(|score| score >= 0.0));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.end.take());
        let joined = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            joined.unwrap().unwrap();
        }
    }
}

/// Starts the binary with a data directory, and waits until it listens. Returns its peer id too.
fn node(dir: &Path, flags: &[&str]) -> (Process, PeerId) {
    let common = ["node", "--json", "--topic", "t", "--heartbeat-ms", "200", "--addresses", "loopback"];
    let limits = ["--set", "limits.unsubscribe_backoff=2s", "--data-dir", dir.to_str().unwrap()];
    let mut process = Process::start(&[&common[..], &limits, flags].concat());
    let peer = process.until("listening", 1)[0]["peer_id"].as_str().unwrap().parse().unwrap();
    (process, peer)
}

/// Starts the node with this id again, and waits until the peer has it in its mesh. Returns when it was connected, and when
/// grafted.
fn start_again(peer: &Peer, id: PeerId, dir: &Path, flags: &[&str]) -> (Process, Timestamp, Timestamp) {
    let (process, same) = node(dir, flags);
    assert_eq!(same, id);
    peer.until_meshed(id);
    let (connected, grafted) = peer.connected_and_grafted(id);
    (process, connected, grafted)
}

#[test]
fn after_a_kill_a_node_is_back_in_its_meshes_within_two_heartbeats() {
    let (peer, dir) = (Peer::start(), absent("killed"));
    let (first, id) = node(&dir, &["--dial", &peer.address()]);
    peer.until_meshed(id);
    let known = peer.node.peer_id().to_string();
    until("the known peers are stored", || {
        fs::read_to_string(dir.join("peers.json")).ok().filter(|text| text.contains(&known))
    });
    // By SIGKILL.
    drop(first);
    peer.until_gone(id);
    let (second, connected, grafted) = start_again(&peer, id, &dir, &[]);
    let heartbeats = peer.heartbeats_between(connected, grafted);
    assert!(heartbeats <= 2, "{heartbeats}");
    peer.assert_content_with(id);
    second.terminate();
}

#[test]
fn after_an_orderly_stop_a_node_returns_when_the_backoff_of_its_peers_has_ended() {
    let (peer, dir) = (Peer::start(), absent("stopped"));
    let (first, id) = node(&dir, &["--dial", &peer.address()]);
    peer.until_meshed(id);
    first.terminate();
    let until = peer.backoff_until(id).expect("the node left the topic");
    let (second, connected, grafted) = start_again(&peer, id, &dir, &[]);
    assert!(connected < until, "the node started within the backoff");
    assert!(grafted >= until, "{grafted:?} is before {until:?}");
    // The peer's heartbeats are not those of the node: two of the node may be three of its peer.
    let heartbeats = peer.heartbeats_between(until, grafted);
    assert!(heartbeats <= 3, "{heartbeats}");
    peer.assert_content_with(id);
    second.terminate();
}

#[test]
fn a_node_that_stops_for_a_restart_leaves_no_topic_and_is_back_at_once() {
    let (peer, dir) = (Peer::start(), absent("restarted"));
    let (first, id) = node(&dir, &["--on-stop", "restart", "--dial", &peer.address()]);
    peer.until_meshed(id);
    first.terminate();
    peer.until_gone(id);
    assert_eq!(peer.backoff_until(id), None);
    let (second, connected, grafted) = start_again(&peer, id, &dir, &["--on-stop", "restart"]);
    let heartbeats = peer.heartbeats_between(connected, grafted);
    assert!(heartbeats <= 2, "{heartbeats}");
    peer.assert_content_with(id);
    second.terminate();
}
