//! A running node: its engine, its swarm and the tasks around them, started and stopped in order.

use std::{collections::BTreeMap, future::Future, path::Path, sync::Arc, time::Duration};

use actix_gossipsub::{
    AppOutputs, FullMessage, Page, Started, Worker,
    http::Messages,
    libp2p::{
        CommandError, Libp2pNetwork, Libp2pNetworkBuilder, NodeDriver, NodeEvent, NodeHandle,
        SignaturePolicy, swarm,
    },
};
use libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    dialling::{DialFailures, is_own},
    events::log,
    recording::Trace,
    redial::Redials,
    state::{Changes, Former, Saver, Saving},
};
use crate::cli::{
    Failure, admin_token,
    config::{Configuration, MessageFormat, Network, OnStop, Signing},
    data_dir::DataDir,
    identity,
    status_server::{Admin, Described, Exporter, Served, SharedIdentity, StatusServer},
};

/// Events about messages that the engine remembers for the status page.
const MESSAGE_EVENTS: usize = 1024;
/// Time limit for each part of the node to stop.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The peers in the mesh of each topic.
pub type Mesh = BTreeMap<String, Vec<String>>;

/// The identity of a node before its start.
pub struct LocalNode {
    pub key: Keypair,
    pub peer: PeerId,
    pub network: Libp2pNetwork,
    /// Locked as long as the node is there.
    pub data: Option<Arc<DataDir>>,
}

impl LocalNode {
    /// Locks the data directory, if there is one, and reads or makes the key.
    pub fn new(configuration: &Configuration) -> Result<Self, Failure> {
        let (identity, settings) = (&configuration.sections.identity, &configuration.sections.network);
        let data = identity.data_dir.as_deref().map(DataDir::open).transpose()?.map(Arc::new);
        let file = identity.key.clone().or_else(|| data.as_ref().map(|data| data.key()));
        let key = identity::load_or_create(file.as_deref(), identity.key_type)?;
        let peer = key.public().to_peer_id();
        let dialled = settings.dial.iter().filter(|address| !is_own(address, peer, &settings.listen));
        let network = network(settings.signing, settings.message_format, &key)
            .limits(settings.wire())
            .persistent_points(dialled.cloned())
            .default_backoff(configuration.limits.prune_backoff)
            .refuse_replays(configuration.limits.extensions.replay_check_authors);
        Ok(Self { key, peer, network: network.build(), data })
    }
}

/// A network with these messages. The configuration has checked that the two values fit.
fn network(signing: Signing, format: MessageFormat, key: &Keypair) -> Libp2pNetworkBuilder {
    match (format, signing) {
        (MessageFormat::Ethereum, _) => Libp2pNetwork::ethereum(),
        (MessageFormat::Filecoin, _) => Libp2pNetwork::filecoin(key.clone()),
        (MessageFormat::Default, Signing::Strict) => {
            Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone())))
        }
        (MessageFormat::Default, Signing::None) => Libp2pNetwork::builder(SignaturePolicy::StrictNoSign),
    }
}

/// The part of a node that depends on its command. Both functions are called on the thread of the swarm, and must not block.
pub trait Observer: Clone + Send + 'static {
    /// An event of the swarm.
    fn on_event(&mut self, event: &NodeEvent<'_>);
    /// A message that the engine delivers. The next one is delivered when the future is ready.
    fn on_message(&mut self, message: &FullMessage<Libp2pNetwork>) -> impl Future<Output = ()>;
}

pub struct RunningNode {
    pub worker: Worker<Libp2pNetwork>,
    /// The swarm's task ends when the last handle is dropped.
    handle: NodeHandle,
    swarm: JoinHandle<()>,
    deliveries: JoinHandle<()>,
    trace: Trace,
    saving: Option<Saving>,
    on_stop: OnStop,
    status_server: Option<StatusServer>,
}

