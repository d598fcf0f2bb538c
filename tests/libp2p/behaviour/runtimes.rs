//! On which threads a behaviour runs: under tokio, under an actix system, and on arbiters of the application.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
};

use actix_gossipsub::libp2p::gossipsub::*;

use super::{Composed, Ours, config, swarms::Node, topic};

/// The threads that call the hooks of one behaviour, with their names.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<BTreeMap<String, ThreadId>>>);

impl Threads {
    fn add(&self) {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default().to_owned();
        self.0.lock().unwrap().insert(name, thread.id());
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

/// Validation calls it on the threads of the engine, a connection for the id, and the swarm for the event.
struct Recording(Threads);

impl DataTransform for Recording {
    fn inbound_transform(&self, raw_message: RawMessage) -> io::Result<Message> {
        self.0.add();
        Ok(raw_message.into())
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

async fn node(threads: Threads, config: Config) -> Ours {
    let node = Node::start(|key| {
        let signed = MessageAuthenticity::Signed(key.clone());
        Composed::new(key, Behaviour::new_with_transform(signed, config, Recording(threads)).unwrap())
    })
    .await;
    node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
    node
}

/// Sends a message from one node to another. Returns the names of the threads that called the hooks of the second one.
async fn exchange(make: impl Fn() -> Config) -> Threads {
    let threads = Threads::default();
    let sender = node(Threads::default(), make()).await;
    let receiver = node(threads.clone(), make()).await;
    sender.dial(&receiver.address).await;
    sender.meshed_with(receiver.peer).await;
    receiver.meshed_with(sender.peer).await;
    sender.publish("hello").await.unwrap();
    receiver.message("hello").await;
    threads
}

/// The engine runs a system of its own; swarm and connections run on the workers of the runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_tokio() {
    let threads = exchange(|| config().arbiters(1).build().unwrap()).await;
    let names = threads.names();
    assert!(names.contains(&"gossipsub".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| name == "gossipsub" || name.starts_with("tokio")), "{names:?}");
    assert!(names.len() >= 2, "{names:?}");
}

/// The engine has arbiters of the caller's system; swarm and connections run on the caller's arbiter.
#[actix_rt::test]
async fn under_an_actix_system() {
    let threads = exchange(|| config().arbiters(1).build().unwrap()).await;
    let caller = thread::current().id();
    let recorded = threads.0.lock().unwrap();
    assert_eq!(recorded.len(), 2, "{recorded:?}");
    assert!(recorded.values().any(|id| *id == caller), "{recorded:?}");
    assert!(recorded.keys().any(|name| name.starts_with("actix-rt|")), "{recorded:?}");
}

/// The engine runs on one arbiter of the application and starts no threads; swarm and connections run on the caller's
/// arbiter.
#[actix_rt::test]
async fn on_arbiters_of_the_application() {
    let arbiter = actix_rt::Arbiter::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    arbiter.spawn_fn(move || sender.send(thread::current().id()).expect("the test waits"));
    let engine = receiver.await.unwrap();
    let handle = arbiter.handle();
    let threads = exchange(|| config().on_arbiters([handle.clone()]).build().unwrap()).await;
    let mut recorded: Vec<_> = threads.0.lock().unwrap().values().copied().collect();
    let mut expected = vec![engine, thread::current().id()];
    recorded.sort_by_key(|id| format!("{id:?}"));
    expected.sort_by_key(|id| format!("{id:?}"));
    assert_eq!(recorded, expected);
    arbiter.stop();
    arbiter.join().unwrap();
}
