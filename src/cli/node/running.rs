//! A running node: its engine, its swarm and the tasks around them, started and stopped in order.

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
    libp2p::{Libp2pNetwork, NodeDriver, NodeEvent, NodeHandle, TopicName, TransportBehaviour, swarm},
};
use libp2p::{PeerId, Swarm, identity::Keypair};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Arguments,
    events::{EventReporter, log},
    publishing::Publishing,
    recording::Trace,
    report::{Line, Report},
};
use crate::cli::{
    Failure,
    status_server::{Exporter, StatusServer},
};

/// Events about messages that the engine remembers for the status page.
const MESSAGE_EVENTS: usize = 1024;
/// Time limit for each part of the node to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub struct RunningNode {
    worker: Worker<Libp2pNetwork>,
    /// The swarm's task ends when the last handle is dropped.
    handle: NodeHandle,
    swarm: JoinHandle<()>,
    deliveries: JoinHandle<()>,
    publishing: JoinHandle<Result<(), Failure>>,
    received: Arc<AtomicU64>,
    published: Arc<AtomicU64>,
    report: Report,
    trace: Trace,
    status_server: Option<StatusServer>,
}

impl RunningNode {
    /// Starts the node, listens and dials. The node cancels `shutdown` when its engine stops or publishing fails.
    ///
    /// # Errors
    /// A part of the node can't start, or an address is unusable; all parts are stopped again then.
    pub async fn start(
        arguments: &Arguments,
        limits: Limits<TopicName>,
        report: Report,
        shutdown: &CancellationToken,
    ) -> Result<Self, Failure> {
        let key = Keypair::generate_ed25519();
        let (peer, network) = (key.public().to_peer_id(), arguments.network(&key, &limits));
        let swarm = swarm(key, network.clone(), &arguments.transport())?;
        // The engine has threads of its own, so that a busy engine delays neither the swarm nor the reports.
        let builder = Worker::builder(network.clone(), limits).self_peer(peer);
        let (mut builder, trace) = Trace::begin(arguments.trace.as_deref(), builder)?;
        let http = arguments.http.map(|address| (address, Exporter::new()));
        if let Some((_, exporter)) = &http {
            builder = builder.recorder(exporter.recorder.clone()).message_events(MESSAGE_EVENTS);
        }
        let engine = builder.start(arguments.topics())?;
        let worker = engine.worker.clone();
        cancel_with_engine(worker.clone(), shutdown.clone());
        let published = Arc::default();
        let publishing = arguments.publishing(network, worker, report.clone(), Arc::clone(&published));
        let mut running =
            Self { trace, ..Self::spawn(arguments, swarm, engine, publishing, report, published, shutdown) };
        let (listening, dialling) = (running.listen(arguments).await, running.dial(arguments).await);
        let serving = match http {
            Some((address, exporter)) => running.serve(address, &exporter),
            None => Ok(()),
        };
        match listening.and(dialling).and(serving) {
            Ok(()) => Ok(running),
            Err(failure) => running.stop_after(failure).await,
        }
    }

