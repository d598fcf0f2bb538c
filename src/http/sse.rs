//! The stream of delivered messages and engine events as server-sent events (`text/event-stream`).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::web::Bytes;
use futures_core::Stream;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{
    Displayable,
    handlers::events::record,
    identifier::Identifier,
    messages::{Reader, ReaderItem},
    responses::{EngineNotice, Missed},
    time::WallClock,
};
use crate::{EngineEvent, EngineEvents, Worker, metrics::StreamItem, protocol::Event};

/// How often a comment is sent, so that proxies keep the connection and a reader that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The most unread engine events of one reader.
pub(super) const MAX_UNREAD_EVENTS: usize = 1_024;

/// An event of the stream. The JSON has no line breaks, so it is one line of data.
pub(super) fn event(name: &str, data: &impl Serialize) -> Bytes {
    // Strings, numbers and nulls: nothing that JSON can't have.
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The body of the stream. It ends with the engine, or with [`Messages::end`](super::Messages::end), when all is read.
pub(super) struct EventStream<N: Displayable> {
    worker: Worker<N>,
    messages: Reader<N>,
    events: Option<EngineEvents<N>>,
    /// Events about other topics are left out.
    topic: Option<N::Topic>,
    ended: Pin<Box<dyn Future<Output = ()>>>,
    keep_alive: Interval,
    /// Whether events come before messages at the next poll: they take turns.
    events_first: bool,
    is_over: bool,
}

impl<N: Displayable> EventStream<N> {
    pub(super) fn new(
        worker: &Worker<N>,
        messages: Reader<N>,
        with_events: bool,
        topic: Option<N::Topic>,
    ) -> Self {
        // Its first tick is at once: a reader sees that the stream has begun.
        let mut keep_alive = interval(KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let engine = worker.clone();
        let ended = Box::pin(async move {
            // How the engine ended is no matter of its readers.
            let _ = engine.wait_for_end().await;
        });
        Self {
            worker: worker.clone(),
            messages,
            events: with_events.then(|| worker.subscribe_events(MAX_UNREAD_EVENTS)),
            topic,
            ended,
            keep_alive,
            events_first: false,
            is_over: false,
        }
    }

    fn poll_message(&self, cx: &Context<'_>) -> Poll<Bytes> {
        self.messages.poll_next(cx).map(|unread| match unread {
            ReaderItem::Message(message) => message,
            ReaderItem::Missed(messages) => event("missed", &Missed { messages, events: 0 }),
        })
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(events) = &mut self.events else { return Poll::Pending };
        loop {
            let Some(next) = ready!(Pin::new(&mut *events).poll_next(cx)) else {
                self.events = None;
                return Poll::Pending;
            };
            let about = match &next {
                EngineEvent::Record(record) => record.topic.as_ref(),
                EngineEvent::Event(event) => topic_of(event),
                EngineEvent::Missed { .. } => None,
            };
            let is_missed = matches!(next, EngineEvent::Missed { .. });
            if is_missed || self.topic.is_none() || self.topic.as_ref() == about {
                return Poll::Ready(encode(&self.worker, &next));
            }
        }
    }
}

impl<N: Displayable> Stream for EventStream<N> {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.is_over {
            return Poll::Ready(None);
        }
        // What is unread when the streams end is sent; nothing comes in behind it.
        if stream.messages.is_over() {
            stream.events = None;
        }
        stream.events_first = !stream.events_first;
        let mut next = Poll::Pending;
        for events in [stream.events_first, !stream.events_first] {
            if next.is_pending() {
                next = if events { stream.poll_event(cx) } else { stream.poll_message(cx) };
            }
        }
        // Not polled again once it is ready: then the stream is over.
        if next.is_pending() && (stream.messages.is_over() || stream.ended.as_mut().poll(cx).is_ready()) {
            stream.is_over = true;
            next = Poll::Ready(Bytes::from_static(b"event: end\ndata: {}\n\n"));
        }
        if next.is_pending() && stream.keep_alive.poll_tick(cx).is_ready() {
            next = Poll::Ready(Bytes::from_static(b": keep-alive\n\n"));
        }
        next.map(|bytes| Some(Ok(bytes)))
    }
}

fn encode<N: Displayable>(worker: &Worker<N>, next: &EngineEvent<N>) -> Bytes {
    match next {
        EngineEvent::Record(entry) => event("decision", &record(entry, WallClock::now(worker.now()))),
        EngineEvent::Event(happened) => event("engine", &notice(happened)),
        EngineEvent::Missed { count } => {
            worker.count_unstreamed(StreamItem::Event, *count);
            event("missed", &Missed { messages: 0, events: *count })
        }
    }
}

fn topic_of<N: Displayable>(event: &Event<N>) -> Option<&N::Topic> {
    match event {
        Event::PublishedToNoPeers { topic }
        | Event::TopicRestarted { topic }
        | Event::TopicGivenUp { topic } => Some(topic),
        _ => None,
    }
}

fn notice<N: Displayable>(event: &Event<N>) -> EngineNotice {
    let of_peer = |kind, peer: &N::Peer| EngineNotice {
        kind,
        peer: Some(Identifier::new(peer)),
        ..EngineNotice::default()
    };
    let of_topic = |kind, topic: &N::Topic| EngineNotice {
        kind,
        topic: Some(Identifier::new(topic)),
        ..EngineNotice::default()
    };
    let of_tick = |kind, tick| EngineNotice { kind, tick: Some(tick), ..EngineNotice::default() };
    match event {
        Event::Heartbeat { tick } => of_tick("heartbeat", *tick),
        Event::HeartbeatSkipped { tick } => of_tick("heartbeat_skipped", *tick),
        Event::SubscribeTopicCapExceeded { peer, .. } => of_peer("subscription_limit", peer),
        Event::InputRefused { reason, .. } => {
            EngineNotice { kind: "input_refused", reason: Some(reason), ..EngineNotice::default() }
        }
        Event::SlowPeer { peer } => of_peer("slow_peer", peer),
        Event::ProtocolViolation { peer } => of_peer("protocol_violation", peer),
        Event::LowScore { peer, score, .. } => {
            EngineNotice { score: Some(*score), ..of_peer("low_score", peer) }
        }
        Event::PublishedToNoPeers { topic } => of_topic("published_to_no_peers", topic),
        Event::TopicRestarted { topic } => of_topic("topic_restarted", topic),
        Event::TopicGivenUp { topic } => of_topic("topic_given_up", topic),
        // The observer's alone: inputs are not sent to subscribers.
        Event::P2pInput(_) | Event::AppInput(_) => EngineNotice { kind: "other", ..EngineNotice::default() },
    }
}
