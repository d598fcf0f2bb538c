//! This module has the helpers that all tests of the engine share.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use actix_gossipsub::{
    AppInput, Limits, LimitsConfig, Network, P2pInput, P2pMessage, P2pOutput, Started, Worker, WorkerBuilder,
    plain::PlainNetwork, protocol::Event,
};

pub type Output = P2pOutput<PlainNetwork>;

/// Runs a test inside an actix system.
pub fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

pub fn limits() -> Limits<String> {
    changed(|_| {})
}

/// The Tezos preset with some changes.
pub fn changed(change: impl FnOnce(&mut LimitsConfig)) -> Limits<String> {
    let mut config = LimitsConfig::tezos_dal();
    change(&mut config);
    Limits::try_from(config).expect("a valid change")
}

/// An engine driven by hand on two threads.
pub fn manual<N: Network<Topic = String>>(network: N, limits: Limits<String>) -> WorkerBuilder<N> {
    Worker::builder(network, limits).manual().arbiters(2).seed(1)
}

pub fn start<N: Network<Topic = String>>(builder: WorkerBuilder<N>, topics: &[&str]) -> Started<N> {
    builder.start(topics.iter().map(|topic| topic.to_string())).expect("an actix system runs")
}

/// An observer that collects all events except inputs and heartbeats.
pub fn recorder<N: Network>() -> (Arc<Mutex<Vec<Event<N>>>>, impl Fn(&Event<N>) + Send + Sync) {
    let collected: Arc<Mutex<Vec<_>>> = Arc::default();
    let events = Arc::clone(&collected);
    let observer = move |event: &Event<N>| {
        if !matches!(event, Event::P2pInput(_) | Event::AppInput(_) | Event::Heartbeat { .. }) {
            events.lock().expect("the lock is not poisoned").push(event.clone());
        }
    };
    (collected, observer)
}

pub fn join<N: Network<Topic = String>>(topic: &str) -> AppInput<N> {
    AppInput::Join(topic.to_owned())
}

pub fn leave<N: Network<Topic = String>>(topic: &str) -> AppInput<N> {
    AppInput::Leave(topic.to_owned())
}

pub fn publish(topic: &str, number: u64) -> AppInput<PlainNetwork> {
    AppInput::Publish(PlainNetwork::message(topic, number, "content"))
}

pub fn connect<N: Network<Peer = u64>>(peer: u64) -> P2pInput<N> {
    P2pInput::connected(peer)
}

pub fn disconnect(peer: u64) -> P2pInput<PlainNetwork> {
    P2pInput::Disconnection { peer }
}

pub fn subscribe<N: Network<Peer = u64, Topic = String>>(peer: u64, topic: &str) -> P2pInput<N> {
    P2pInput::message(peer, P2pMessage::subscribe(topic.to_owned()))
}

pub fn unsubscribe(peer: u64, topic: &str) -> P2pInput<PlainNetwork> {
    P2pInput::message(peer, P2pMessage::Unsubscribe { topic: topic.to_owned() })
}

pub fn graft<N: Network<Peer = u64, Topic = String>>(peer: u64, topic: &str) -> P2pInput<N> {
    P2pInput::message(peer, P2pMessage::Graft { topic: topic.to_owned() })
}

pub fn message(peer: u64, topic: &str, number: u64) -> P2pInput<PlainNetwork> {
    let message = PlainNetwork::message(topic, number, "content");
    P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(message)))
}

/// The kinds of the messages sent to a peer about a topic, in order.
pub fn sent_to<N: Network<Peer = u64, Topic = String>>(
    outputs: &[P2pOutput<N>],
    peer: u64,
    topic: &str,
) -> Vec<&'static str> {
    let kind = |output: &P2pOutput<N>| match output {
        P2pOutput::OutMessage { to_peer, message } if *to_peer == peer => match message {
            P2pMessage::Subscribe { topic: of, .. } if of == topic => Some("subscribe"),
            P2pMessage::Unsubscribe { topic: of } if of == topic => Some("unsubscribe"),
            P2pMessage::Graft { topic: of } if of == topic => Some("graft"),
            P2pMessage::Prune { topic: of, .. } if of == topic => Some("prune"),
            P2pMessage::FullMessage(full) if full.topic == topic => Some("message"),
            _ => None,
        },
        _ => None,
    };
    outputs.iter().filter_map(kind).collect()
}
