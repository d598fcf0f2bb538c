//! What happened and what was decided, with reasons. Asks and shows; decides nothing.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use serde::Deserialize;

use super::{
    Shown,
    answers::{Event, EventCount, Events, Explanation, TopicMembership},
    ask::{ListQuery, WallClock, limit, query, within},
    lists::running,
    names::{self, Name},
    problem::Problem,
};
use crate::{
    Page, Worker,
    protocol::{EventRecord, PeerTopicStatus},
};

type Answer = Result<HttpResponse, Problem>;

pub(super) async fn explain<N: Shown>(
    request: HttpRequest,
    path: Path<String>,
    worker: Data<Worker<N>>,
) -> Answer {
    let peer: N::Peer = names::read("peer", &path)?;
    let query = ListQuery::read(&request, &["topic"])?;
    let topic: Option<N::Topic> =
        query.topic.as_deref().map(|text| names::read("topic", text)).transpose()?;
    let connected = within(worker.connection_of(&peer)).await?.is_some();
    let score = within(worker.score_of(&peer, Page::first(0))).await?.map(|found| found.score);
    let mut records = worker.decisions_about(&peer);
    if !connected && score.is_none() && records.is_empty() {
        return Err(Problem::unknown("this peer is not connected, and nothing is remembered of it"));
    }
    let clock = WallClock::now(worker.now());
    let membership = match &topic {
        None => None,
        Some(topic) => {
            records.retain(|record| record.topic.as_ref() == Some(topic));
            let known = within(worker.peer_topic_status(&peer, topic)).await?;
            if known.is_none() && records.is_empty() {
                return Err(Problem::unknown("nothing is known of this topic"));
            }
            Some(membership(Name::of(topic), known.unwrap_or_default(), clock))
        }
    };
    Ok(HttpResponse::Ok().json(Explanation {
        peer: Name::of(&peer),
        connected,
        score,
        topic: membership,
        decisions: records.iter().map(|record| event(record, clock)).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    since: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn events<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let EventsQuery { since, limit: wanted } = query(&request)?;
    let wanted = limit(wanted)?;
    running(&worker)?;
    let found = worker.events(since.unwrap_or(0), wanted);
    let clock = WallClock::now(worker.now());
    let last =
        if found.records.len() == wanted { found.records.last().map(|record| record.seq) } else { None };
    Ok(HttpResponse::Ok().json(Events {
        next: last.unwrap_or(found.last),
        events: found.records.iter().map(|record| event(record, clock)).collect(),
    }))
}

pub(super) async fn decisions<N: Shown>(worker: Data<Worker<N>>) -> Answer {
    running(&worker)?;
    let count = |(kind, reason, count): (_, &'static str, _)| EventCount {
        kind,
        reason: Some(reason).filter(|reason| !reason.is_empty()),
        count,
    };
    Ok(HttpResponse::Ok().json(worker.event_counts().into_iter().map(count).collect::<Vec<_>>()))
}

fn event<N: Shown>(record: &EventRecord<N>, clock: WallClock) -> Event {
    Event {
        seq: record.seq,
        time: clock.show(record.time),
        first_time: clock.show(record.first),
        times: record.count,
        kind: record.kind.name(),
        reason: record.kind.reason(),
        message: record.kind.explanation(),
        peer: record.peer.as_ref().map(Name::of),
        topic: record.topic.as_ref().map(Name::of),
        message_id: record.message_id.as_ref().map(Name::of),
        score: record.score,
    }
}

fn membership(topic: Name, known: PeerTopicStatus, clock: WallClock) -> TopicMembership {
    let PeerTopicStatus { joined, subscribed, in_mesh, in_fanout, backed_off_until } = known;
    let backoff = backed_off_until.map(|until| clock.show(until));
    TopicMembership { topic, joined, subscribed, in_mesh, in_fanout, backoff }
}
