//! An actix application of three actors: one publishes by message, a supervised one receives the messages of one topic and
//! subscribes again after its restart, and one receives the events of the engine. The program is its own transport: it connects
//! two engines in one process. It ends by itself.
//!
//! `cargo run --example actors`

use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture,
    Supervised, Supervisor, WrapFuture,
};
use actix_gossipsub::{
    DeliveredMessage, EngineEvent, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, P2pOutputs,
    PublishReport, Refused, Started, Worker,
    messages::{Explain, Join, Leave, Mesh, Publish, Score, Shutdown, SubscribeEvents, SubscribeTopic},
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
    engine: Addr<Engine>,
    steps: mpsc::UnboundedSender<Step>,
}

/// What the program waits for.
#[derive(Debug, PartialEq)]
enum Step {
    Subscribed,
    Printed(u64),
}

impl Actor for Reader {
    type Context = Context<Self>;

    /// Subscribes at the start, and again after each restart: the new subscription takes the place of the former one.
    fn started(&mut self, ctx: &mut Self::Context) {
        let subscribe = SubscribeTopic::new("news".to_owned(), ctx.address().recipient());
        let subscribed = self.engine.send(subscribe).into_actor(self).map(|answer, reader, _| match answer {
            // The receiver is gone when the program ends.
            Ok(Ok(())) => drop(reader.steps.send(Step::Subscribed)),
            failed => eprintln!("the reader has no subscription: {failed:?}"),
        });
        ctx.wait(subscribed);
    }
}

impl Supervised for Reader {
    fn restarting(&mut self, _: &mut Self::Context) {
        println!("the reader starts again");
    }
}

impl Handler<DeliveredMessage<PlainNetwork>> for Reader {
    type Result = ();

    fn handle(&mut self, message: DeliveredMessage<PlainNetwork>, ctx: &mut Self::Context) {
        let number = message.message_id.number;
        println!("{number}: {}", message.message);
        // It fails once, to be restarted by its supervisor.
        if number == 2 {
            ctx.stop();
        }
        let _ = self.steps.send(Step::Printed(number));
    }
}

/// Prints what the engine decides about its peers.
struct Watcher;

impl Actor for Watcher {
    type Context = Context<Self>;
}

impl Handler<EngineEvent<PlainNetwork>> for Watcher {
    type Result = ();

    fn handle(&mut self, event: EngineEvent<PlainNetwork>, _: &mut Self::Context) {
        if let EngineEvent::Record(record) = event
            && let Some(peer) = record.peer
        {
            println!("{} of peer {peer}: {}", record.kind.name(), record.kind.reason().unwrap_or_default());
        }
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

    let (publishing, reading) = (publishing.start(), reading.start());
    reading.send(SubscribeEvents::new(Watcher.start().recipient())).await?;
    let (steps, mut done) = mpsc::unbounded_channel();
    let reader = Reader { engine: reading.clone(), steps };
    let _reader = Supervisor::start(|_| reader);
    wait_for(&mut done, Step::Subscribed).await?;

    // What is published before the peer is in the mesh reaches no peer.
    publishing.send(Join::<PlainNetwork>("news".to_owned())).await??;
    while publishing.send(Mesh::<PlainNetwork>("news".to_owned())).await??.is_none_or(|mesh| mesh.is_empty())
    {
        actix::clock::sleep(Duration::from_millis(20)).await;
    }
    let newspaper = Newspaper { engine: publishing.clone(), published: 0 }.start();
    for (number, text) in (1..).zip(["it works", "so does this", "goodbye"]) {
        let report = newspaper.send(Headline(text)).await??;
        println!("sent to {} peers: {text}", report.queued);
        wait_for(&mut done, Step::Printed(number)).await?;
        if number == 2 {
            wait_for(&mut done, Step::Subscribed).await?;
        }
    }
    let score = reading.send(Score::<PlainNetwork>(PEERS[0])).await?;
    let explanation = reading.send(Explain::<PlainNetwork>(PEERS[0])).await??;
    println!("peer {} has score {score:?} after {} decisions", PEERS[0], explanation.decisions.len());
    publishing.send(Leave::<PlainNetwork>("news".to_owned())).await??;
    // Leaves the other topics, notifies the peers, and ends all streams.
    publishing.send(Shutdown).await?;
    reading.send(Shutdown).await?;
    Ok(())
}

async fn wait_for(done: &mut mpsc::UnboundedReceiver<Step>, step: Step) -> Result<(), &'static str> {
    let next = done.recv().await.ok_or("the reader has stopped")?;
    if next == step { Ok(()) } else { Err("the reader did something else") }
}