impl RunningNode {
    /// Starts the node, listens and dials. The node cancels `shutdown` when its engine stops.
    ///
    /// # Errors
    /// A part of the node can't start, or an address is unusable; all parts are stopped again then.
    pub async fn start(
        local: &LocalNode,
        configuration: &Configuration,
        observer: impl Observer,
        trace: Option<&Path>,
        shutdown: &CancellationToken,
    ) -> Result<Self, Failure> {
        let sections = &configuration.sections;
        let token = sections.http.admin_token_file.as_deref().map(admin_token::load_or_create).transpose()?;
        let swarm = swarm(local.key.clone(), local.network.clone(), &sections.network.transport())?;
        // The engine has threads of its own, so that a busy engine delays neither the swarm nor the reports.
        let builder = Worker::builder(local.network.clone(), configuration.limits.clone())
            .self_peer(local.peer)
            .max_topic_labels(sections.metrics.max_topic_labels);
        let (former, changes) = (Former::read(local), Changes::default());
        let (mut builder, trace) = Trace::begin(trace, builder.initial_backoffs(former.backoffs))?;
        if local.data.is_some() {
            builder = changes.follow(builder);
        }
        let http = sections.http.listen.map(|address| (address, Exporter::new()));
        if let Some((_, exporter)) = &http {
            builder = builder.recorder(exporter.recorder.clone()).message_events(MESSAGE_EVENTS);
        }
        let Started { worker, p2p, app } = builder.start(sections.topics.join.iter().cloned())?;
        cancel_with_engine(worker.clone(), shutdown.clone());
        let (mut failures, mut events) = (DialFailures::new(&sections.network.dial), observer.clone());
        let (identity, redials) = (SharedIdentity::new(local.peer), Redials::default());
        let (described, results) = (identity.clone(), redials.clone());
        let on_event = move |event: NodeEvent<'_>| {
            log(&event);
            described.on_event(&event);
            results.on_event(&event);
            if let NodeEvent::DialFailed(_, error) = event {
                failures.report(error, std::time::Instant::now());
            }
            events.on_event(&event);
        };
        let (node, handle) = NodeDriver::new(swarm, worker.clone(), p2p, on_event);
        let messages = Messages::new(local.network.clone());
        let admin = token.map(|token| Admin { token, handle: handle.clone(), messages: messages.clone() });
        let mut running = Self {
            saving: Saver::start(local, &worker, changes, &former.peers),
            on_stop: sections.network.on_stop,
            worker,
            handle,
            swarm: actix::spawn(node),
            deliveries: actix::spawn(deliver(app, observer, messages)),
            trace,
            status_server: None,
        };
        let network = &sections.network;
        let (listening, dialling) =
            (running.listen(&network.listen).await, running.dial(local.peer, network).await);
        let described = Described {
            identity,
            node: running.handle.clone(),
            listens: !network.listen.is_empty(),
            dials: network.dial.iter().any(|address| !is_own(address, local.peer, &network.listen))
                || !former.peers.is_empty(),
        };
        actix::spawn(redials.run(running.handle.clone(), former.peers));
        let serving = http.map_or(Ok(()), |(address, exporter)| {
            let worker = running.worker.clone();
            let hosts = sections.http.hosts.clone();
            let served = Served { worker, hosts, described, admin };
            let server = StatusServer::start(address, &exporter, served)?;
            running.status_server = Some(server);
            Ok(())
        });
        match listening.and(dialling).and(serving) {
            Ok(()) => Ok(running),
            Err(failure) => running.stop_after(failure).await,
        }
    }

    /// The URL of the status page, if it is served.
    pub fn url(&self) -> Option<String> {
        self.status_server.as_ref().map(StatusServer::url)
    }

    async fn listen(&self, addresses: &[Multiaddr]) -> Result<(), Failure> {
        for address in addresses {
            check_free(address)?;
            let listening = self.handle.listen(address.clone()).await;
            listening.map_err(|error| Failure::listen(address, &error))?;
        }
        Ok(())
    }

    /// Dials the configured addresses. One that can't be dialled is logged; the engine tries again.
    async fn dial(&self, local: PeerId, network: &Network) -> Result<(), Failure> {
        for address in &network.dial {
            if is_own(address, local, &network.listen) {
                tracing::warn!("{address} is not dialled: it is this node itself");
                continue;
            }
            // Later failures are events.
            if let Err(CommandError::Dial(error)) = self.handle.dial(address.clone()).await {
                tracing::warn!("can't dial {address}: {error}");
            }
        }
        Ok(())
    }

    /// Stops the node. Each part has [`STOP_TIMEOUT`] to stop. Returns the meshes of before.
    ///
    /// # Errors
    /// The engine failed, or the recording can't be written.
    pub async fn stop(self) -> (Mesh, Result<(), Failure>) {
        let Self { worker, handle, swarm, deliveries, trace, saving, on_stop, status_server } = self;
        // The server stops first, because the engine would answer its last queries with errors.
        if let Some(server) = status_server {
            let _ = timeout(STOP_TIMEOUT, server.stop()).await;
        }
        let mesh = mesh(&worker).await;
        let saver = match saving {
            Some(saving) => saving.end().await,
            None => None,
        };
        // The engine closes its output streams. The swarm's task sends their remaining items and ends.
        let backoffs = match on_stop {
            OnStop::Leave => worker.shutdown_with_backoffs().await.ok(),
            OnStop::Restart => {
                let backoffs = timeout(STOP_TIMEOUT, worker.remaining_backoffs()).await;
                worker.shutdown_for_restart().await;
                backoffs.ok().and_then(Result::ok)
            }
        };
        // The backoffs of an engine that failed are unknown: the files stay as they are.
        if let (Some((saver, peers)), Some(backoffs)) = (saver, backoffs) {
            saver.save_last(peers, backoffs).await;
        }
        for task in [deliveries, swarm] {
            // A task that exceeds the limit ends with the process.
            let _ = timeout(STOP_TIMEOUT, task).await;
        }
        drop(handle);
        let traced = trace.end().await;
        (mesh, worker.wait_for_end().await.map_err(Failure::Engine).and(traced))
    }

    /// Stops a node that could not start completely, and returns `failure`. Like one that is killed it leaves no topic, which
    /// would cost it backoffs, and the files in its data directory stay as they are.
    async fn stop_after(mut self, failure: Failure) -> Result<Self, Failure> {
        self.on_stop = OnStop::Restart;
        if let Some(saving) = self.saving.take() {
            saving.end().await;
        }
        // The first failure is reported, not one of the end.
        let _ = self.stop().await;
        Err(failure)
    }
}

