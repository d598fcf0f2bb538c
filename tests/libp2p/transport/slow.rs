//! This test connects a peer that subscribes, answers pings and stops reading. The transport must detect it, report it
//! to the engine, and serve all other peers without delay.

use std::{
    collections::{BTreeSet, HashMap},
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

/// The reports about slow peers and dropped messages.
#[derive(Default)]
struct Reports {
    /// Reports of the node to its observer.
    slow: Vec<(PeerId, Slowness)>,
    disconnected: Vec<PeerId>,
    /// Reports of the node to the engine.
    engine_slow: Vec<PeerId>,
    engine_dropped: HashMap<(Lane, DropReason), usize>,
}

/// A worker whose reports are recorded.
#[derive(Clone)]
struct RecordingEngine {
    worker: Worker<Net>,
    reports: Arc<Mutex<Reports>>,
}

impl Engine for RecordingEngine {
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

    fn p2p_input_ready(&self, input: &Input) -> BoxFuture<'static, ()> {
        Engine::p2p_input_ready(&self.worker, input)
    }

    fn report_slow_peer(&self, peer: &PeerId) {
        self.reports.lock().unwrap().engine_slow.push(*peer);
        self.worker.report_slow_peer(peer);
    }

    fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        *self.reports.lock().unwrap().engine_dropped.entry((lane, reason)).or_default() += count;
        self.worker.report_dropped(lane, reason, count);
    }

    fn delivery_listener(&self) -> Option<Arc<dyn DeliveryListener>> {
        self.worker.delivery_listener()
    }
}

type Publisher = publisher::Publisher<Arc<Mutex<Reports>>>;

async fn publisher(gossipsub: BehaviourConfig) -> Publisher {
    let reports = Arc::<Mutex<Reports>>::default();
    let (engine_reports, node_reports) = (reports.clone(), reports.clone());
    let watch = |worker| RecordingEngine { worker, reports: engine_reports };
    let observe = move |event: &NodeEvent<'_>| match event {
        NodeEvent::Gossipsub(Event::SlowPeer { peer, slowness }) => {
            node_reports.lock().unwrap().slow.push((*peer, *slowness));
        }
        NodeEvent::Input(P2pInput::Disconnection { peer }) => {
            node_reports.lock().unwrap().disconnected.push(*peer)
        }
        _ => {}
    };
    Publisher::start(gossipsub, reports, watch, observe).await
}

impl Publisher {
    async fn knows(&self, peer: &PeerId) -> bool {
        self.worker.state().await.unwrap().connections.contains_key(peer)
    }
}

const SIZE: usize = 50_000;
/// More messages than fit into the window of an unread stream.
const MESSAGES: usize = 40;

