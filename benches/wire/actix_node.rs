//! This module runs a node of this crate: the engine and its libp2p transport, on the thread that starts it.

use actix_gossipsub::{
    AppInput, Limits, LimitsConfig, Refused, Started, Worker,
    libp2p::{
        AddressFilter, Behaviour, BehaviourConfig, ConnectionLimits, IdentifyBehaviour, Libp2pNetwork,
        LimitsBehaviour, NodeDriver, NodeHandle, SignaturePolicy, TopicName, TransportBehaviour,
    },
};
use libp2p::{Multiaddr, identity::Keypair, ping};
use testkit::wire::{plan::Plan, swarm};

use super::{
    node::{Local, Node},
    stats::Stats,
};

#[derive(Clone)]
pub struct ActixNode {
    worker: Worker<Libp2pNetwork>,
    network: Libp2pNetwork,
    handle: NodeHandle,
    topics: Vec<TopicName>,
}

impl ActixNode {
    pub async fn start(plan: &Plan, stats: Stats) -> (Self, Multiaddr) {
        let key = Keypair::generate_ed25519();
        let policy = SignaturePolicy::StrictSign(Box::new(key.clone()));
        let network = Libp2pNetwork::builder(policy).build();
        let behaviour = TransportBehaviour {
            limits: LimitsBehaviour::new(&network, ConnectionLimits::unlimited(), []),
            gossipsub: Behaviour::new(network.clone(), BehaviourConfig::default()),
            identify: IdentifyBehaviour::new(
                key.clone(),
                &network,
                "wire".to_owned(),
                ["/meshsub/1.2.0".to_owned()],
                AddressFilter::Any,
            ),
            ping: ping::Behaviour::default(),
        };
        let swarm = swarm::new(&key, behaviour);
        let limits = Limits::try_from(LimitsConfig::default()).expect("the defaults");
        let topics: Vec<TopicName> = (0..plan.topics).map(|index| Plan::topic(index).into()).collect();
        let engine = Worker::builder(network.clone(), limits).self_peer(*swarm.local_peer_id());
        let Started { worker, p2p, mut app } =
            engine.arbiters(0).start(topics.iter().cloned()).expect("an actix system runs");
        let (node, handle) = NodeDriver::new(swarm, worker.clone(), p2p, |_| {});
        actix::spawn(node);
        actix::spawn(async move {
            while let Some(message) = app.recv().await {
                stats.record_delivery(message.message.data());
            }
        });
        let address = handle.listen(swarm::any_port()).await.expect("loopback has a free port");
        (Self { worker, network, handle, topics }, address)
    }

    pub async fn shutdown(&self) {
        self.worker.shutdown().await;
    }
}

impl Node for ActixNode {
    fn dial(&self, address: Multiaddr) -> Local<'_, ()> {
        Box::pin(async { self.handle.dial(address).await.expect("an address") })
    }

    fn smallest_mesh(&self) -> Local<'_, usize> {
        Box::pin(async {
            let Ok(view) = self.worker.state().await else { return 0 };
            let size = |topic: &TopicName| view.mesh.get(topic).map_or(0, |mesh| mesh.len());
            self.topics.iter().map(size).min().unwrap_or_default()
        })
    }

    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()> {
        Box::pin(async move {
            let message =
                self.network.message(self.topics[topic].clone(), data).expect("the message is small");
            while let Err(refused) = self.worker.app_input(AppInput::Publish(message.clone())) {
                if refused == Refused::Stopped {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    }
}
