//! This test connects a peer that subscribes, answers pings and stops reading. The transport must detect it, report it
//! to the engine, and serve all other peers without delay.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::libp2p::{
    BehaviourConfig, DeliveryListener, Engine, Event, FrameDecoder, NodeEvent, RefusedInput, SlowPeerAction,
    Slowness, fuzz,
};
use actix_gossipsub::{
    AppInput, DropReason, P2pInput, P2pMessage, PublishReport, PublishTicket, Refused, Worker, protocol::Lane,
};
use futures::{StreamExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Swarm, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use tokio::{sync::watch, task::JoinHandle};

use super::{publisher, support::*, topic};

/// What was told of peers and drops, by whom it was told to.
#[derive(Default)]
struct Told {
    /// By the node to its observer.
    slow: Vec<(PeerId, Slowness)>,
    gone: Vec<PeerId>,
    /// To the engine.
    engine_slow: Vec<PeerId>,
    engine_dropped: HashMap<(Lane, DropReason), usize>,
}

/// A worker whose reports are written down.
#[derive(Clone)]
struct Watched {
    worker: Worker<Net>,
    told: Arc<Mutex<Told>>,
}

impl Engine for Watched {
    type Refused = Refused;

    fn p2p_input(&self, input: Input) -> Result<(), RefusedInput<Refused>> {
        Engine::p2p_input(&self.worker, input)
    }

    fn set_unreachable_point(&self, point: Multiaddr) {
        self.worker.set_unreachable_point(point);
    }

    fn is_temporary(&self, refused: &Refused) -> bool {
        self.worker.is_temporary(refused)
    }

    fn p2p_input_ready(&self, peer: PeerId) -> BoxFuture<'static, ()> {
        Engine::p2p_input_ready(&self.worker, peer)
    }

    fn report_slow_peer(&self, peer: &PeerId) {
        self.told.lock().unwrap().engine_slow.push(*peer);
        self.worker.report_slow_peer(peer);
    }

    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        *self.told.lock().unwrap().engine_dropped.entry((lane, reason)).or_default() += count;
        self.worker.report_dropped(lane, reason, count);
    }

    fn delivery_listener(&self) -> Option<Arc<dyn DeliveryListener>> {
        self.worker.delivery_listener()
    }
}

type Publisher = publisher::Publisher<Arc<Mutex<Told>>>;

async fn publisher(gossipsub: BehaviourConfig) -> Publisher {
    let told = Arc::<Mutex<Told>>::default();
    let (engine_told, node_told) = (told.clone(), told.clone());
    let watch = |worker| Watched { worker, told: engine_told };
    let observe = move |event: &NodeEvent<'_>| match event {
        NodeEvent::Gossipsub(Event::SlowPeer { peer, slowness }) => {
            node_told.lock().unwrap().slow.push((*peer, *slowness));
        }
        NodeEvent::Input(P2pInput::Disconnection { peer }) => node_told.lock().unwrap().gone.push(*peer),
        _ => {}
    };
    Publisher::start(gossipsub, told, watch, observe).await
}

impl Publisher {
    async fn knows(&self, peer: &PeerId) -> bool {
        self.worker.state().await.unwrap().connections.contains_key(peer)
    }
}

const SIZE: usize = 50_000;
/// More than the window of a stream that is not read takes.
const MESSAGES: usize = 40;

/// A peer of ours without an engine, which subscribes, reads, and counts the messages.
async fn subscriber(to: Multiaddr, got: watch::Sender<usize>) {
    let (mut swarm, _) = ours(BehaviourConfig::default());
    swarm.dial(to).unwrap();
    loop {
        let Some(event) = gossipsub_event(swarm.select_next_some().await) else { continue };
        for input in inputs(event) {
            match input {
                P2pInput::NewConnection { peer, .. } => {
                    say(&mut swarm, peer, NetMessage::subscribe(topic()));
                }
                P2pInput::InMessage { message: P2pMessage::FullMessage(_), .. } => {
                    got.send_modify(|count| *count += 1);
                }
                _ => {}
            }
        }
    }
}