/// Fails if another process listens on a TCP port. rust-libp2p lets two nodes of one user listen on the same port, and the
/// kernel then gives each a part of the connections.
fn check_free(address: &Multiaddr) -> Result<(), Failure> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => std::net::IpAddr::from(ip),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    let Some(Protocol::Tcp(port @ 1..)) = parts.next() else { return Ok(()) };
    match std::net::TcpListener::bind((ip, port)) {
        // The address is free again when the listener is dropped. Other errors are those of the swarm.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(Failure::Listen { address: address.clone(), error: error.to_string() })
        }
        _ => Ok(()),
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

async fn deliver(
    mut app: AppOutputs<Libp2pNetwork>,
    mut observer: impl Observer,
    messages: Messages<Libp2pNetwork>,
) {
    while let Some(message) = app.recv().await {
        messages.deliver(&message);
        observer.on_message(&message).await;
    }
}

/// The present mesh of each topic; empty if the engine does not answer in time.
async fn mesh(worker: &Worker<Libp2pNetwork>) -> Mesh {
    let Ok(Ok(meshes)) = timeout(STOP_TIMEOUT, worker.mesh(Page::all())).await else {
        return Mesh::new();
    };
    let texts = |peers: Vec<PeerId>| peers.iter().map(PeerId::to_string).collect();
    meshes.items.into_iter().map(|(topic, peers)| (topic.to_string(), texts(peers))).collect()
}
