//! The event log: recent events and decisions, each with its reason and the score at that time.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Response, check_running, with_timeout};
use crate::{
    Page, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        paging::check_limit,
        problem::{BadRequest, NotFound, Problem, Unavailable},
        request::Query,
        responses::{Event, EventCount, Events, Explanation, PeerTopicStatus},
        time::WallClock,
    },
    protocol::{self, EventRecord},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainQuery {
    /// Only decisions about this topic; the response then includes the peer's status in it.
    topic: Option<String>,
}

/// The last decisions about one peer
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/explain/{peer}",
    params(("peer" = String, Path, description = "The peer, as text"), ExplainQuery),
    responses(
        (status = 200, description = "The peer's status and decisions", body = Explanation),
        BadRequest,
        NotFound,
        Unavailable,
    )
)]
pub(super) async fn explain<N: Displayable>(
    path: Path<String>,
    query: Query<ExplainQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let topic: Option<N::Topic> =
        query.topic.as_deref().map(|text| identifier::parse("topic", text)).transpose()?;
    let connected = with_timeout(worker.connection_of(&peer)).await?.is_some();
    let score = with_timeout(worker.score_of(&peer, Page::first(0))).await?;
    let score = score.map(|breakdown| breakdown.score);
    let mut records = worker.decisions_about(&peer);
    if !connected && score.is_none() && records.is_empty() {
        return Err(Problem::not_found("this peer is not connected, and no decision about it is retained"));
    }
    let clock = WallClock::now(worker.now());
    let topic = match &topic {
        None => None,
        Some(topic) => {
            records.retain(|record| record.topic.as_ref() == Some(topic));
            let status = with_timeout(worker.peer_topic_status(&peer, topic)).await?;
            if status.is_none() && records.is_empty() {
                return Err(Problem::not_found("the engine does not know this topic"));
            }
            Some(topic_status(Identifier::new(topic), status.unwrap_or_default(), clock))
        }
    };
    Ok(HttpResponse::Ok().json(Explanation {
        peer: Identifier::new(&peer),
        connected,
        score,
        topic,
        decisions: records.iter().map(|entry| record(entry, clock)).collect(),
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events with a greater sequence number. Default: 0.
    since: Option<u64>,
    /// The maximum number of events, 1 to 10,000. Default: 1,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
}

/// The recent events
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/events",
    params(EventsQuery),
    responses(
        (status = 200, description = "The events, oldest first", body = Events),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn events<N: Displayable>(query: Query<EventsQuery>, worker: Data<Worker<N>>) -> Response {
    let limit = check_limit(query.limit)?;
    check_running(&worker)?;
    let found = worker.events(query.since.unwrap_or(0), limit);
    let clock = WallClock::now(worker.now());
    let last = found.records.last().filter(|_| found.records.len() == limit);
    Ok(HttpResponse::Ok().json(Events {
        next: last.map_or(found.last, |record| record.seq),
        events: found.records.iter().map(|entry| record(entry, clock)).collect(),
    }))
}

/// The number of events since the start, by type and reason
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/decisions",
    responses((status = 200, description = "Types and reasons with their counts", body = [EventCount]), Unavailable)
)]
pub(super) async fn decisions<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    check_running(&worker)?;
    let count = |(kind, reason, count): (_, &'static str, _)| EventCount {
        kind,
        reason: Some(reason).filter(|reason| !reason.is_empty()),
        count,
    };
    Ok(HttpResponse::Ok().json(worker.event_counts().into_iter().map(count).collect::<Vec<_>>()))
}

/// A record of the event log, as it is sent.
pub(in crate::http) fn record<N: Displayable>(record: &EventRecord<N>, clock: WallClock) -> Event {
    Event {
        seq: record.seq,
        time: clock.format(record.time),
        first_time: clock.format(record.first),
        count: record.count,
        kind: record.kind.name(),
        reason: record.kind.reason(),
        message: record.kind.explanation(),
        peer: record.peer.as_ref().map(Identifier::new),
        topic: record.topic.as_ref().map(Identifier::new),
        message_id: record.message_id.as_ref().map(Identifier::new),
        score: record.score,
    }
}

fn topic_status(topic: Identifier, status: protocol::PeerTopicStatus, clock: WallClock) -> PeerTopicStatus {
    let protocol::PeerTopicStatus { joined, subscribed, in_mesh, in_fanout, backed_off_until } = status;
    let backoff_until = backed_off_until.map(|until| clock.format(until));
    PeerTopicStatus { topic, joined, subscribed, in_mesh, in_fanout, backoff_until }
}
