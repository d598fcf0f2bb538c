//! These tests use a worker through its actix messages alone: it publishes, joins and answers, sends messages and events to
//! actors, and is supervised.

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Supervisor, WrapFuture};
use actix_gossipsub::{
    DeliveredMessage, DropReason, EngineEvent, EngineStopped, P2pOutput, Refused, RouteResult, Started,
    SubscribeError, Worker,
    messages::{Explain, Join, Leave, Mesh, Publish, Score, Shutdown, SubscribeEvents, SubscribeTopic},
    plain::PlainNetwork,
    protocol::{Event, EventKind, GraftOutcome, PeerDecision},
};
use tokio::sync::{Semaphore, mpsc};

use crate::support::*;

/// An actor that passes on what it receives, once the test gives it a permit for each message.
struct Slow<T> {
    permits: Arc<Semaphore>,
    received: mpsc::UnboundedSender<T>,
}

impl<T: Unpin + 'static> Actor for Slow<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1);
    }
}

impl Handler<DeliveredMessage<PlainNetwork>> for Slow<DeliveredMessage<PlainNetwork>> {
    type Result = ();

    fn handle(&mut self, message: DeliveredMessage<PlainNetwork>, ctx: &mut Self::Context) {
        self.receive(message, ctx);
    }
}

impl Handler<EngineEvent<PlainNetwork>> for Slow<EngineEvent<PlainNetwork>> {
    type Result = ();

    fn handle(&mut self, event: EngineEvent<PlainNetwork>, ctx: &mut Self::Context) {
        self.receive(event, ctx);
    }
}

impl<T: Unpin + 'static> Slow<T> {
    fn receive(&self, message: T, ctx: &mut Context<Self>) {
        // The test may have ended.
        let _ = self.received.send(message);
        let permits = Arc::clone(&self.permits);
        let permit = async move { permits.acquire().await.expect("it is not closed").forget() };
        ctx.wait(permit.into_actor(self));
    }
}

/// An actor with this number of permits, its permits, and what it receives.
fn slow<T: Unpin + 'static>(permits: usize) -> (Addr<Slow<T>>, Arc<Semaphore>, mpsc::UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(permits));
    (Slow { permits: Arc::clone(&permits), received: sender }.start(), permits, receiver)
}

fn full(number: u64) -> actix_gossipsub::FullMessage<PlainNetwork> {
    PlainNetwork::message("a", number, "content")
}

fn topic() -> String {
    "a".to_owned()
}

#[test]
fn a_worker_answers_the_messages_of_an_application() {
    run(async {
        let Started { worker: engine, p2p: _p2p, .. } = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = engine.clone().start();
        let mesh = async || worker.send(Mesh::<PlainNetwork>(topic())).await.expect("the actor runs");
        assert_eq!(mesh().await, Ok(None), "the topic is not joined");
        assert_eq!(worker.send(Join::<PlainNetwork>(topic())).await.expect("the actor runs"), Ok(()));
        for peer in [1, 2] {
            worker.send(connect(peer)).await.expect("the actor runs").expect("accepted");
            worker.send(graft(peer, "a")).await.expect("the actor runs").expect("accepted");
        }
        engine.settle().await;
        assert_eq!(mesh().await, Ok(Some(vec![1, 2])));
        let report = worker.send(Publish::now(full(1))).await.expect("the actor runs").expect("accepted");
        assert_eq!((report.routed, report.queued), (Some(RouteResult::Queued), 2));
        assert_eq!(worker.send(Score::<PlainNetwork>(1)).await, Ok(Some(0.0)));
        assert_eq!(worker.send(Score::<PlainNetwork>(9)).await, Ok(None));
        let answer = worker.send(Explain::<PlainNetwork>(2)).await.expect("the actor runs");
        let explanation = answer.expect("the engine runs");
        assert_eq!(explanation.score.expect("it has a score").score, 0.0);
        let kinds: Vec<_> = explanation.decisions.iter().map(|record| record.kind).collect();
        let grafted = EventKind::Decided(PeerDecision::Graft(GraftOutcome::Grafted));
        assert_eq!(kinds, [EventKind::Decided(PeerDecision::Connected), grafted]);
        assert_eq!(worker.send(Leave::<PlainNetwork>(topic())).await.expect("the actor runs"), Ok(()));
        assert_eq!(mesh().await, Ok(None));

        worker.send(Shutdown).await.expect("the actor runs");
        assert_eq!(engine.wait_for_end().await, Ok(()));
        assert_eq!(mesh().await, Err(EngineStopped));
        assert_eq!(worker.send(Publish::now(full(2))).await.expect("the actor runs"), Err(Refused::Stopped));
        assert_eq!(worker.send(Join::<PlainNetwork>(topic())).await, Ok(Err(Refused::Stopped)));
        assert!(worker.send(Explain::<PlainNetwork>(2)).await.expect("the actor runs").is_err());
        let (reader, _, _received) = slow(0);
        let refused = worker.send(SubscribeTopic::new(topic(), reader.recipient())).await;
        assert_eq!(refused, Ok(Err(SubscribeError::Refused(Refused::Stopped))));
    });
}