/// A raw peer that answers pings.
#[derive(NetworkBehaviour)]
struct RawNode {
    raw: Raw,
    ping: ping::Behaviour,
}

/// `subscribe to "news"` in a frame.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];

/// A peer that subscribes, answers pings, and reads as it is told; what it is connected to.
fn raw(to: Multiaddr, reads: Reads) -> (PeerId, watch::Receiver<bool>, JoinHandle<()>) {
    let mut swarm: Swarm<RawNode> =
        other(|_| RawNode { raw: Raw::new(reads), ping: ping::Behaviour::default() });
    let peer = *swarm.local_peer_id();
    let (connected, is_connected) = watch::channel(false);
    swarm.dial(to).unwrap();
    let task = actix_rt::spawn(async move {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    connected.send_replace(true);
                    swarm.behaviour_mut().raw.write(peer_id, SUBSCRIBE, 100);
                }
                SwarmEvent::ConnectionClosed { .. } => drop(connected.send_replace(false)),
                _ => {}
            }
        }
    });
    (peer, is_connected, task)
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn completed(ticket: &PublishTicket<Net>) -> PublishReport {
    let wait = tokio::time::timeout(Duration::from_secs(60), ticket.completed()).await;
    wait.unwrap_or_else(|_| panic!("never completed: {:?}", ticket.report()))
}

