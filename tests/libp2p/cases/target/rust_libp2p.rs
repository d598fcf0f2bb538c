//! A node of rust-libp2p's gossipsub with a peer score.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    gossipsub::{
        self, ConfigBuilder, IdentTopic, MessageAcceptance, MessageAuthenticity, MessageId, PeerScoreParams,
        PeerScoreThresholds, TopicScoreParams, ValidationMode,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Delivered, GOSSIP_THRESHOLD, P4_WEIGHT, P7_WEIGHT, PUBLISH_THRESHOLD, SLOW_DECAY, Setup};
use crate::cases::wire::Id;

type Official = Swarm<gossipsub::Behaviour>;
type Command = Box<dyn FnOnce(&mut Official) + Send>;

pub struct RustLibp2p {
    pub peer: PeerId,
    pub address: Multiaddr,
    commands: mpsc::UnboundedSender<Command>,
    delivered: Arc<Mutex<Vec<Delivered>>>,
    task: JoinHandle<()>,
}

impl Drop for RustLibp2p {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RustLibp2p {
    pub async fn start(setup: &Setup) -> Self {
        let key = setup.key.clone();
        let mut swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour(setup, key))
            .unwrap()
            .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(crate::cases::IDLE))
            .build();
        for topic in &setup.topics {
            swarm.behaviour_mut().subscribe(&IdentTopic::new(*topic)).unwrap();
        }
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let peer = *swarm.local_peer_id();
        let (commands, receiver) = mpsc::unbounded_channel();
        let delivered = Arc::<Mutex<Vec<Delivered>>>::default();
        let task = tokio::spawn(run(swarm, receiver, delivered.clone(), setup.clone()));
        Self { peer, address: address.with(Protocol::P2p(peer)), commands, delivered, task }
    }

    /// Calls `f` with the swarm, on the task of the swarm.
    async fn with_swarm<T: Send + 'static>(&self, f: impl FnOnce(&mut Official) -> T + Send + 'static) -> T {
        let (sender, answer) = oneshot::channel();
        let command: Command = Box::new(move |swarm| {
            // The caller may have stopped waiting.
            let _ = sender.send(f(swarm));
        });
        assert!(self.commands.send(command).is_ok(), "the target has ended");
        answer.await.expect("the target runs")
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        self.delivered.lock().unwrap().clone()
    }

    /// The score of a connected peer, and of one that it remembers.
    pub async fn score(&self, peer: PeerId) -> Option<f64> {
        self.with_swarm(move |swarm| swarm.behaviour().peer_score(&peer)).await
    }

    pub async fn peers(&self) -> BTreeMap<PeerId, BTreeSet<String>> {
        self.with_swarm(|swarm| {
            let connected: BTreeSet<_> = swarm.connected_peers().copied().collect();
            let peers = swarm.behaviour().all_peers().filter(|(peer, _)| connected.contains(*peer));
            peers
                .map(|(peer, topics)| (*peer, topics.into_iter().map(ToString::to_string).collect()))
                .collect()
        })
        .await
    }

    pub async fn mesh(&self, topic: &str) -> BTreeSet<PeerId> {
        let topic = IdentTopic::new(topic).hash();
        self.with_swarm(move |swarm| swarm.behaviour().mesh_peers(&topic).copied().collect()).await
    }

    pub async fn publish(&self, topic: &str, data: Vec<u8>) -> Id {
        let topic = IdentTopic::new(topic);
        let published = self.with_swarm(move |swarm| swarm.behaviour_mut().publish(topic, data));
        published.await.expect("a publication").0
    }

    pub async fn join(&self, topic: &str, join: bool) {
        let topic = IdentTopic::new(topic);
        let changed = self.with_swarm(move |swarm| match join {
            true => swarm.behaviour_mut().subscribe(&topic).unwrap(),
            false => swarm.behaviour_mut().unsubscribe(&topic),
        });
        assert!(changed.await, "the subscription changes");
    }

    pub async fn dial(&self, address: &Multiaddr) {
        let address = address.clone();
        self.with_swarm(|swarm| swarm.dial(DialOpts::from(address))).await.expect("a dial");
    }
}

