//! This module starts connected engines, and an HTTP server of the first one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, ConnectionInfo, Direction, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, Started,
    Worker, WorkerBuilder,
    http::{self, AdminGuard, AdminToken},
    plain::PlainNetwork,
};
use actix_web::{App, HttpServer, Scope, dev::ServerHandle};
use serde_json::Value;
use testkit::http::{HeaderMap, StatusCode, send_bytes};

pub type Engine = Worker<PlainNetwork>;

/// Runs a test inside an actix system, with a time limit of 240 s.
pub fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(240), test).await.expect("the test ends within 240 s");
    });
}

pub fn limits(change: impl FnOnce(&mut LimitsConfig)) -> Limits<String> {
    let mut config = LimitsConfig::default();
    change(&mut config);
    Limits::try_from(config).expect("a valid change")
}

/// An engine whose heartbeats the test triggers.
pub fn manual(limits: Limits<String>) -> WorkerBuilder<PlainNetwork> {
    Worker::builder(PlainNetwork::new(), limits).manual().arbiters(1).seed(1)
}

/// An engine whose outputs are read and discarded.
pub fn start_alone(builder: WorkerBuilder<PlainNetwork>, topics: &[&str]) -> Engine {
    let topics = topics.iter().map(|topic| (*topic).to_owned());
    let Started { worker, mut p2p, mut app } = builder.start(topics).expect("an actix system runs");
    actix::spawn(async move { while p2p.recv().await.is_some() {} });
    actix::spawn(async move { while app.recv().await.is_some() {} });
    worker
}

/// `count` engines, peers 1, 2, …, each connected to all others. The lower number dials.
pub async fn network(count: u64, topics: &[&str], limits: &Limits<String>) -> Vec<Engine> {
    let started: Vec<_> = (1..=count)
        .map(|peer| {
            let topics = topics.iter().map(|topic| (*topic).to_owned());
            let builder = manual(limits.clone()).self_peer(peer).message_events(64);
            builder.start(topics).expect("an actix system runs")
        })
        .collect();
    let workers: Vec<Engine> = started.iter().map(|started| started.worker.clone()).collect();
    for (peer, Started { mut p2p, mut app, .. }) in (1..).zip(started) {
        let others = workers.clone();
        actix::spawn(async move {
            while let Some(output) = p2p.recv().await {
                if let P2pOutput::OutMessage { to_peer, message } = output {
                    // Other peers are not engines, so their messages are discarded.
                    if let Some(other) = usize::try_from(to_peer - 1).ok().and_then(|index| others.get(index))
                    {
                        let _ = other.p2p_input(P2pInput::message(peer, message));
                    }
                }
            }
        });
        actix::spawn(async move { while app.recv().await.is_some() {} });
    }
    for (me, worker) in (1..).zip(&workers) {
        for other in (1..=count).filter(|other| *other != me) {
            let info = ConnectionInfo::new(Direction::outbound_if(me < other));
            let input = P2pInput::NewConnection { peer: other, info };
            worker.p2p_input(input).expect("the engine runs");
        }
    }
    quiet(&workers).await;
    workers
}