#[test]
fn a_publication_by_message_waits_for_room_and_what_waits_is_bounded() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_unsent_publications = 2);
        let Started { worker: engine, p2p: _p2p, .. } = start(manual(PlainNetwork::new(), limits), &["a"]);
        engine.p2p_input(connect(1)).expect("accepted");
        engine.p2p_input(graft(1, "a")).expect("accepted");
        let worker = engine.clone().start();
        let publish = |number| worker.send(Publish::when_room(full(number)));
        for number in 0..2 {
            let report = publish(number).await.expect("the actor runs").expect("accepted");
            assert_eq!(report.routed, Some(RouteResult::Queued));
        }
        // As many wait as are on the way; they are sent in turn.
        let (third, fourth, fifth) = (actix::spawn(publish(2)), actix::spawn(publish(3)), publish(4));
        let refused = fifth.await.expect("the actor runs");
        assert_eq!(refused.err(), Some(Refused::TooManyInputs { waiting: 2 }));
        engine.report_sent(&topic(), &full(0).message_id);
        engine.report_not_sent(&topic(), &full(1).message_id, DropReason::Disconnected);
        for waiting in [third, fourth] {
            let report = waiting.await.expect("no panic").expect("the actor runs").expect("accepted");
            assert_eq!(report.routed, Some(RouteResult::Queued));
        }
        let waiting = actix::spawn(publish(5));
        worker.send(Shutdown).await.expect("the actor runs");
        assert_eq!(waiting.await.expect("no panic").expect("the actor runs"), Err(Refused::Stopped));
    });
}

#[test]
fn an_actor_receives_the_messages_of_its_topic_until_it_stops() {
    run(async {
        let limits = limits();
        let Started { worker: engine, app, .. } = start(manual(PlainNetwork::new(), limits), &["b"]);
        engine.p2p_input(connect(1)).expect("accepted");
        let worker = engine.clone().start();
        let (reader, _, mut received) = slow::<DeliveredMessage<PlainNetwork>>(100);
        let subscribe = SubscribeTopic::new(topic(), reader.clone().recipient());
        assert_eq!(worker.send(subscribe).await.expect("the actor runs"), Ok(()));
        for number in 0..10 {
            engine.p2p_input(message(1, "a", number)).expect("accepted");
            engine.p2p_input(message(1, "b", number)).expect("accepted");
        }
        for number in 0..10 {
            let DeliveredMessage(message) = received.recv().await.expect("it runs");
            assert_eq!((&*message.topic, message.message_id.number), ("a", number));
        }
        engine.settle().await;
        assert_eq!(app.len(), 10, "those of the other topic");

        reader.do_send(Stop);
        while reader.connected() {
            tokio::task::yield_now().await;
        }
        engine.p2p_input(message(1, "a", 10)).expect("accepted");
        engine.settle().await;
        while engine.is_subscribed(&topic()) {
            tokio::task::yield_now().await;
        }
        worker.send(Shutdown).await.expect("the actor runs");
    });
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl<T: Unpin + 'static> Handler<Stop> for Slow<T> {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.terminate();
    }
}

