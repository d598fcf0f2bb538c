//! The HTTP server of one engine: the status page, the query API and the metrics, all read-only, and the admin scope if
//! there is a token for it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_gossipsub::{
    Worker,
    http::{self, AdminGuard, AdminToken, Hosts, Messages, responses::Identity},
    libp2p::{Libp2pNetwork, NodeEvent, NodeHandle},
    metrics::with_buckets,
};
use actix_web::{App, HttpServer, dev::ServerHandle};
use libp2p::{Multiaddr, PeerId};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::task::JoinHandle;

use super::Failure;

/// The default address; `config/prometheus.yml` scrapes it.
pub const DEFAULT: &str = "127.0.0.1:9898";

/// [`DEFAULT`], parsed.
pub fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9898))
}

/// How often the recorder moves observations into the buckets of histograms between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The Prometheus recorder of one engine, and the handle that renders its metrics.
pub struct Exporter {
    pub recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Exporter {
    pub fn new() -> Self {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        Self { handle: recorder.handle(), recorder: Arc::new(recorder) }
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

/// What the admin scope of a node needs.
#[derive(Clone)]
pub struct Admin {
    pub token: AdminToken,
    pub handle: NodeHandle,
    /// Gets each message that the engine delivers.
    pub messages: Messages<Libp2pNetwork>,
}

/// What a server serves, and to whom.
#[derive(Clone)]
pub struct Served {
    pub worker: Worker<Libp2pNetwork>,
    /// Host names besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    pub identity: Option<SharedIdentity>,
    pub admin: Option<Admin>,
}

impl Served {
    /// The read-only scope of an engine.
    pub fn new(worker: Worker<Libp2pNetwork>) -> Self {
        Self { worker, hosts: Vec::new(), identity: None, admin: None }
    }
}

/// A running server.
pub struct StatusServer {
    pub address: SocketAddr,
    server: ServerHandle,
    upkeep: JoinHandle<()>,
}

impl StatusServer {
    /// Serves one engine. Must be called inside an actix system.
    ///
    /// # Errors
    /// The server can't bind `address`.
    pub fn start(address: SocketAddr, exporter: &Exporter, served: Served) -> Result<Self, Failure> {
        let bind = |error: io::Error| Failure::Http { address, error };
        let handle = exporter.handle.clone();
        // An address that others reach is reached by names that are not known here.
        let hosts = match served.hosts.is_empty() && !address.ip().is_loopback() {
            true => Hosts::any(),
            false => Hosts::named(served.hosts.clone()),
        };
        let app = move || {
            let Served { worker, identity, admin, .. } = served.clone();
            let render = handle.clone();
            let scope = http::scope(worker.clone(), move || render.render());
            let scope = match identity {
                Some(identity) => http::describe_node(scope, move || identity.get()),
                None => scope,
            };
            let admin = admin.map(|Admin { token, handle, messages }| {
                let scope = http::admin_scope(worker, handle, AdminGuard::token(token));
                http::answer_to(http::serve_messages(scope, messages), hosts.clone())
            });
            let scope = http::answer_to(scope, hosts.clone());
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
        Ok(Self { address, server: running, upkeep: actix::spawn(upkeep(exporter.handle.clone())) })
    }

    /// The URL of the status page.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stops the server without waiting for open connections.
    pub async fn stop(self) {
        self.upkeep.abort();
        self.server.stop(false).await;
    }
}

async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        handle.run_upkeep();
    }
}