/// Waits until all engines have handled the messages of all others.
pub async fn quiet(workers: &[Engine]) {
    for _ in 0..6 {
        for worker in workers {
            worker.settle().await;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Polls until the condition is true. Fails the test after 20 s.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the condition is still false");
}

pub fn receive(worker: &Engine, peer: u64, message: P2pMessage<PlainNetwork>) {
    worker.p2p_input(P2pInput::message(peer, message)).expect("the engine runs");
}

pub fn subscribed(worker: &Engine, peer: u64, topic: &str) {
    receive(worker, peer, P2pMessage::subscribe(topic.to_owned()));
}

pub fn graft(worker: &Engine, peer: u64, topic: &str) {
    receive(worker, peer, P2pMessage::Graft { topic: topic.to_owned() });
}

pub fn message(worker: &Engine, peer: u64, topic: &str, number: u64) {
    let message = PlainNetwork::message(topic, number, "content");
    receive(worker, peer, P2pMessage::FullMessage(Arc::new(message)));
}

pub fn publish(worker: &Engine, topic: &str, number: u64) {
    let message = PlainNetwork::message(topic, number, "content");
    worker.app_input(AppInput::Publish(message)).expect("the input is accepted");
}

/// The token of every admin scope.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub fn guard() -> AdminGuard {
    AdminGuard::token(AdminToken::new(TOKEN).expect("a token"))
}

/// A server on a free port of loopback.
pub struct Server {
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    pub fn of(worker: &Engine) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), worker)
    }

    /// A server with these metrics.
    pub fn exporting(worker: &Engine, metrics: impl Fn() -> String + Clone + Send + Sync + 'static) -> Self {
        Self::of_engine(([127, 0, 0, 1], 0).into(), worker, metrics)
    }

    /// A server on this address, which is free.
    pub fn at(address: SocketAddr, worker: &Engine) -> Self {
        Self::of_engine(address, worker, || "# nothing\n".to_owned())
    }

    fn of_engine(
        address: SocketAddr,
        worker: &Engine,
        metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        let worker = worker.clone();
        let identity = || {
            let addresses = vec!["/ip4/192.0.2.1/tcp/4001/p2p/1".to_owned()];
            http::responses::Identity { peer_id: Some("1".to_owned()), addresses }
        };
        Self::serving_at(address, move || {
            let scope = http::scope(worker.clone(), metrics.clone());
            http::describe_peers(http::describe_node(scope, identity), |peer| Box::pin(details(peer)))
        })
    }

    pub fn serving(scope: impl Fn() -> Scope + Clone + Send + 'static) -> Self {
        Self::serving_at(([127, 0, 0, 1], 0).into(), scope)
    }

    fn serving_at(address: SocketAddr, scope: impl Fn() -> Scope + Clone + Send + 'static) -> Self {
        let factory = move || App::new().service(scope());
        let server = HttpServer::new(factory).workers(1).disable_signals();
        let server = server.bind(address).expect("a free port");
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix::spawn(server);
        Self { address, handle }
    }

    pub async fn end(self) {
        self.handle.stop(false).await;
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// Sends a request with a JSON body if there is one, and with the token if the path is one of the admin scope.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let mut headers = vec![("content-type", "application/json"), ("authorization", &authorization)];
        if !path.starts_with("/admin") {
            headers.pop();
        }
        let body = body.map(|body| body.to_string().into_bytes());
        self.send_bytes(method, path, &headers, body.unwrap_or_default()).await
    }

    /// Sends a request with these headers only.
    pub async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let answer = send_bytes(method, &url, headers, body).await.expect("an answer");
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        let [link, retry_after] = ["link", "retry-after"].map(|name| answer.header(name).map(str::to_owned));
        Answer { status: answer.status, kind, link, retry_after, text: answer.text, headers: answer.headers }
    }

    /// The JSON body of a successful GET request.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }
}

/// What the transport of these tests knows of a peer. It refuses peer 40 for ever, and does not answer about peer 99.
async fn details(peer: String) -> Result<http::responses::PeerDetails, String> {
    if peer == "99" {
        return Err("the transport has stopped".to_owned());
    }
    Ok(http::responses::PeerDetails {
        address: Some(format!("/dns4/{peer}.example/tcp/4001")),
        agent: Some("go-libp2p/0.36.2".to_owned()),
        protocol: Some("/meshsub/1.2.0".to_owned()),
        blocked_until: (peer == "40").then(|| "9999-12-31T23:59:59.000Z".to_owned()),
    })
}

pub struct Answer {
    pub status: StatusCode,
    pub kind: String,
    pub link: Option<String>,
    pub retry_after: Option<String>,
    pub text: String,
    pub headers: HeaderMap,
}

impl Answer {
    /// The text of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.kind, "application/json");
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// The query of the next page.
    pub fn next(&self) -> Option<String> {
        let link = self.link.as_ref()?;
        let (query, rest) = link.strip_prefix('<')?.split_once('>')?;
        assert_eq!(rest, "; rel=\"next\"");
        Some(query.to_owned())
    }
}
