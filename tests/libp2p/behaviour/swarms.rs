//! This module drives a swarm of any behaviour in a task that accepts commands and records events.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    identity::Keypair,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::transport::support::listen;

/// The time limit of every wait.
const DEADLINE: Duration = Duration::from_secs(30);

type Command<B> = Box<dyn FnOnce(&mut Swarm<B>) + Send>;

/// A swarm that runs in a task and listens.
pub struct Node<B: NetworkBehaviour> {
    pub peer: PeerId,
    pub address: Multiaddr,
    commands: mpsc::UnboundedSender<Command<B>>,
    events: Arc<Mutex<Vec<B::ToSwarm>>>,
    changed: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl<B> Node<B>
where
    B: NetworkBehaviour<ToSwarm: fmt::Debug> + Send,
{
    /// Starts a swarm on the current runtime.
    pub async fn start(make: impl FnOnce(&Keypair) -> B) -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key| make(key))
            .unwrap()
            .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let address = listen(&mut swarm).await;
        let peer = *swarm.local_peer_id();
        let (commands, receiver) = mpsc::unbounded_channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (sender, changed) = watch::channel(());
        let task = tokio::spawn(run(swarm, receiver, Arc::clone(&events), sender));
        Self { peer, address, commands, events, changed, task }
    }

    /// Calls `f` with the swarm, on the task of the swarm.
    pub async fn with<T: Send + 'static>(&self, f: impl FnOnce(&mut Swarm<B>) -> T + Send + 'static) -> T {
        let (sender, answer) = oneshot::channel();
        let command: Command<B> = Box::new(move |swarm| drop(sender.send(f(swarm))));
        assert!(self.commands.send(command).is_ok(), "the task has ended");
        answer.await.unwrap()
    }

    /// Calls `f` with the behaviour.
    pub async fn call<T: Send + 'static>(&self, f: impl FnOnce(&mut B) -> T + Send + 'static) -> T {
        self.with(|swarm| f(swarm.behaviour_mut())).await
    }

    pub async fn dial(&self, address: &Multiaddr) {
        let address = address.clone();
        self.with(|swarm| swarm.dial(DialOpts::from(address))).await.unwrap();
    }

    pub async fn is_connected(&self, peer: PeerId) -> bool {
        self.with(move |swarm| swarm.is_connected(&peer)).await
    }

    /// The events of the behaviour so far.
    pub fn events(&self) -> MutexGuard<'_, Vec<B::ToSwarm>> {
        self.events.lock().unwrap()
    }

    /// Waits until `find` finds something in one of the events, from the first one on.
    pub async fn event<T>(&self, what: &str, mut find: impl FnMut(&B::ToSwarm) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        let found = tokio::time::timeout(DEADLINE, async {
            loop {
                changed.mark_unchanged();
                if let Some(found) = self.events().iter().find_map(&mut find) {
                    return found;
                }
                changed.changed().await.expect("the task runs");
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}; events: {:#?}", self.events()))
    }

    /// Waits until `probe` returns true for the swarm.
    pub async fn until(&self, what: &str, probe: impl Fn(&mut Swarm<B>) -> bool + Clone + Send + 'static) {
        let start = std::time::Instant::now();
        while !self.with(probe.clone()).await {
            assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}; {:#?}", self.events());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl<B: NetworkBehaviour> Drop for Node<B> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<B: NetworkBehaviour>(
    mut swarm: Swarm<B>,
    mut commands: mpsc::UnboundedReceiver<Command<B>>,
    events: Arc<Mutex<Vec<B::ToSwarm>>>,
    changed: watch::Sender<()>,
) {
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => command(&mut swarm),
                None => return,
            },
            event = swarm.select_next_some() => if let SwarmEvent::Behaviour(event) = event {
                events.lock().unwrap().push(event);
                changed.send_replace(());
            },
        }
    }
}
