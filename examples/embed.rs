//! The engine inside an actix application, without libp2p. A made-up peer stands for the transport: it connects,
//! subscribes and sends a message; the application receives it and publishes one that goes to the peer.
//!
//! `cargo run --example embed`

use actix_gossipsub::{
    AppInput, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, Started, Worker, plain::PlainNetwork,
};

const PEER: u64 = 7;

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::try_from(LimitsConfig::default())?;
    let Started { worker, mut p2p, mut app } =
        Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;

    // The transport reports a connection and what the peer sends.
    worker.p2p_input(P2pInput::connected(PEER))?;
    worker.p2p_input(P2pInput::message(PEER, P2pMessage::subscribe("news".to_owned())))?;
    worker.p2p_input(P2pInput::message(PEER, P2pMessage::Graft { topic: "news".to_owned() }))?;
    let message = PlainNetwork::message("news", 1, "hello from the peer");
    worker.p2p_input(P2pInput::message(PEER, P2pMessage::FullMessage(message.into())))?;

    // The application receives the message and publishes its own.
    let received = app.recv().await.ok_or("the engine has ended")?;
    println!("received: {:?}", received.message);
    worker.app_input(AppInput::Publish(PlainNetwork::message("news", 2, "hello from us")))?;

    // The transport sends what the engine emits.
    while let Some(output) = p2p.recv().await {
        println!("for the transport: {output}");
        if let P2pOutput::OutMessage { message: P2pMessage::FullMessage(message), .. } = output {
            println!("published: {:?}", message.message);
            break;
        }
    }
    // Leaves the topics, notifies the peers, and ends both streams.
    worker.shutdown().await;
    Ok(())
}
