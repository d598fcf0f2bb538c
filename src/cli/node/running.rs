//! A node that runs: its engine, its swarm, and the tasks around them, started and ended in order.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppOutputs, Limits, Page, Started, Worker,
    libp2p::{
        Libp2pNetwork, Libp2pNode, NodeEvent, NodeHandle, TopicName, TransportBehaviour, TransportConfig,
        swarm,
    },
};
use libp2p::{PeerId, Swarm, identity::Keypair};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Arguments,
    hearing::{Heard, Hearing, MAX_HEARD, log},
    recording::Trace,
};
use crate::cli::{
    Failure,
    publishing::Publishing,
    report::{Line, Report},
    serving::{Recording, Serving},
    stop::Stop,
};

/// Events about messages that the page shows.
const MESSAGE_EVENTS: usize = 1024;
/// How long each part may take to end before it is left to itself.
const ENDING: Duration = Duration::from_secs(5);

pub struct Running {
    worker: Worker<Libp2pNetwork>,
    /// Without it the swarm's task would end.
    handle: NodeHandle,
    swarm: JoinHandle<()>,
    hearing: JoinHandle<()>,
    deliveries: JoinHandle<()>,
    publishing: JoinHandle<Result<(), Failure>>,
    received: Arc<AtomicU64>,
    published: Arc<AtomicU64>,
    report: Report,
    trace: Trace,
    serving: Option<Serving>,
}

impl Running {
    /// Starts everything, listens and dials. `stop` is said when the engine ends or can't publish.
    pub async fn start(
        arguments: &Arguments,
        limits: Limits<TopicName>,
        report: Report,
        stop: &Stop,
    ) -> Result<Self, Failure> {
        let key = Keypair::generate_ed25519();
        let (peer, network) = (key.public().to_peer_id(), arguments.network(&key));
        let swarm = swarm(key, network.clone(), &TransportConfig::default())?;
        // Its own threads: a busy engine then delays neither the swarm nor the reports.
        let builder = Worker::builder(network.clone(), limits).self_peer(peer);
        let (mut builder, trace) = Trace::begin(arguments.trace.as_deref(), builder)?;
        let recording = arguments.http.map(|address| (address, Recording::new()));
        if let Some((_, recording)) = &recording {
            builder = builder.recorder(recording.recorder.clone()).message_events(MESSAGE_EVENTS);
        }
        let engine = builder.start(arguments.topics())?;
        let worker = engine.worker.clone();
        stop_with(worker.clone(), stop.clone());
        let published = Arc::default();
        let publishing = arguments.publishing(network, worker, report.clone(), Arc::clone(&published));
        let mut running =
            Self { trace, ..Self::spawn(arguments, swarm, engine, publishing, report, published, stop) };
        let (listening, dialling) = (running.listen(arguments).await, running.dial(arguments).await);
        let serving = match recording {
            Some((address, recording)) => running.serve(address, &recording).await,
            None => Ok(()),
        };
        match listening.and(dialling).and(serving) {
            Ok(()) => Ok(running),
            Err(failure) => running.end_silently(failure).await,
        }
    }

