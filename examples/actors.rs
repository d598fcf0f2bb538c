//! An actix application of two actors: one publishes by message, the other receives the messages of one topic. The program
//! is its own transport: it connects two engines in one process.
//!
//! `cargo run --example actors`

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, ResponseFuture};
use actix_gossipsub::{
    DeliveredMessage, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, P2pOutputs, PublishReport,
    Refused, Started, Worker,
    messages::{Join, Mesh, Publish, Shutdown, SubscribeTopic},
    plain::PlainNetwork,
};
use tokio::sync::mpsc;

type Engine = Worker<PlainNetwork>;

/// Numbers headlines and publishes them. It sends actix messages to the engine and never waits for it.
struct Newspaper {
    engine: Addr<Engine>,
    published: u64,
}

#[derive(Message)]
#[rtype(result = "Result<PublishReport, Refused>")]
struct Headline(&'static str);

impl Actor for Newspaper {
    type Context = Context<Self>;
}

impl Handler<Headline> for Newspaper {
    type Result = ResponseFuture<Result<PublishReport, Refused>>;

    fn handle(&mut self, Headline(text): Headline, _: &mut Self::Context) -> Self::Result {
        self.published += 1;
        let message = PlainNetwork::message("news", self.published, text);
        let published = self.engine.send(Publish::when_room(message));
        // There is no answer if the actor of the engine has stopped.
        Box::pin(async move { published.await.unwrap_or(Err(Refused::Stopped)) })
    }
}

/// Prints the messages of the topic. While it is busy they wait in its subscription, and hold up no other topic.
struct Reader {
    printed: mpsc::UnboundedSender<u64>,
}

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Handler<DeliveredMessage<PlainNetwork>> for Reader {
    type Result = ();

    fn handle(&mut self, message: DeliveredMessage<PlainNetwork>, _: &mut Self::Context) {
        println!("{}: {}", message.message_id.number, message.message);
        // The program waits for as many as are published.
        let _ = self.printed.send(message.message_id.number);
    }
}

/// The peer ids of the two engines.
const PEERS: [u64; 2] = [1, 2];

/// Carries what the engine `from` emits to the other one, and reports to the publisher what is sent.
async fn carry(mut outputs: P2pOutputs<PlainNetwork>, from: (u64, Engine), to: Engine) {
    while let Some(output) = outputs.recv().await {
        let P2pOutput::OutMessage { message, .. } = output else { continue };
        if let P2pMessage::FullMessage(full) = &message {
            from.1.report_sent(&full.topic, &full.message_id);
        }
        // An engine that has ended takes no more.
        let _ = to.send_p2p_input(P2pInput::message(from.0, message)).await;
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::try_from(LimitsConfig::default())?;
    let start = |name: &str| Worker::builder(PlainNetwork::new(), limits.clone()).name(name).start([]);
    let Started { worker: publishing, p2p: from_publishing, app: _ } = start("publishing")?;
    let Started { worker: reading, p2p: from_reading, app: _ } = start("reading")?;
    publishing.p2p_input(P2pInput::connected(PEERS[1]))?;
    reading.p2p_input(P2pInput::connected(PEERS[0]))?;
    actix::spawn(carry(from_publishing, (PEERS[0], publishing.clone()), reading.clone()));
    actix::spawn(carry(from_reading, (PEERS[1], reading.clone()), publishing.clone()));

    let (printed, mut received) = mpsc::unbounded_channel();
    let reader = Reader { printed }.start();
    let (publishing, reading) = (publishing.start(), reading.start());
    reading.send(SubscribeTopic::new("news".to_owned(), reader.recipient())).await??;

    // What is published before the peer is in the mesh reaches no peer.
    publishing.send(Join::<PlainNetwork>("news".to_owned())).await??;
    while publishing.send(Mesh::<PlainNetwork>("news".to_owned())).await??.is_none_or(|mesh| mesh.is_empty())
    {
        actix::clock::sleep(Duration::from_millis(20)).await;
    }
    let newspaper = Newspaper { engine: publishing.clone(), published: 0 }.start();
    for text in ["it works", "so does this", "goodbye"] {
        let report = newspaper.send(Headline(text)).await??;
        println!("sent to {} peers: {text}", report.queued);
    }
    for _ in 0..3 {
        received.recv().await.ok_or("the reader has stopped")?;
    }
    // Leaves the topics, notifies the peers, and ends all streams.
    publishing.send(Shutdown).await?;
    reading.send(Shutdown).await?;
    Ok(())
}
