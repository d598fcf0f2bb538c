//! A node of this crate, as an application starts it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, LimitsConfig, Validity, Worker,
    libp2p::{
        AddressFilter, ConnectionLimits, Libp2pNetwork, Node, SignaturePolicy, TopicName, TransportConfig,
    },
    limits::{TopicScoreLimits, TopicScores},
    protocol::{Footprint, View},
};
use libp2p::{Multiaddr, PeerId};

use super::{Delivered, GOSSIP_THRESHOLD, P4_WEIGHT, P7_WEIGHT, PUBLISH_THRESHOLD, SLOW_DECAY, Setup};
use crate::cases::wire::Id;

pub struct Ours {
    pub peer: PeerId,
    pub address: Multiaddr,
    node: Node,
    delivered: Arc<Mutex<Vec<Delivered>>>,
}

impl Ours {
    pub async fn start(setup: &Setup) -> Self {
        let key = setup.key.clone();
        let direct = setup.direct.iter().copied().collect();
        let transport = TransportConfig::default().with(|c| {
            c.gossipsub.direct = direct;
            c.gossipsub.floodsub = setup.floodsub;
            c.gossipsub.addresses = AddressFilter::Any;
            c.connection_threads = 0;
            // Many peers of a test share the loopback address, and other tests the machine.
            c.connections = ConnectionLimits::default().with(|c| c.fit_to_machine = false);
        });
        let builder = Node::builder(key)
            .listen("/ip4/127.0.0.1/tcp/0")
            .topics(setup.topics.iter().copied())
            .limits(limits(setup))
            .transport(transport)
            .engine(|engine| engine.arbiters(1));
        let builder = match network(setup) {
            Some(network) => builder.network(network),
            None => builder,
        };
        let (node, mut messages) = builder.start().await.expect("the node starts");
        let delivered = Arc::<Mutex<Vec<Delivered>>>::default();
        let record = delivered.clone();
        tokio::spawn(async move {
            while let Some(full) = messages.recv().await {
                let (id, source) = (full.message_id.as_bytes().to_vec(), full.message.source().copied());
                record.lock().unwrap().push(Delivered { id, source });
            }
        });
        let (peer, address) = (node.peer_id(), node.addresses()[0].clone());
        Self { peer, address, node, delivered }
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        self.delivered.lock().unwrap().clone()
    }

    pub async fn score(&self, peer: PeerId) -> Option<f64> {
        Some(self.view().await.scores.get(&peer).map_or(0.0, |view| view.score))
    }

    pub async fn peers(&self) -> BTreeMap<PeerId, BTreeSet<String>> {
        let connections = self.view().await.connections.into_iter();
        connections
            .map(|(peer, view)| (peer, view.topics.iter().map(ToString::to_string).collect()))
            .collect()
    }

    pub async fn mesh(&self, topic: &str) -> BTreeSet<PeerId> {
        self.view().await.mesh.remove(&topic.into()).unwrap_or_default()
    }

    pub async fn publish(&self, topic: &str, data: Vec<u8>) -> Id {
        let message = self.node.network().message(topic.into(), data).expect("a message");
        let id = message.message_id.as_bytes().to_vec();
        self.worker().publish(message).expect("there is room");
        id
    }

    pub async fn join(&self, topic: &str, join: bool) {
        let topic = topic.into();
        let input = if join { AppInput::Join(topic) } else { AppInput::Leave(topic) };
        self.worker().app_input(input).expect("the engine runs");
    }

    pub async fn dial(&self, address: &Multiaddr) {
        self.node.handle().dial(address.clone()).await.expect("a dial");
    }

    pub fn worker(&self) -> &Worker<Libp2pNetwork> {
        self.node.worker()
    }

    pub async fn footprint(&self) -> Footprint {
        self.worker().footprint().await.expect("the engine runs")
    }

    async fn view(&self) -> View<Libp2pNetwork> {
        self.worker().settle().await;
        self.worker().state().await.expect("the engine runs")
    }

    pub async fn stop(&self) {
        self.node.shutdown().await;
    }
}

/// A network that is not the node's own one.
fn network(setup: &Setup) -> Option<Libp2pNetwork> {
    if !setup.anonymous && !setup.validates {
        return None;
    }
    let policy = match setup.anonymous {
        true => SignaturePolicy::StrictNoSign,
        false => SignaturePolicy::StrictSign(Box::new(setup.key.clone())),
    };
    let network = Libp2pNetwork::builder(policy);
    if !setup.validates {
        return Some(network.build());
    }
    let slow_verdict = setup.slow_verdict;
    let network = network.async_validator(move |delivery| async move {
        match delivery.message.message.data().first() {
            Some(b'I') => Validity::Outdated,
            Some(b'R') => Validity::Invalid,
            Some(b'S') => {
                tokio::time::sleep(slow_verdict).await;
                Validity::Valid
            }
            _ => Validity::Valid,
        }
    });
    Some(network.build())
}

fn limits(setup: &Setup) -> LimitsConfig<TopicName> {
    let topic = TopicScoreLimits::default().with(|t| {
        t.time_in_mesh_weight = 0.0;
        t.first_message_deliveries_weight = 0.0;
        t.mesh_message_deliveries_weight = 0.0;
        t.mesh_failure_penalty_weight = 0.0;
        t.invalid_message_deliveries_weight = P4_WEIGHT;
        t.invalid_message_deliveries_decay = SLOW_DECAY;
    });
    let [degree_optimal, degree_low, degree_high, degree_out] = setup.degrees;
    LimitsConfig::default().with(|c| {
        c.heartbeat_interval = setup.heartbeat;
        (c.degree_optimal, c.degree_low, c.degree_high, c.degree_out) =
            (degree_optimal, degree_low, degree_high, degree_out);
        c.degree_score = c.degree_score.min(degree_optimal.saturating_sub(degree_out));
        (c.prune_backoff, c.unsubscribe_backoff) = (setup.prune_backoff, setup.unsubscribe_backoff);
        c.graft_flood_threshold = setup.graft_flood;
        c.backoff_cleanup_ticks = 1;
        c.seen_history_length = setup.seen_ticks;
        c.fanout_ttl = setup.fanout_ttl;
        c.do_px = setup.px;
        c.bounds.validation_timeout = setup.validation_timeout;
        c.accept_px_threshold = setup.accept_px;
        c.gossip_threshold = GOSSIP_THRESHOLD;
        c.publish_threshold = PUBLISH_THRESHOLD;
        c.retain_duration = Duration::from_secs(600);
        c.score.topics = TopicScores::Single { parameters: topic };
        if let Some(threshold) = setup.colocation {
            (c.score.ip_colocation_weight, c.score.ip_colocation_threshold) = (-5.0, threshold.into());
            c.score.ip_colocation_whitelist.clear();
        }
        c.score.behaviour_penalty_weight = P7_WEIGHT;
        c.score.behaviour_penalty_threshold = 0.0;
        c.score.behaviour_penalty_decay = SLOW_DECAY;
        c.extensions.iwant_followup_time = setup.iwant_followup;
        c.extensions.idontwant_on_publish = setup.idontwant_on_publish;
        c.extensions.graylist_threshold = Some(setup.graylist);
        // A peer that is no longer connected could not be observed.
        c.extensions.disconnect_threshold = None;
        c.extensions.flood_publish_bytes_per_second = if setup.flood_publish { 1 << 20 } else { 0 };
    })
}