    fn spawn(
        arguments: &Arguments,
        swarm: Swarm<TransportBehaviour>,
        engine: Started<Libp2pNetwork>,
        publishing: Publishing,
        report: Report,
        published: Arc<AtomicU64>,
        stop: &Stop,
    ) -> Self {
        let Started { worker, p2p, app } = engine;
        let (subscribed, received) = (Arc::new(Notify::new()), Arc::<AtomicU64>::default());
        let peer: PeerId = *swarm.local_peer_id();
        let hearing = Hearing {
            peer,
            topics: arguments.topics(),
            subscribed: Arc::clone(&subscribed),
            report: report.clone(),
        };
        let (sender, heard) = mpsc::channel(MAX_HEARD);
        let hear = move |event: NodeEvent<'_>| {
            log(&event);
            // Peers that subscribe and unsubscribe without end must not fill the memory.
            if Heard::of(&event).is_some_and(|heard| sender.try_send(heard).is_err()) {
                tracing::warn!(?event, "not reported: the reader of the output is too slow");
            }
        };
        let (node, handle) = Libp2pNode::new(swarm, worker.clone(), p2p, hear);
        Self {
            worker,
            handle,
            swarm: actix::spawn(node),
            hearing: actix::spawn(hearing.run(heard)),
            deliveries: actix::spawn(deliver(app, Arc::clone(&received), report.clone())),
            publishing: actix::spawn(publish(publishing, subscribed, stop.clone())),
            received,
            published,
            report,
            trace: Trace::default(),
            serving: None,
        }
    }

    async fn serve(&mut self, address: SocketAddr, recording: &Recording) -> Result<(), Failure> {
        let serving = Serving::start(address, self.worker.clone(), recording)?;
        self.report.line(Line::Serving { url: serving.url() }).await;
        self.serving = Some(serving);
        Ok(())
    }

    async fn listen(&self, arguments: &Arguments) -> Result<(), Failure> {
        for address in &arguments.listen {
            let listening = self.handle.listen(address.clone()).await;
            listening.map_err(|error| Failure::listen(address, &error))?;
        }
        Ok(())
    }

    async fn dial(&self, arguments: &Arguments) -> Result<(), Failure> {
        for address in &arguments.dial {
            let dialling = self.handle.dial(address.clone()).await;
            dialling.map_err(|error| Failure::dial(address, &error))?;
        }
        Ok(())
    }

    /// Ends everything and prints the summary: nothing comes after it.
    pub async fn end(self) -> Result<(), Failure> {
        let Self {
            worker,
            handle,
            swarm,
            hearing,
            deliveries,
            publishing,
            received,
            published,
            report,
            trace,
            serving,
        } = self;
        // First: an answer of an engine that is about to end is none.
        if let Some(serving) = serving {
            let _ = timeout(ENDING, serving.end()).await;
        }
        let outcome = publishing_outcome(publishing).await;
        let mesh = mesh(&worker).await;
        // The engine's streams end with it; the swarm's task sends what they still hold, then ends too.
        worker.shutdown().await;
        for part in [deliveries, swarm, hearing] {
            // Late or not: there is nothing more that could be done for it.
            let _ = timeout(ENDING, part).await;
        }
        drop(handle);
        let (received, published) = (received.load(Ordering::Relaxed), published.load(Ordering::Relaxed));
        // A reader that takes nothing gets no summary.
        let _ = timeout(ENDING, report.line(Line::Summary { received, published, mesh })).await;
        let traced = trace.end().await;
        outcome.and(worker.wait_for_end().await.map_err(Failure::Engine)).and(traced)
    }

    /// Ends what was begun in vain.
    async fn end_silently(self, failure: Failure) -> Result<Self, Failure> {
        self.publishing.abort();
        self.hearing.abort();
        self.worker.shutdown().await;
        let _ = timeout(ENDING, self.swarm).await;
        if let Some(serving) = self.serving {
            let _ = timeout(ENDING, serving.end()).await;
        }
        // What failed first is what is told.
        let _ = self.trace.end().await;
        Err(failure)
    }
}

/// An engine that ends by a fault of its own ends the node.
fn stop_with(worker: Worker<Libp2pNetwork>, stop: Stop) {
    actix::spawn(async move {
        // How it ended is the last thing looked at.
        let _ = worker.wait_for_end().await;
        stop.now();
    });
}

async fn deliver(mut app: AppOutputs<Libp2pNetwork>, received: Arc<AtomicU64>, report: Report) {
    while let Some(message) = app.recv().await {
        received.fetch_add(1, Ordering::Relaxed);
        report.message(&message).await;
    }
}

async fn publish(publishing: Publishing, subscribed: Arc<Notify>, stop: Stop) -> Result<(), Failure> {
    let outcome = publishing.run(subscribed).await;
    if outcome.is_err() {
        stop.now();
    }
    outcome
}

/// A publisher that still has something to do is cut off.
async fn publishing_outcome(publishing: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    publishing.abort();
    publishing.await.unwrap_or(Ok(()))
}

/// The mesh of each topic, as of now.
async fn mesh(worker: &Worker<Libp2pNetwork>) -> BTreeMap<String, Vec<String>> {
    let Ok(Ok(meshes)) = timeout(ENDING, worker.mesh(Page::all())).await else { return BTreeMap::new() };
    let named = |peers: Vec<PeerId>| peers.iter().map(PeerId::to_string).collect();
    meshes.items.into_iter().map(|(topic, peers)| (topic.to_string(), named(peers))).collect()
}
