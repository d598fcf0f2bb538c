//! These tests check what the engine does when its output streams are read slowly, by actors with small mailboxes, or are not
//! read at all.

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use actix_gossipsub::{
    DeliveredMessage, DropReason, Limits, P2pMessage, P2pOutput, RecipientStopped, Refused, RouteResult,
    Started, plain::PlainNetwork,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{recording::Recording, support::*};

/// The capacity of the actors' mailboxes.
const MAILBOX: usize = 4;
/// The capacity of the output streams.
const STREAM: usize = 16;

fn small_streams() -> Limits<String> {
    changed(|limits| limits.bounds.max_output_items = STREAM)
}

/// An actor that takes its next message when the test gives it a permit.
struct Slow {
    permits: Arc<Semaphore>,
    received: mpsc::UnboundedSender<u64>,
}

impl Actor for Slow {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Slow {
    fn receive(&self, number: u64, ctx: &mut Context<Self>) {
        self.received.send(number).expect("the test receives");
        let permits = Arc::clone(&self.permits);
        let permit = async move { permits.acquire().await.expect("it is not closed").forget() };
        ctx.wait(permit.into_actor(self));
    }
}

impl Handler<DeliveredMessage<PlainNetwork>> for Slow {
    type Result = ();

    fn handle(&mut self, message: DeliveredMessage<PlainNetwork>, ctx: &mut Self::Context) {
        self.receive(message.message_id.number, ctx);
    }
}

impl Handler<Output> for Slow {
    type Result = ();

    fn handle(&mut self, output: Output, ctx: &mut Self::Context) {
        if let P2pOutput::OutMessage { message: P2pMessage::FullMessage(full), .. } = output {
            self.receive(full.message_id.number, ctx);
        }
    }
}

/// Sends messages, each on its own, until the engine refuses one. Returns their number and the reason.
async fn admitted(engine: &actix_gossipsub::Worker<PlainNetwork>, max: u64) -> (u64, Option<Refused>) {
    for number in 0..max {
        if let Err(refused) = engine.p2p_input(message(1, "a", number)) {
            return (number, Some(refused));
        }
        engine.settle().await;
        run_tasks().await;
    }
    (max, None)
}

/// Lets the forwarding task and the actor, which run on this thread, go on until they wait.
async fn run_tasks() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_slow_actor_behind_the_app_stream_slows_down_admission_and_loses_nothing() {
    run(async {
        let Started { worker, p2p: _p2p, app } = start(manual(PlainNetwork::new(), small_streams()), &["a"]);
        let (permits, (sender, mut received)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
        let actor = Slow { permits: Arc::clone(&permits), received: sender }.start();
        let forwarding = actix::spawn(app.forward(actor.recipient()));
        let (count, refused) = admitted(&worker, 60_000).await;
        assert_eq!(refused, Some(Refused::ApplicationBehind { waiting: STREAM }));
        // In addition to the mailbox: the message that the actor handles, and one that each clone of its address may add.
        assert!(count as usize <= STREAM + MAILBOX + 4, "{count} messages admitted");
        permits.add_permits(100_000);
        for number in 0..count {
            assert_eq!(received.recv().await, Some(number));
        }
        worker.p2p_input(message(1, "a", count)).expect("there is room again");
        assert_eq!(received.recv().await, Some(count));
        worker.shutdown().await;
        assert_eq!(forwarding.await.expect("no panic"), Ok(()));
    });
}

/// Publications are accepted, since their publisher learns what became of them.
#[test]
fn what_a_slow_actor_behind_the_p2p_stream_does_not_read_is_dropped_counted_and_reported() {
    run(async {
        let builder = manual(PlainNetwork::new(), small_streams());
        let (recording, Started { worker, mut p2p, app: _app }) = Recording::of(builder, ["a".to_owned()]);
        worker.p2p_input(connect(1)).expect("accepted");
        worker.p2p_input(graft(1, "a")).expect("accepted");
        worker.settle().await;
        outputs(&mut p2p);
        let (permits, (sender, mut received)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
        let actor = Slow { permits: Arc::clone(&permits), received: sender }.start();
        let forwarding = actix::spawn(p2p.forward(actor.recipient()));
        let mut tickets = Vec::new();
        for number in 0..10 * STREAM as u64 {
            let message = PlainNetwork::message("a", number, "content");
            tickets.push((number, worker.publish(message).expect("accepted")));
            worker.settle().await;
            run_tasks().await;
        }
        let (dropped, kept): (Vec<_>, Vec<_>) = tickets
            .iter()
            .partition(|(_, ticket)| ticket.report().not_sent(DropReason::OutputQueueFull) == 1);
        assert!(dropped.iter().all(|(_, ticket)| ticket.report().queued == 1));
        // As with the app stream. All others are dropped.
        assert!(kept.len() >= STREAM && kept.len() <= STREAM + MAILBOX + 4, "{} are kept", kept.len());
        let counted = "gossipsub_outputs_dropped_total{lane=publish,reason=output_queue_full}";
        assert_eq!(recording.count(counted), dropped.len() as u64);
        permits.add_permits(100_000);
        for (number, _) in &kept {
            assert_eq!(received.recv().await, Some(*number));
        }
        let next = worker.publish(PlainNetwork::message("a", 1_000, "content")).expect("accepted");
        assert_eq!(received.recv().await, Some(1_000), "nothing else is kept");
        assert_eq!(next.report().not_sent(DropReason::OutputQueueFull), 0);
        worker.shutdown().await;
        assert_eq!(forwarding.await.expect("no panic"), Ok(()));
    });
}

#[test]
fn forwarding_ends_with_an_error_when_the_actor_stops() {
    struct Stopping;
    impl Actor for Stopping {
        type Context = Context<Self>;
    }
    impl Handler<DeliveredMessage<PlainNetwork>> for Stopping {
        type Result = ();
        fn handle(&mut self, _: DeliveredMessage<PlainNetwork>, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }
    impl Handler<Output> for Stopping {
        type Result = ();
        fn handle(&mut self, _: Output, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }
    run(async {
        let engine = start(manual(PlainNetwork::new(), small_streams()), &["a"]);
        let Started { worker, p2p, app } = engine;
        let p2p = actix::spawn(p2p.forward(Stopping.start().recipient()));
        let app = actix::spawn(app.forward(Stopping.start().recipient()));
        worker.p2p_input(connect(1)).expect("accepted");
        worker.p2p_input(graft(1, "a")).expect("accepted");
        // Far more than the streams take: they discard what nobody reads.
        assert_eq!(admitted(&worker, 10 * STREAM as u64).await, (10 * STREAM as u64, None));
        worker.app_input(publish("a", 1_000)).expect("accepted");
        worker.p2p_input(subscribe(1, "b")).expect("accepted");
        worker.p2p_input(disconnect(1)).expect("accepted");
        worker.p2p_input(connect(1)).expect("accepted");
        worker.settle().await;
        assert_eq!(p2p.await.expect("no panic"), Err(RecipientStopped));
        assert_eq!(app.await.expect("no panic"), Err(RecipientStopped));
        worker.shutdown().await;
    });
}

#[test]
fn a_relay_that_drops_the_app_stream_goes_on_forwarding() {
    run(async {
        let Started { worker, mut p2p, app } = start(manual(PlainNetwork::new(), small_streams()), &["a"]);
        worker.p2p_input(connect(2)).expect("accepted");
        worker.p2p_input(graft(2, "a")).expect("accepted");
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.settle().await;
        drop(app);
        let messages = 10 * STREAM as u64;
        for number in 2..=messages {
            worker.p2p_input(message(1, "a", number)).expect("nothing waits for the application");
            worker.settle().await;
            assert_eq!(sent_to(&outputs(&mut p2p), 2, "a").last(), Some(&"message"));
        }
        worker.shutdown().await;
    });
}

fn outputs(p2p: &mut actix_gossipsub::P2pOutputs<PlainNetwork>) -> Vec<Output> {
    std::iter::from_fn(|| p2p.try_recv()).collect()
}

#[test]
fn a_publisher_learns_that_nobody_reads_the_p2p_stream() {
    run(async {
        let Started { worker, mut p2p, app: _app } = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for peer in 1..=3 {
            worker.p2p_input(connect(peer)).expect("accepted");
            worker.p2p_input(graft(peer, "a")).expect("accepted");
        }
        worker.settle().await;
        outputs(&mut p2p);
        let tickets: Vec<_> = (1..=2)
            .map(|number| worker.publish(PlainNetwork::message("a", number, "content")).expect("accepted"))
            .collect();
        worker.settle().await;
        let read = p2p.try_recv().expect("the first of three recipients");
        assert_eq!(sent_to(&[read], 1, "a"), ["message"]);
        worker.report_sent(&"a".to_owned(), &PlainNetwork::message("a", 1, "").message_id);
        drop(p2p);
        let reports = [tickets[0].completed().await, tickets[1].completed().await];
        let counts = reports.map(|report| (report.sent, report.not_sent(DropReason::StreamClosed)));
        assert_eq!(counts, [(1, 2), (0, 3)]);

        let ticket = worker.publish(PlainNetwork::message("a", 3, "content")).expect("accepted");
        let report = ticket.completed().await;
        assert_eq!(report.routed, Some(RouteResult::Queued));
        assert_eq!((report.queued, report.not_sent(DropReason::StreamClosed)), (3, 3));
        worker.shutdown().await;
    });
}