/// Two peers that read and one that does not, of whom `slow_peer` is what is done.
struct Scene {
    publisher: Publisher,
    got: Vec<watch::Receiver<usize>>,
    slow: PeerId,
    is_connected: watch::Receiver<bool>,
    read: watch::Sender<bool>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Scene {
    async fn new(slow_peer: SlowPeerAction) -> Self {
        let config = BehaviourConfig::default().with(|c| {
            c.write_timeout = Duration::from_millis(500);
            c.slow_peer = slow_peer;
        });
        let publisher = publisher(config).await;
        let mut got = Vec::new();
        for _ in 0..2 {
            let (sender, receiver) = watch::channel(0);
            actix_rt::spawn(subscriber(publisher.address.clone(), sender));
            got.push(receiver);
        }
        let ((read, told), heard) = (watch::channel(false), Arc::<Mutex<Vec<u8>>>::default());
        let reads = Reads::WhenTold(told, heard.clone());
        let (slow, is_connected, _) = raw(publisher.address.clone(), reads);
        publisher.mesh(3).await;
        Self { publisher, got, slow, is_connected, read, heard }
    }

    /// Publishes until the slow peer is told of, and checks what all tickets came to.
    async fn play(&mut self) {
        let tickets: Vec<_> = (0..MESSAGES).map(|_| self.publisher.publish(SIZE)).collect();
        let mut late = 0;
        for ticket in &tickets {
            let report = completed(ticket).await;
            assert_eq!((report.queued, report.not_sent(DropReason::Disconnected)), (3, 0), "{report:?}");
            assert_eq!(report.sent + report.not_sent(DropReason::PeerQueueFull), 3, "{report:?}");
            late += report.not_sent(DropReason::PeerQueueFull);
        }
        // Its window took some, and that is all.
        assert!((MESSAGES / 2..MESSAGES).contains(&late), "{late} of {MESSAGES} were not sent");
        for got in &mut self.got {
            soon("what others get", got.wait_for(|count| *count == MESSAGES)).await.unwrap();
        }
        let told = || self.publisher.told.lock().unwrap();
        soon("a report", async {
            while told().engine_dropped.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let told = told();
        assert_eq!(told.slow, [(self.slow, Slowness::WriteTimeout)]);
        assert_eq!(told.engine_slow, [self.slow]);
        let dropped = told.engine_dropped[&(Lane::Publish, DropReason::PeerQueueFull)];
        // What is being written can't be dropped.
        assert!((1..=late).contains(&dropped), "{dropped} of {late} were dropped");
    }

    /// What the slow peer has read.
    fn heard(&self) -> Vec<NetMessage> {
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.extend(&self.heard.lock().unwrap());
        let mut said = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            said.extend(fuzz::read(frame, &self.publisher.network).unwrap());
        }
        said
    }
}

#[test]
fn a_peer_that_does_not_read_is_told_of_and_disconnected() {
    actix_rt::System::new().block_on(async {
        let mut scene = Scene::new(SlowPeerAction::Disconnect).await;
        scene.play().await;
        soon("closed", scene.is_connected.wait_for(|connected| !connected)).await.unwrap();
        let Scene { publisher, slow, .. } = &scene;
        assert_eq!(publisher.told.lock().unwrap().gone, [*slow]);
        publisher.worker.settle().await;
        assert!(!publisher.knows(slow).await);
        let report = completed(&publisher.publish(SIZE)).await;
        assert_eq!((report.queued, report.sent), (2, 2));
        publisher.worker.shutdown().await;
    });
}

#[test]
fn a_peer_that_is_only_reported_stays_and_misses_no_control() {
    actix_rt::System::new().block_on(async {
        let mut scene = Scene::new(SlowPeerAction::Report).await;
        scene.play().await;
        let Scene { publisher, slow, is_connected, .. } = &scene;
        assert!(*is_connected.borrow() && publisher.knows(slow).await);

        // Nothing waits for it any longer but what it must hear.
        let report = completed(&publisher.publish(SIZE)).await;
        assert_eq!(
            (report.queued, report.sent, report.not_sent(DropReason::PeerQueueFull)),
            (3, 2, 1),
            "{report:?}"
        );
        publisher.worker.app_input(AppInput::Leave(topic())).unwrap();
        publisher.worker.settle().await;

        // It reads again, and is served again.
        scene.read.send_replace(true);
        soon("what it must hear", async {
            while !scene.heard().contains(&NetMessage::Unsubscribe { topic: topic() }) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let is_prune = |said: &NetMessage| matches!(said, NetMessage::Prune { .. });
        assert!(scene.heard().iter().any(is_prune), "it was in the mesh");
        publisher.worker.app_input(AppInput::Join(topic())).unwrap();
        publisher.worker.settle().await;
        let before = scene.heard().iter().filter(|said| matches!(said, NetMessage::FullMessage(_))).count();
        // Who was pruned is grafted only later; a message to nobody goes to those who are subscribed.
        soon("a message", async {
            while scene.heard().iter().filter(|said| matches!(said, NetMessage::FullMessage(_))).count()
                == before
            {
                publisher.publish(SIZE);
                publisher.worker.tick().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(publisher.told.lock().unwrap().engine_slow, [*slow]);
        assert!(publisher.told.lock().unwrap().gone.is_empty());
        publisher.worker.shutdown().await;
    });
}

#[test]
fn a_peer_that_reads_slowly_but_steadily_is_not_slow() {
    actix_rt::System::new().block_on(async {
        let write_timeout = Duration::from_secs(2);
        let config = BehaviourConfig::default().with(|c| c.write_timeout = write_timeout);
        let publisher = publisher(config).await;
        let reads = Reads::Slowly(64 << 10, Duration::from_millis(100));
        let (slow, is_connected, _) = raw(publisher.address.clone(), reads);
        publisher.mesh(1).await;
        let began = tokio::time::Instant::now();
        let tickets: Vec<_> = (0..64).map(|_| publisher.publish(SIZE)).collect();
        for ticket in &tickets {
            assert_eq!(completed(ticket).await.sent, 1);
        }
        // 3.2 MB, of which it can have read no more than 640 kB a second: there was time to be slow.
        assert!(began.elapsed() > write_timeout);
        assert!(publisher.told.lock().unwrap().slow.is_empty());
        assert!(*is_connected.borrow() && publisher.knows(&slow).await);
        publisher.worker.shutdown().await;
    });
}