    fn spawn(
        arguments: &Arguments,
        swarm: Swarm<TransportBehaviour>,
        engine: Started<Libp2pNetwork>,
        publishing: Publishing,
        report: Report,
        published: Arc<AtomicU64>,
        shutdown: &CancellationToken,
    ) -> Self {
        let Started { worker, p2p, app } = engine;
        let (subscribed, received) = (Arc::new(Notify::new()), Arc::<AtomicU64>::default());
        let reporter = EventReporter {
            local_peer: *swarm.local_peer_id(),
            topics: arguments.topics(),
            subscribed: Arc::clone(&subscribed),
            report: report.clone(),
        };
        let on_event = move |event: NodeEvent<'_>| {
            log(&event);
            reporter.report(&event);
        };
        let (node, handle) = NodeDriver::new(swarm, worker.clone(), p2p, on_event);
        Self {
            worker,
            handle,
            swarm: actix::spawn(node),
            deliveries: actix::spawn(report_deliveries(app, Arc::clone(&received), report.clone())),
            publishing: actix::spawn(publish(publishing, subscribed, shutdown.clone())),
            received,
            published,
            report,
            trace: Trace::default(),
            status_server: None,
        }
    }

    fn serve(&mut self, address: SocketAddr, exporter: &Exporter) -> Result<(), Failure> {
        let server = StatusServer::start(address, self.worker.clone(), exporter)?;
        self.report.line(|| Line::Serving { url: server.url() });
        self.status_server = Some(server);
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

    /// Stops the node and prints the summary as the last line. Each part has [`STOP_TIMEOUT`] to stop.
    ///
    /// # Errors
    /// Publishing or the engine failed, or the recording can't be written.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self {
            worker,
            handle,
            swarm,
            deliveries,
            publishing,
            received,
            published,
            report,
            trace,
            status_server,
        } = self;
        // The server stops first, because the engine would answer its last queries with errors.
        if let Some(server) = status_server {
            let _ = timeout(STOP_TIMEOUT, server.stop()).await;
        }
        let outcome = abort_publishing(publishing).await;
        let mesh = mesh(&worker).await;
        // The engine closes its output streams. The swarm's task sends their remaining items and ends.
        worker.shutdown().await;
        for task in [deliveries, swarm] {
            // A task that exceeds the limit ends with the process.
            let _ = timeout(STOP_TIMEOUT, task).await;
        }
        drop(handle);
        let (received, published) = (received.load(Ordering::Relaxed), published.load(Ordering::Relaxed));
        report.summary(&Line::Summary { received, published, mesh });
        let traced = trace.end().await;
        outcome.and(worker.wait_for_end().await.map_err(Failure::Engine)).and(traced)
    }

    /// Stops a node that could not start completely, and returns `failure`.
    async fn stop_after(self, failure: Failure) -> Result<Self, Failure> {
        self.publishing.abort();
        self.worker.shutdown().await;
        let _ = timeout(STOP_TIMEOUT, self.swarm).await;
        if let Some(server) = self.status_server {
            let _ = timeout(STOP_TIMEOUT, server.stop()).await;
        }
        // The first failure is reported, not one of the recording.
        let _ = self.trace.end().await;
        Err(failure)
    }
}

/// Cancels `shutdown` when the engine has stopped.
fn cancel_with_engine(worker: Worker<Libp2pNetwork>, shutdown: CancellationToken) {
    actix::spawn(async move {
        // `RunningNode::stop` returns the error.
        let _ = worker.wait_for_end().await;
        shutdown.cancel();
    });
}

async fn report_deliveries(mut app: AppOutputs<Libp2pNetwork>, received: Arc<AtomicU64>, report: Report) {
    while let Some(message) = app.recv().await {
        received.fetch_add(1, Ordering::Relaxed);
        report.message(&message);
    }
}

async fn publish(
    publishing: Publishing,
    subscribed: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let outcome = publishing.run(subscribed).await;
    if outcome.is_err() {
        shutdown.cancel();
    }
    outcome
}

/// Aborts the publishing task, and returns its error if it had failed before.
async fn abort_publishing(publishing: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    publishing.abort();
    publishing.await.unwrap_or(Ok(()))
}

/// The present mesh of each topic; empty if the engine does not answer in time.
async fn mesh(worker: &Worker<Libp2pNetwork>) -> BTreeMap<String, Vec<String>> {
    let Ok(Ok(meshes)) = timeout(STOP_TIMEOUT, worker.mesh(Page::all())).await else {
        return BTreeMap::new();
    };
    let texts = |peers: Vec<PeerId>| peers.iter().map(PeerId::to_string).collect();
    meshes.items.into_iter().map(|(topic, peers)| (topic.to_string(), texts(peers))).collect()
}
