//! The lists of the Octez DAL node: what each of its questions answers here. Asks and shows; decides nothing.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::{
    Shown,
    answers::{
        Backoff, CacheTick, Connection, PeerConnection, PeerScore, ReconnectionDelay, TopicBackoffs,
        TopicCacheSize, TopicFanout, TopicPeers,
    },
    ask::{ListQuery, WallClock, list, within},
    names::{self, Name},
    problem::Problem,
};
use crate::{PageOf, Worker, protocol::ConnectionView};

type Answer = Result<HttpResponse, Problem>;

pub(super) async fn topics<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page("topic")?;
    // Known without asking: an engine that has ended would answer too.
    running(&worker)?;
    Ok(list(&request, worker.topics(&page), Name::of, |topic| Name::of(&topic)))
}

pub(super) async fn topics_peers<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let query = ListQuery::read(&request, &["all"])?;
    let (page, all) = (query.page("topic")?, query.all()?);
    let found = within(worker.subscribers(page, !all)).await?;
    Ok(list(&request, found, |(topic, _)| Name::of(topic), topic_peers::<N>))
}

pub(super) async fn mesh<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let query = ListQuery::read(&request, &["topic"])?;
    let page = query.page("topic")?;
    let Some(topic) = &query.topic else {
        let found = within(worker.mesh(page)).await?;
        return Ok(list(&request, found, |(topic, _)| Name::of(topic), topic_peers::<N>));
    };
    let topic: N::Topic = names::read("topic", topic)?;
    let peers = within(worker.mesh_of(&topic)).await?;
    let peers = peers.ok_or_else(|| Problem::unknown("this topic is not joined"))?;
    Ok(HttpResponse::Ok().json([topic_peers::<N>((topic, peers))]))
}

pub(super) async fn fanout<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page("topic")?;
    let found = within(worker.fanout(page)).await?;
    let clock = WallClock::now(worker.now());
    Ok(list(
        &request,
        found,
        |(topic, _)| Name::of(topic),
        |(topic, fanout)| TopicFanout {
            topic: Name::of(&topic),
            peers: fanout.peers.iter().map(Name::of).collect(),
            last_publication_time: clock.show(fanout.last_published),
        },
    ))
}

pub(super) async fn connections<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let query = ListQuery::read(&request, &["topics"])?;
    let (page, with_topics) = (query.page("peer")?, query.topics.unwrap_or(true));
    let found = within(worker.connections(page)).await?;
    Ok(list(
        &request,
        found,
        |(peer, _)| Name::of(peer),
        |(peer, view)| PeerConnection { peer: Name::of(&peer), connection: connection(&view, with_topics) },
    ))
}

pub(super) async fn scores<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page("peer")?;
    running(&worker)?;
    let show = |(peer, score): (N::Peer, f64)| PeerScore { peer: Name::of(&peer), score };
    Ok(list(&request, worker.scores(&page), |(peer, _)| Name::of(peer), show))
}

pub(super) async fn backoffs<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page("topic")?;
    let found = within(worker.backoffs(page)).await?;
    let clock = WallClock::now(worker.now());
    let backoff =
        |(peer, until): &(N::Peer, _)| Backoff { peer: Name::of(peer), backoff: clock.show(*until) };
    Ok(list(
        &request,
        found,
        |(topic, _)| Name::of(topic),
        |(topic, backoffs)| TopicBackoffs {
            topic: Name::of(&topic),
            backoffs: backoffs.iter().map(backoff).collect(),
        },
    ))
}

/// A page is one of topics; what is answered is by heartbeat, newest last.
pub(super) async fn message_cache<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page("topic")?;
    let PageOf { items, more } = within(worker.message_cache(page)).await?;
    let mut answer = HttpResponse::Ok();
    if let Some((last, _)) = items.last().filter(|_| more) {
        answer.insert_header(names::next_page(&super::ask::kept_query(&request), &Name::of(last).text()));
    }
    let mut ticks: BTreeMap<u64, Vec<TopicCacheSize>> = BTreeMap::new();
    for (topic, slots) in items {
        for (tick, num_ids) in slots {
            ticks.entry(tick).or_default().push(TopicCacheSize { topic: Name::of(&topic), num_ids });
        }
    }
    let tick = |(tick, per_topic_cache_size)| CacheTick { tick, per_topic_cache_size };
    Ok(answer.json(ticks.into_iter().map(tick).collect::<Vec<_>>()))
}

pub(super) async fn reconnection_delays<N: Shown>(request: HttpRequest, worker: Data<Worker<N>>) -> Answer {
    let page = ListQuery::read(&request, &[])?.page::<String>("point")?;
    let interval = worker.limits().heartbeat_interval;
    let delay = |(point, ticks): (N::Point, i64)| {
        let wait = interval.saturating_mul(u32::try_from(ticks.max(0)).unwrap_or(u32::MAX));
        ReconnectionDelay { point: Name::of(&point), delay: duration(wait) }
    };
    let delays = within(worker.reconnection_delays()).await?.into_iter().map(delay);
    let text = |delay: &ReconnectionDelay| delay.point.text();
    // In the order of their texts, by which pages go on.
    let mut delays: Vec<_> = delays.filter(|d| page.after.as_ref().is_none_or(|a| text(d) > *a)).collect();
    delays.sort_by_key(text);
    let more = delays.len() > page.limit;
    delays.truncate(page.limit);
    Ok(list(&request, PageOf { items: delays, more }, |delay| delay.point.clone(), |delay| delay))
}

fn topic_peers<N: Shown>((topic, peers): (N::Topic, Vec<N::Peer>)) -> TopicPeers {
    TopicPeers { topic: Name::of(&topic), peers: peers.iter().map(Name::of).collect() }
}

pub(super) fn connection<N: Shown>(view: &ConnectionView<N>, with_topics: bool) -> Connection {
    let ConnectionView { topics, direct, outbound, bootstrap, .. } = view;
    let topics = topics.iter().filter(|_| with_topics).map(Name::of).collect();
    Connection { topics, direct: *direct, outbound: *outbound, bootstrap: *bootstrap }
}

pub(super) fn running<N: Shown>(worker: &Worker<N>) -> Result<(), Problem> {
    if worker.is_ended() { Err(crate::EngineStopped.into()) } else { Ok(()) }
}

/// To the millisecond: `1m 5s`.
fn duration(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}