#[test]
fn a_recipient_that_does_not_keep_up_is_sent_the_number_of_events_that_it_missed() {
    const JOINS: usize = 100;
    const UNREAD: usize = 8;
    run(async {
        let Started { worker: engine, .. } = start(manual(PlainNetwork::new(), limits()).arbiters(0), &[]);
        let worker = engine.clone().start();
        let (reader, permits, mut received) = slow::<EngineEvent<PlainNetwork>>(0);
        let subscribe = SubscribeEvents { recipient: reader.recipient(), max_unread: UNREAD };
        worker.send(subscribe).await.expect("the actor runs");
        for number in 0..JOINS {
            engine.app_input(join(&format!("topic {number}"))).expect("accepted");
            engine.settle().await;
        }
        engine.tick().await;
        permits.add_permits(10 * JOINS);
        let (mut seen, mut missed, mut gaps) = (0, 0, 0);
        while seen + missed < JOINS + 1 {
            match received.recv().await.expect("it runs") {
                EngineEvent::Record(record) => {
                    assert_eq!(record.kind, EventKind::Joined);
                    assert_eq!(gaps, 0, "the gap is behind what was queued before it");
                    assert_eq!(record.topic, Some(format!("topic {seen}")), "in order");
                    seen += 1;
                }
                EngineEvent::Missed { count } => {
                    missed += count as usize;
                    gaps += 1;
                }
                event => panic!("{event:?}"),
            }
        }
        // In the queue, in the mailbox, in the handler, and on the way between them.
        assert!((UNREAD..=UNREAD + 4).contains(&seen), "{seen}");
        assert_eq!(gaps, 1);
        engine.tick().await;
        let heartbeat = EngineEvent::Event(Event::Heartbeat { tick: 2 });
        assert_eq!(received.recv().await, Some(heartbeat), "the subscriber has caught up");
        worker.send(Shutdown).await.expect("the actor runs");
        // It ends with its address, which the engine's events had.
        while received.recv().await.is_some() {}
    });
}

#[test]
fn two_subscribers_get_the_same_events_and_a_dropped_stream_gets_none() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = &engine.worker;
        let (mut first, mut second) = (worker.subscribe_events(10), worker.subscribe_events(0));
        for peer in 1..=2 {
            worker.p2p_input(connect(peer)).expect("accepted");
        }
        worker.settle().await;
        let kinds = |events: &[EngineEvent<PlainNetwork>]| -> Vec<String> {
            let kind = |event: &EngineEvent<PlainNetwork>| match event {
                EngineEvent::Record(record) => format!("{} {:?}", record.kind.name(), record.peer),
                event => format!("{event:?}"),
            };
            events.iter().map(kind).collect()
        };
        let read = |stream: &mut actix_gossipsub::EngineEvents<PlainNetwork>| {
            kinds(&std::iter::from_fn(|| stream.try_recv()).collect::<Vec<_>>())
        };
        assert_eq!(read(&mut first), ["ADD_PEER Some(1)", "ADD_PEER Some(2)"]);
        assert_eq!(read(&mut second), ["ADD_PEER Some(1)", "Missed { count: 1 }"]);
        drop(second);
        worker.p2p_input(disconnect(1)).expect("accepted");
        worker.settle().await;
        assert_eq!(read(&mut first), ["REMOVE_PEER Some(1)"]);
        worker.shutdown().await;
        assert_eq!(first.recv().await, None);
        assert_eq!(worker.subscribe_events(1).recv().await, None);
    });
}

/// A message of the test, for which the worker's actor stops its context.
impl Handler<Stop> for Worker<PlainNetwork> {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[test]
fn a_supervised_worker_is_restarted_without_harm() {
    run(async {
        let Started { worker: engine, mut p2p, .. } = start(manual(PlainNetwork::new(), limits()), &[]);
        engine.p2p_input(connect(1)).expect("accepted");
        let actor = engine.clone();
        let worker = Supervisor::start(|_| actor);
        let (reader, _, mut received) = slow::<DeliveredMessage<PlainNetwork>>(100);
        let subscribe = SubscribeTopic::new(topic(), reader.recipient());
        worker.send(subscribe).await.expect("the actor runs").expect("the engine runs");
        for number in 0..3 {
            worker.send(message(1, "a", number)).await.expect("the actor runs").expect("accepted");
            // The answer to what the actor has begun comes after its restart.
            let published = actix::spawn(worker.send(Publish::when_room(full(100 + number))));
            tokio::task::yield_now().await;
            worker.send(Stop).await.expect("the actor runs");
            let report = published.await.expect("no panic").expect("the actor has taken it");
            assert_eq!(report.map(|report| report.routed), Ok(Some(RouteResult::NoPeers)));
            assert_eq!(received.recv().await.expect("it runs").message_id.number, number);
        }
        assert_eq!(worker.send(Mesh::<PlainNetwork>(topic())).await, Ok(Ok(Some(vec![]))));
        worker.send(Shutdown).await.expect("the actor runs");
        let mut outputs = Vec::new();
        while let Some(output) = p2p.recv().await {
            outputs.push(output);
        }
        let kinds = sent_to(&outputs, 1, "a");
        assert_eq!(kinds, ["subscribe", "unsubscribe"], "the topic was joined once and left at the end");
        assert!(!outputs.iter().any(|output| matches!(output, P2pOutput::Disconnect { .. })));
    });
}
