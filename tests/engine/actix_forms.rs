//! These tests use the engine through actix: inputs are sent as messages, and outputs arrive at recipients.

use actix::{Actor, Context, Handler};
use actix_gossipsub::{DeliveredMessage, plain::PlainNetwork};
use tokio::sync::mpsc;

use crate::support::*;

/// An actor that forwards its messages to a channel.
struct Probe<T>(mpsc::UnboundedSender<T>);

impl<T: Unpin + 'static> Actor for Probe<T> {
    type Context = Context<Self>;
}

impl Handler<Output> for Probe<Output> {
    type Result = ();

    fn handle(&mut self, output: Output, _: &mut Self::Context) {
        self.0.send(output).expect("the test receives");
    }
}

impl Handler<DeliveredMessage<PlainNetwork>> for Probe<DeliveredMessage<PlainNetwork>> {
    type Result = ();

    fn handle(&mut self, message: DeliveredMessage<PlainNetwork>, _: &mut Self::Context) {
        self.0.send(message).expect("the test receives");
    }
}

#[test]
fn inputs_are_messages_and_outputs_go_to_recipients() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        let (to_p2p, mut p2p) = mpsc::unbounded_channel();
        let (to_app, mut app) = mpsc::unbounded_channel();
        actix::spawn(engine.p2p.forward(Probe(to_p2p).start().recipient()));
        actix::spawn(engine.app.forward(Probe(to_app).start().recipient()));
        let worker = engine.worker.clone().start();
        worker.send(connect(1)).await.expect("the engine runs").expect("the input is accepted");
        worker.send(connect(2)).await.expect("the engine runs").expect("the input is accepted");
        // The supervisor announces our topics to a new peer. Only `settle` orders that before a message.
        engine.worker.settle().await;
        worker.send(graft(2, "a")).await.expect("the engine runs").expect("the input is accepted");
        worker.send(message(1, "a", 7)).await.expect("the engine runs").expect("the input is accepted");
        assert_eq!(app.recv().await.expect("delivered").message_id.number, 7);
        worker.send(leave("a")).await.expect("the engine runs").expect("the input is accepted");
        engine.worker.shutdown().await;
        let mut outputs = Vec::new();
        while let Some(output) = p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(sent_to(&outputs, 2, "a"), ["subscribe", "message", "prune", "unsubscribe"]);
    });
}