/// A swarm of this crate without an engine. It subscribes, reads, and counts the messages.
async fn subscriber(to: Multiaddr, received: watch::Sender<usize>) {
    let (mut swarm, _) = ours(BehaviourConfig::default());
    swarm.dial(to).unwrap();
    loop {
        let Some(event) = gossipsub_event(swarm.select_next_some().await) else { continue };
        for input in inputs(event) {
            match input {
                P2pInput::NewConnection { peer, .. } => {
                    send_message(&mut swarm, peer, NetMessage::subscribe(topic()));
                }
                P2pInput::InMessage { message: P2pMessage::FullMessage(_), .. } => {
                    received.send_modify(|count| *count += 1);
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

/// A frame with a subscription to `news`.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];

/// A raw peer that subscribes, answers pings, and reads according to `reads`. Returns its id, whether it is connected, and its
/// task.
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

async fn within_a_minute<T>(condition: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("not true within a minute: {condition}"))
}

async fn completed(ticket: &PublishTicket<Net>) -> PublishReport {
    let wait = tokio::time::timeout(Duration::from_secs(60), ticket.completed()).await;
    wait.unwrap_or_else(|_| panic!("the ticket is not completed: {:?}", ticket.report()))
}

/// A publisher, two peers that read and one that does not. `slow_peer` is the action of the publisher for the latter.
struct SlowPeerScenario {
    publisher: Publisher,
    received: Vec<watch::Receiver<usize>>,
    slow: PeerId,
    is_connected: watch::Receiver<bool>,
    start_reading: watch::Sender<bool>,
    read_bytes: Arc<Mutex<Vec<u8>>>,
}

impl SlowPeerScenario {
    async fn new(slow_peer: SlowPeerAction) -> Self {
        let config = BehaviourConfig::default().with(|c| {
            c.write_timeout = Duration::from_millis(500);
            c.slow_peer = slow_peer;
        });
        let publisher = publisher(config).await;
        let mut received = Vec::new();
        for _ in 0..2 {
            let (sender, receiver) = watch::channel(0);
            actix_rt::spawn(subscriber(publisher.address.clone(), sender));
            received.push(receiver);
        }
        let ((start_reading, signal), read_bytes) = (watch::channel(false), Arc::<Mutex<Vec<u8>>>::default());
        let reads = Reads::AfterSignal(signal, read_bytes.clone());
        let (slow, is_connected, _) = raw(publisher.address.clone(), reads);
        publisher.mesh(3).await;
        Self { publisher, received, slow, is_connected, start_reading, read_bytes }
    }

    /// Publishes until the slow peer is reported, and checks the reports of all tickets.
    async fn publish_until_slow(&mut self) {
        let tickets: Vec<_> = (0..MESSAGES).map(|_| self.publisher.publish(SIZE)).collect();
        let mut late = 0;
        for ticket in &tickets {
            let report = completed(ticket).await;
            assert_eq!((report.queued, report.not_sent(DropReason::Disconnected)), (3, 0), "{report:?}");
            assert_eq!(report.sent + report.not_sent(DropReason::PeerQueueFull), 3, "{report:?}");
            late += report.not_sent(DropReason::PeerQueueFull);
        }
        // Only the messages in the window of the stream were sent.
        assert!((MESSAGES / 2..MESSAGES).contains(&late), "{late} of {MESSAGES} messages were not sent");
        for received in &mut self.received {
            within_a_minute(
                "the other peers receive all messages",
                received.wait_for(|count| *count == MESSAGES),
            )
            .await
            .unwrap();
        }
        let reports = || self.publisher.record.lock().unwrap();
        within_a_minute("the dropped messages are reported", async {
            while reports().engine_dropped.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let reports = reports();
        assert_eq!(reports.slow, [(self.slow, Slowness::WriteTimeout)]);
        assert_eq!(reports.engine_slow, [self.slow]);
        let dropped = reports.engine_dropped[&(Lane::Publish, DropReason::PeerQueueFull)];
        // The message that is being written cannot be dropped.
        assert!((1..=late).contains(&dropped), "{dropped} of {late} messages were dropped");
    }

    /// The messages that the slow peer has read.
    fn messages_read(&self) -> Vec<NetMessage> {
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.extend(&self.read_bytes.lock().unwrap());
        let mut messages = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            messages.extend(fuzz::read(frame, &self.publisher.network).unwrap().0);
        }
        messages
    }
}

#[test]
fn a_peer_that_does_not_read_is_reported_and_disconnected() {
    actix_rt::System::new().block_on(async {
        let mut scenario = SlowPeerScenario::new(SlowPeerAction::Disconnect).await;
        scenario.publish_until_slow().await;
        within_a_minute("the connection is closed", scenario.is_connected.wait_for(|connected| !connected))
            .await
            .unwrap();
        let SlowPeerScenario { publisher, slow, .. } = &scenario;
        assert_eq!(publisher.record.lock().unwrap().disconnected, [*slow]);
        publisher.worker.settle().await;
        assert!(!publisher.knows(slow).await);
        let report = completed(&publisher.publish(SIZE)).await;
        assert_eq!((report.queued, report.sent), (2, 2));
        publisher.worker.shutdown().await;
    });
}

#[test]
fn a_peer_that_is_only_reported_stays_connected_and_receives_all_control() {
    actix_rt::System::new().block_on(async {
        let mut scenario = SlowPeerScenario::new(SlowPeerAction::Report).await;
        scenario.publish_until_slow().await;
        let SlowPeerScenario { publisher, slow, is_connected, .. } = &scenario;
        assert!(*is_connected.borrow() && publisher.knows(slow).await);

        // Only control messages are queued for the slow peer.
        let report = completed(&publisher.publish(SIZE)).await;
        assert_eq!(
            (report.queued, report.sent, report.not_sent(DropReason::PeerQueueFull)),
            (3, 2, 1),
            "{report:?}"
        );
        publisher.worker.app_input(AppInput::Leave(topic())).unwrap();
        publisher.worker.settle().await;

        // The peer reads again, and messages are sent to it again.
        scenario.start_reading.send_replace(true);
        within_a_minute("the peer reads the unsubscription", async {
            while !scenario.messages_read().contains(&NetMessage::Unsubscribe { topic: topic() }) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let is_prune = |message: &NetMessage| matches!(message, NetMessage::Prune { .. });
        assert!(scenario.messages_read().iter().any(is_prune), "the peer is pruned from the mesh");
        publisher.worker.app_input(AppInput::Join(topic())).unwrap();
        publisher.worker.settle().await;
        let before = scenario
            .messages_read()
            .iter()
            .filter(|message| matches!(message, NetMessage::FullMessage(_)))
            .count();
        // The pruned peer is grafted later. While the mesh is empty, messages go to subscribers.
        within_a_minute("the peer reads a new message", async {
            while scenario
                .messages_read()
                .iter()
                .filter(|message| matches!(message, NetMessage::FullMessage(_)))
                .count()
                == before
            {
                publisher.publish(SIZE);
                publisher.worker.tick().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(publisher.record.lock().unwrap().engine_slow, [*slow]);
        assert!(publisher.record.lock().unwrap().disconnected.is_empty());
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
        let start = tokio::time::Instant::now();
        let tickets: Vec<_> = (0..64).map(|_| publisher.publish(SIZE)).collect();
        for ticket in &tickets {
            assert_eq!(completed(ticket).await.sent, 1);
        }
        // The peer reads 3.2 MB with at most 640 kB per second, which takes longer than the write timeout.
        assert!(start.elapsed() > write_timeout);
        assert!(publisher.record.lock().unwrap().slow.is_empty());
        assert!(*is_connected.borrow() && publisher.knows(&slow).await);
        publisher.worker.shutdown().await;
    });
}

#[test]
fn what_a_slow_mesh_peer_was_not_sent_is_offered_to_it_when_it_reads_again() {
    actix_rt::System::new().block_on(async {
        let mut scenario = SlowPeerScenario::new(SlowPeerAction::Report).await;
        scenario.publish_until_slow().await;
        scenario.start_reading.send_replace(true);
        within_a_minute("each message is read or offered", async {
            loop {
                let mut ids = BTreeSet::new();
                for message in scenario.messages_read() {
                    match message {
                        NetMessage::FullMessage(message) => drop(ids.insert(message.message_id.clone())),
                        NetMessage::IHave { message_ids, .. } => ids.extend(message_ids),
                        _ => {}
                    }
                }
                if ids.len() == MESSAGES {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        scenario.publisher.worker.shutdown().await;
    });
}
