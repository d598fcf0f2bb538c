//! Two engines in one actix-web server: their live pages and metrics, and an orderly stop.
//!
//! Each engine has a recorder of its own, because the gauges of two engines have the same names and labels. actix-web
//! stops its `System` on Ctrl-C by default, which would end the engines before they leave their topics. So the server
//! runs with `disable_signals`, and the program shuts the engines down before it stops the server.
//!
//! `cargo run --example actix_web --features http,prometheus`, then open <http://127.0.0.1:8080/blocks/>.

use std::sync::Arc;

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker, http, metrics, plain::PlainNetwork,
};
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

type Engine = Worker<PlainNetwork>;

/// Starts an engine that joins `topic` and has one made-up peer.
fn start(topic: &str) -> Result<(Engine, PrometheusHandle), Box<dyn std::error::Error>> {
    let recorder = metrics::with_buckets(PrometheusBuilder::new()).build_recorder();
    let rendered = recorder.handle();
    let limits = Limits::try_from(LimitsConfig::default())?;
    let builder = Worker::builder(PlainNetwork::new(), limits).recorder(Arc::new(recorder));
    let Started { worker, mut p2p, mut app } = builder.start([topic.to_owned()])?;
    actix_web::rt::spawn(async move { while p2p.recv().await.is_some() {} });
    actix_web::rt::spawn(async move { while app.recv().await.is_some() {} });
    worker.p2p_input(P2pInput::connected(1))?;
    worker.p2p_input(P2pInput::message(1, P2pMessage::subscribe(topic.to_owned())))?;
    Ok((worker, rendered))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (blocks, votes) = (start("blocks")?, start("votes")?);
    let engines = [blocks.0.clone(), votes.0.clone()];
    let scope = |(worker, rendered): &(Engine, PrometheusHandle)| {
        let rendered = rendered.clone();
        http::scope(worker.clone(), move || rendered.render())
    };
    let server = HttpServer::new(move || {
        App::new()
            .service(web::scope("/blocks").service(scope(&blocks)))
            .service(web::scope("/votes").service(scope(&votes)))
    })
    .bind(("127.0.0.1", 8080))?
    .disable_signals()
    .run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    println!(
        "pages: http://127.0.0.1:8080/blocks/ and /votes/; metrics: /blocks/metrics and /votes/metrics; Ctrl-C stops"
    );

    tokio::signal::ctrl_c().await?;
    for engine in engines {
        engine.shutdown().await;
    }
    handle.stop(true).await;
    running.await??;
    Ok(())
}