fn behaviour(setup: &Setup, key: Keypair) -> gossipsub::Behaviour {
    let (authenticity, mode) = match setup.anonymous {
        true => (MessageAuthenticity::Anonymous, ValidationMode::Anonymous),
        false => (MessageAuthenticity::Signed(key), ValidationMode::Strict),
    };
    let [mesh_n, mesh_n_low, mesh_n_high, mesh_outbound_min] = setup.degrees;
    let mut config = ConfigBuilder::default();
    config
        .heartbeat_initial_delay(setup.heartbeat)
        .heartbeat_interval(setup.heartbeat)
        .mesh_n(mesh_n)
        .mesh_n_low(mesh_n_low)
        .mesh_n_high(mesh_n_high)
        .mesh_outbound_min(mesh_outbound_min)
        .prune_backoff(setup.prune_backoff)
        .unsubscribe_backoff(setup.unsubscribe_backoff)
        .graft_flood_threshold(setup.graft_flood)
        .iwant_followup_time(setup.iwant_followup)
        .fanout_ttl(setup.fanout_ttl)
        .duplicate_cache_time(setup.heartbeat * setup.seen_ticks as u32)
        .flood_publish(setup.flood_publish)
        .idontwant_on_publish(setup.idontwant_on_publish)
        .validation_mode(mode)
        .message_id_fn(message_id);
    if setup.validates {
        config.validate_messages();
    }
    if setup.px {
        config.do_px();
    }
    if setup.floodsub {
        config.support_floodsub();
    }
    let mut behaviour = gossipsub::Behaviour::new(authenticity, config.build().unwrap()).unwrap();
    behaviour.with_peer_score(score(setup), thresholds(setup)).unwrap();
    setup.direct.iter().for_each(|peer| behaviour.add_explicit_peer(peer));
    behaviour
}

fn message_id(message: &gossipsub::Message) -> MessageId {
    match (message.source, message.sequence_number) {
        (Some(source), Some(seqno)) => [source.to_bytes(), seqno.to_be_bytes().to_vec()].concat().into(),
        _ => Sha256::digest(&message.data).to_vec().into(),
    }
}

fn score(setup: &Setup) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: P4_WEIGHT,
        invalid_message_deliveries_decay: SLOW_DECAY,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: setup.topics.iter().map(|name| (IdentTopic::new(*name).hash(), topic.clone())).collect(),
        topic_score_cap: 0.0,
        // All peers of a test have the same address.
        ip_colocation_factor_weight: if setup.colocation.is_some() { -5.0 } else { 0.0 },
        ip_colocation_factor_threshold: setup.colocation.unwrap_or(1).into(),
        behaviour_penalty_weight: P7_WEIGHT,
        behaviour_penalty_threshold: 0.0,
        behaviour_penalty_decay: SLOW_DECAY,
        slow_peer_weight: 0.0,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn thresholds(setup: &Setup) -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_THRESHOLD,
        publish_threshold: PUBLISH_THRESHOLD,
        graylist_threshold: setup.graylist,
        accept_px_threshold: setup.accept_px,
        ..PeerScoreThresholds::default()
    }
}

async fn run(
    mut swarm: Official,
    mut commands: mpsc::UnboundedReceiver<Command>,
    delivered: Arc<Mutex<Vec<Delivered>>>,
    setup: Setup,
) {
    let validates = setup.validates;
    let (later, mut verdicts) = mpsc::unbounded_channel::<Command>();
    // It does not ask to be polled again at its next heartbeat: an idle node has none.
    let mut polls = tokio::time::interval(setup.heartbeat / 4);
    loop {
        let event = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => { command(&mut swarm); continue }
                None => return,
            },
            _ = polls.tick() => continue,
            Some(verdict) = verdicts.recv() => { verdict(&mut swarm); continue }
            event = swarm.select_next_some() => event,
        };
        let SwarmEvent::Behaviour(gossipsub::Event::Message { propagation_source, message_id, message }) =
            event
        else {
            continue;
        };
        let acceptance = match message.data.first() {
            Some(b'I') if validates => MessageAcceptance::Ignore,
            Some(b'R') if validates => MessageAcceptance::Reject,
            _ => MessageAcceptance::Accept,
        };
        let source = message.source;
        let id = message_id.clone();
        let report = move |swarm: &mut Official| {
            swarm.behaviour_mut().report_message_validation_result(&id, &propagation_source, acceptance);
        };
        if validates && message.data.first() == Some(&b'S') {
            let later = later.clone();
            tokio::spawn(async move {
                tokio::time::sleep(setup.slow_verdict).await;
                // The target may have ended.
                let _ = later.send(Box::new(report) as Command);
            });
        } else if validates {
            report(&mut swarm);
        }
        // The application of this implementation gets messages before its verdict.
        if acceptance == MessageAcceptance::Accept {
            delivered.lock().unwrap().push(Delivered { id: message_id.0, source });
        }
    }
}
