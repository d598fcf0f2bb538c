//! A node in a process of its own: a real engine on a real swarm, with load and a page of metrics. It ends when its
//! input does.

use std::{
    io::BufRead,
    process::Command,
    sync::{Arc, mpsc},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Limits, LimitsConfig, Started, Worker,
    libp2p::{
        Libp2pNetwork, Libp2pNode, NodeEvent, NodeHandle, SignaturePolicy, TopicName, TransportConfig, swarm,
    },
    metrics::with_buckets,
};
use actix_web::{App, HttpResponse, HttpServer, web};
use libp2p::identity::Keypair;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::process::Process;

/// Set in a process that is to be a node.
const ASKED: &str = "GOSSIPSUB_BE_A_NODE";
const TOPICS: [&str; 3] = ["blocks", "votes", "news"];
/// Messages a topic.
const EVERY: Duration = Duration::from_millis(20);

/// A running node.
pub struct Peer {
    pub process: Process,
    /// Of its metrics.
    pub http: String,
    pub address: String,
}

impl Peer {
    /// Runs this very program again, as a node.
    pub fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        command.args(["peer::a_node_if_asked", "--exact", "--nocapture"]).env(ASKED, "1");
        let process = Process::start(&mut command);
        let (http, address) = (process.told("HTTP"), process.told("LISTENING"));
        Self { process, http, address }
    }
}

#[test]
fn a_node_if_asked() {
    if std::env::var_os(ASKED).is_some() {
        actix_web::rt::System::new().block_on(run());
    }
}

/// Meshes so small that much goes by gossip.
fn limits() -> Limits<TopicName> {
    let config = LimitsConfig {
        degree_optimal: 1,
        degree_low: 1,
        degree_high: 1,
        degree_score: 0,
        degree_out: 0,
        heartbeat_interval: Duration::from_millis(250),
        ..LimitsConfig::default()
    };
    Limits::try_from(config).expect("valid limits")
}

async fn run() {
    let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
    println!("HTTP {}", serve(recorder.handle()));
    let key = Keypair::generate_ed25519();
    let peer = key.public().to_peer_id();
    let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone()))).build();
    let swarm = swarm(key, network.clone(), &TransportConfig::default()).expect("a swarm");
    let builder = Worker::builder(network.clone(), limits()).self_peer(peer).recorder(Arc::new(recorder));
    let Started { worker, p2p, mut app } = builder.start(TOPICS.map(TopicName::from)).expect("an engine");
    let (node, handle) = Libp2pNode::new(swarm, worker.clone(), p2p, |event: NodeEvent<'_>| {
        if let NodeEvent::Listening(address) = event {
            println!("LISTENING {address}");
        }
    });
    actix_web::rt::spawn(node);
    actix_web::rt::spawn(async move { while app.recv().await.is_some() {} });
    handle.listen("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).await.expect("listening");
    actix_web::rt::spawn(publish(network, worker.clone()));
    dial_as_told(&handle).await;
    worker.shutdown().await;
}

/// A page of metrics; where it is.
fn serve(handle: PrometheusHandle) -> String {
    let app =
        move || App::new().route("/metrics", web::get().to(page)).app_data(web::Data::new(handle.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
    let address = server.addrs()[0].to_string();
    actix_web::rt::spawn(server.run());
    address
}

async fn page(handle: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}

async fn publish(network: Libp2pNetwork, worker: Worker<Libp2pNetwork>) {
    for number in 0_u64.. {
        tokio::time::sleep(EVERY).await;
        for topic in TOPICS {
            let data = format!("{topic} {number}, and some more to carry").into_bytes();
            let message = network.message(topic.into(), data).expect("a message");
            // Refused: the node ends.
            let _ = worker.app_input(AppInput::Publish(message));
        }
    }
}

/// Dials each address on the standard input, to its end.
async fn dial_as_told(handle: &NodeHandle) {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines.map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    loop {
        match lines.try_recv() {
            Ok(address) => handle.dial(address.parse().expect("an address")).await.expect("dialling"),
            Err(mpsc::TryRecvError::Empty) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(mpsc::TryRecvError::Disconnected) => return,
        }
    }
}
