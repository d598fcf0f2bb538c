//! The page, the questions and the metrics of one engine, over HTTP. Read-only; on loopback unless told
//! otherwise.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix_gossipsub::{Worker, http, libp2p::Libp2pNetwork, metrics::with_buckets};
use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    guard::{GuardContext, fn_guard},
    http::header::HOST,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::task::JoinHandle;

use super::Failure;

/// Where it is served unless told otherwise; `config/prometheus.yml` scrapes it there.
pub const DEFAULT: &str = "127.0.0.1:9898";

/// The same, as an address.
pub fn usual() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9898))
}

/// How often the recorder takes in what was observed, should nobody scrape.
const UPKEEP: Duration = Duration::from_secs(5);

/// What one engine's metrics are recorded by, and shown from.
pub struct Recording {
    pub recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Recording {
    pub fn new() -> Self {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        Self { handle: recorder.handle(), recorder: Arc::new(recorder) }
    }
}

/// A running server.
pub struct Serving {
    pub address: SocketAddr,
    server: ServerHandle,
    upkeep: JoinHandle<()>,
}

impl Serving {
    /// Serves what there is to be seen of an engine.
    pub fn start(
        address: SocketAddr,
        worker: Worker<Libp2pNetwork>,
        recording: &Recording,
    ) -> Result<Self, Failure> {
        let bind = |error: io::Error| Failure::Http { address, error };
        let handle = recording.handle.clone();
        let local = address.ip().is_loopback();
        let app = move || {
            let render = handle.clone();
            let scope = http::scope(worker.clone(), move || render.render());
            // A page that calls itself by another name and has that name lead here sees nothing.
            App::new().service(scope.guard(fn_guard(move |request| !local || is_local(request))))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(address).map_err(bind)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let running = server.handle();
        actix::spawn(server);
        Ok(Self { address, server: running, upkeep: actix::spawn(keep_up(recording.handle.clone())) })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub async fn end(self) {
        self.upkeep.abort();
        self.server.stop(false).await;
    }
}

async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Whether a request was sent to this machine by a name that nobody else can give out.
fn is_local(request: &GuardContext<'_>) -> bool {
    let host = request.head().headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.contains(']') { host } else { name });
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}
