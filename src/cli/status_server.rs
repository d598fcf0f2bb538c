//! The HTTP server of one engine: the status page, the query API and the metrics, all read-only, and the admin scope if
//! there is a token for it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use actix_gossipsub::{
    Worker,
    http::{
        self, AdminGuard, AdminToken, Hosts, Messages,
        responses::{Check, CheckStatus, Identity, PeerDetails},
    },
    libp2p::{Libp2pNetwork, NodeEvent, NodeHandle},
    metrics::with_buckets,
};
use actix_web::{App, HttpServer, Scope, dev::ServerHandle};
use libp2p::{Multiaddr, PeerId};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;
use tokio::{task::JoinHandle, time::timeout};

use super::Failure;

/// The default address; `config/prometheus.yml` scrapes it.
pub const DEFAULT: &str = "127.0.0.1:9898";

/// [`DEFAULT`], parsed.
pub fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9898))
}

/// How often the recorder moves observations into the buckets of histograms between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The time that those who read the stream have to read its end.
const END_OF_STREAMS: Duration = Duration::from_secs(1);

/// The Prometheus recorder of one engine, and the handle that renders its metrics.
#[derive(Clone)]
pub struct Exporter {
    pub recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    process: Collector,
}

impl Exporter {
    pub fn new() -> Self {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        let process = Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        Self { handle: recorder.handle(), recorder: Arc::new(recorder), process }
    }

    /// The metrics of the engine, and those of the process as they are now.
    fn render(&self) -> String {
        metrics::with_local_recorder(&*self.recorder, || self.process.collect());
        self.handle.render()
    }
}

/// The peer id of a node and the addresses at which it listens now. Clones are the same.
#[derive(Clone)]
pub struct SharedIdentity {
    peer: PeerId,
    identity: Arc<Mutex<Identity>>,
}

impl SharedIdentity {
    pub fn new(peer: PeerId) -> Self {
        let identity = Identity { peer_id: Some(peer.to_string()), addresses: Vec::new() };
        Self { peer, identity: Arc::new(Mutex::new(identity)) }
    }

    /// Follows the addresses of the node.
    pub fn on_event(&self, event: &NodeEvent<'_>) {
        let full = |address: &Multiaddr| format!("{address}/p2p/{}", self.peer);
        match *event {
            NodeEvent::Listening(address) => self.lock().addresses.push(full(address)),
            NodeEvent::ListenerExpired(address) => {
                let full = full(address);
                self.lock().addresses.retain(|one| *one != full);
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Identity> {
        // Plain data: a panic elsewhere leaves it whole.
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Identity {
        self.lock().clone()
    }
}

/// What the server says of a node beside its engine.
#[derive(Clone)]
pub struct Described {
    pub identity: SharedIdentity,
    pub node: NodeHandle,
    /// The node is to listen.
    pub listens: bool,
    /// The node was given peers to dial, or knows some from before.
    pub dials: bool,
}

impl Described {
    /// Adds the identity, the peers and the readiness of the node.
    fn describe(self, scope: Scope, worker: Worker<Libp2pNetwork>) -> Scope {
        let (identity, node) = (self.identity.clone(), self.node.clone());
        let scope = http::describe_node(scope, move || identity.get());
        let scope = http::describe_peers(scope, move |peer| Box::pin(details(node.clone(), peer)));
        http::check_readiness(scope, move || self.checks(&worker))
    }

    fn checks(&self, worker: &Worker<Libp2pNetwork>) -> Vec<Check> {
        let (addresses, peers) = (self.identity.lock().addresses.len(), worker.stats().count_connections);
        let status = |passed| if passed { CheckStatus::Ok } else { CheckStatus::Ko };
        let listens = (!self.listens, format!("the node listens at {addresses} addresses"));
        let dials = if self.dials { "" } else { "; it was given none to dial, and waits for some" };
        let connected = (!self.dials, format!("{peers} peers are connected{dials}"));
        vec![
            Check {
                name: "listening",
                status: status(addresses > 0 || listens.0),
                message: listens.1,
                list: None,
            },
            Check {
                name: "peers",
                status: status(peers > 0 || connected.0),
                message: connected.1,
                list: None,
            },
        ]
    }
}

/// The parts of a node that its admin scope uses.
#[derive(Clone)]
pub struct Admin {
    pub token: AdminToken,
    pub handle: NodeHandle,
    /// Gets each message that the engine delivers.
    pub messages: Messages<Libp2pNetwork>,
}

/// The scopes of a server, and its clients.
#[derive(Clone)]
pub struct Served {
    pub worker: Worker<Libp2pNetwork>,
    /// Host names besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    pub described: Described,
    pub admin: Option<Admin>,
}

/// A running server.
pub struct StatusServer {
    pub address: SocketAddr,
    server: ServerHandle,
    messages: Option<Messages<Libp2pNetwork>>,
    upkeep: JoinHandle<()>,
}

impl StatusServer {
    /// Serves one engine. Must be called inside an actix system.
    ///
    /// # Errors
    /// The server can't bind `address`.
    pub fn start(address: SocketAddr, exporter: &Exporter, served: Served) -> Result<Self, Failure> {
        let bind = |error: io::Error| Failure::Http { address, error };
        // An address that others reach is reached by names that are not known here.
        let hosts = match served.hosts.is_empty() && !address.ip().is_loopback() {
            true => Hosts::any(),
            false => Hosts::named(served.hosts.clone()),
        };
        let messages = served.admin.as_ref().map(|admin| admin.messages.clone());
        let metrics = exporter.clone();
        let app = move || {
            let Served { worker, described, admin, .. } = served.clone();
            let exporter = metrics.clone();
            let scope = http::scope(worker.clone(), move || exporter.render());
            let scope = http::answer_to(described.describe(scope, worker.clone()), hosts.clone());
            let admin = admin.map(|Admin { token, handle, messages }| {
                let scope = http::admin_scope(worker, handle, AdminGuard::token(token));
                http::answer_to(http::serve_messages(scope, messages), hosts.clone())
            });
            App::new().configure(|app| {
                // The read-only scope matches every path.
                if let Some(admin) = admin {
                    app.service(admin);
                }
                app.service(scope);
            })
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(address).map_err(bind)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let running = server.handle();
        actix::spawn(server);
        Ok(Self { address, server: running, messages, upkeep: actix::spawn(upkeep(exporter.handle.clone())) })
    }

    /// The URL of the status page.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stops the server. Those who read the stream are sent its end; other connections are not waited for.
    pub async fn stop(self) {
        self.upkeep.abort();
        if let Some(messages) = self.messages {
            // A reader that reads nothing must not keep the node from stopping.
            let _ = timeout(END_OF_STREAMS, messages.end()).await;
        }
        self.server.stop(false).await;
    }
}

/// What the transport of a node knows of a peer.
async fn details(node: NodeHandle, peer: String) -> Result<PeerDetails, String> {
    let peer = peer.parse().map_err(|error| format!("not a peer id: {error}"))?;
    let info = node.describe(peer).await.map_err(|error| error.to_string())?;
    Ok(PeerDetails {
        address: info.address.map(|address| address.to_string()),
        agent: info.agent,
        protocol: info.protocol.map(|protocol| protocol.to_string()),
        blocked_until: info.blocked_for.map(rfc3339_after),
    })
}

/// The time after `duration` from now; the last second of the year 9999 if that is later.
fn rfc3339_after(duration: Duration) -> String {
    let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let end = SystemTime::now().checked_add(duration).unwrap_or(latest).min(latest);
    humantime::format_rfc3339_millis(end).to_string()
}

async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        handle.run_upkeep();
    }
}
