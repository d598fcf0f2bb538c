//! Two engines in one actix-web server: their live pages, the metrics of both, and an orderly stop.
//!
//! actix-web stops its `System` on Ctrl-C by default, which would end the engines without telling their peers. So the
//! server runs with `disable_signals`, and the program shuts the engines down before it stops the server.
//!
//! `cargo run --example actix_web --features http,prometheus`, then open <http://127.0.0.1:8080/blocks/>.

use std::sync::Arc;

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker, http, metrics, plain::PlainNetwork,
};
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusBuilder;

/// Starts an engine that joins `topic` and has one made-up peer.
fn start(topic: &str, recorder: &Arc<Recorder>) -> Result<Worker<PlainNetwork>, Box<dyn std::error::Error>> {
    let limits = Limits::try_from(LimitsConfig::default())?;
    let builder = Worker::builder(PlainNetwork::new(), limits).recorder(Arc::clone(recorder) as _);
    let Started { worker, mut p2p, mut app } = builder.start([topic.to_owned()])?;
    actix_web::rt::spawn(async move { while p2p.recv().await.is_some() {} });
    actix_web::rt::spawn(async move { while app.recv().await.is_some() {} });
    worker.p2p_input(P2pInput::connected(1))?;
    worker.p2p_input(P2pInput::message(1, P2pMessage::subscribe(topic.to_owned())))?;
    Ok(worker)
}

type Recorder = metrics_exporter_prometheus::PrometheusRecorder;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let recorder = Arc::new(metrics::with_buckets(PrometheusBuilder::new()).build_recorder());
    let rendered = recorder.handle();
    let (blocks, votes) = (start("blocks", &recorder)?, start("votes", &recorder)?);

    let engines = [blocks.clone(), votes.clone()];
    let server = HttpServer::new(move || {
        let rendered = rendered.clone();
        App::new()
            .service(web::scope("/blocks").service(http::scope_without_metrics(blocks.clone())))
            .service(web::scope("/votes").service(http::scope_without_metrics(votes.clone())))
            .route("/metrics", web::get().to(move || std::future::ready(rendered.render())))
    })
    .bind(("127.0.0.1", 8080))?
    .disable_signals()
    .run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    println!("pages: http://127.0.0.1:8080/blocks/ and /votes/; metrics: /metrics; Ctrl-C stops");

    tokio::signal::ctrl_c().await?;
    for engine in engines {
        engine.shutdown().await;
    }
    handle.stop(true).await;
    running.await??;
    Ok(())
}
