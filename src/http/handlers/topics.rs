//! What the topics know: subscribers, mesh, fanout, backoffs and message cache. Paths and fields are those of
//! the Octez DAL node.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::{Response, check_running, with_timeout};
use crate::{
    PageOf, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        paging::{PageQuery, flag, flag_schema, next_page, page_query, respond},
        problem::{BadRequest, NotFound, Problem, Unavailable},
        request::Query,
        responses::{Backoff, CacheTick, TopicBackoffs, TopicCacheSize, TopicFanout, TopicPeers},
        time::WallClock,
    },
};

/// The joined topics
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/topics",
    params(PageQuery),
    responses(
        (status = 200, description = "The topics, ascending", body = [Identifier]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn topics<N: Displayable>(
    request: HttpRequest,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = query.page("topic")?;
    check_running(&worker)?;
    let identify = |topic: &N::Topic| Identifier::new(topic);
    Ok(respond(&request, worker.topics(&page), identify, |topic| identify(&topic)))
}

page_query! {
    SubscribersQuery {
        /// Also list topics that are not joined.
        #[param(schema_with = flag_schema, required = false)]
        #[serde(default, deserialize_with = "flag")]
        all: bool,
    }
}

/// The connected subscribers of each topic
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/topics/peers",
    params(SubscribersQuery),
    responses(
        (status = 200, description = "Topics and their subscribers, ascending", body = [TopicPeers]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn subscribers<N: Displayable>(
    request: HttpRequest,
    query: Query<SubscribersQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let topics = with_timeout(worker.subscribers(query.page("topic")?, !query.all)).await?;
    Ok(respond(&request, topics, |(topic, _)| Identifier::new(topic), topic_peers::<N>))
}

page_query! {
    MeshQuery {
        /// Only this topic.
        topic: Option<String>,
    }
}

/// The mesh of each joined topic
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/mesh",
    params(MeshQuery),
    responses(
        (status = 200, description = "Topics and their mesh peers, ascending", body = [TopicPeers]),
        BadRequest,
        NotFound,
        Unavailable,
    )
)]
pub(super) async fn mesh<N: Displayable>(
    request: HttpRequest,
    query: Query<MeshQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = query.page("topic")?;
    let Some(topic) = &query.topic else {
        let meshes = with_timeout(worker.mesh(page)).await?;
        return Ok(respond(&request, meshes, |(topic, _)| Identifier::new(topic), topic_peers::<N>));
    };
    let topic: N::Topic = identifier::parse("topic", topic)?;
    let peers = with_timeout(worker.mesh_of(&topic)).await?;
    let peers = peers.ok_or_else(|| Problem::not_found("this topic is not joined"))?;
    Ok(HttpResponse::Ok().json([topic_peers::<N>((topic, peers))]))
}

/// The fanout of each topic that the application publishes to without having joined it
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/fanout",
    params(PageQuery),
    responses(
        (status = 200, description = "Topics and their fanout peers, ascending", body = [TopicFanout]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn fanout<N: Displayable>(
    request: HttpRequest,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let fanouts = with_timeout(worker.fanout(query.page("topic")?)).await?;
    let clock = WallClock::now(worker.now());
    Ok(respond(
        &request,
        fanouts,
        |(topic, _)| Identifier::new(topic),
        |(topic, fanout)| TopicFanout {
            topic: Identifier::new(&topic),
            peers: fanout.peers.iter().map(Identifier::new).collect(),
            last_publication_time: clock.format(fanout.last_published),
        },
    ))
}

page_query! {
    BackoffsQuery {
        /// Only the backoffs of this peer.
        peer: Option<String>,
    }
}

/// The peers that may not be grafted yet, by topic
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/backoffs",
    params(BackoffsQuery),
    responses(
        (status = 200, description = "Topics, ascending, with their backoffs", body = [TopicBackoffs]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn backoffs<N: Displayable>(
    request: HttpRequest,
    query: Query<BackoffsQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = query.page("topic")?;
    let topics = match &query.peer {
        None => with_timeout(worker.backoffs(page)).await?,
        Some(peer) => {
            let peer: N::Peer = identifier::parse("peer", peer)?;
            let PageOf { items, more } = with_timeout(worker.backoffs_of(&peer, page)).await?;
            let items = items.into_iter().map(|(topic, until)| (topic, vec![(peer.clone(), until)]));
            PageOf { items: items.collect(), more }
        }
    };
    let clock = WallClock::now(worker.now());
    let backoff =
        |(peer, until): &(N::Peer, _)| Backoff { peer: Identifier::new(peer), backoff: clock.format(*until) };
    Ok(respond(
        &request,
        topics,
        |(topic, _)| Identifier::new(topic),
        |(topic, backoffs)| TopicBackoffs {
            topic: Identifier::new(&topic),
            backoffs: backoffs.iter().map(backoff).collect(),
        },
    ))
}

/// The messages cached to answer IWANTs, by heartbeat
///
/// A page is one of topics: it lists their messages in all heartbeats, the newest heartbeat last.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/message_cache",
    params(PageQuery),
    responses(
        (status = 200, description = "Heartbeats, ascending, with message counts by topic", body = [CacheTick]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn message_cache<N: Displayable>(
    request: HttpRequest,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let PageOf { items, more } = with_timeout(worker.message_cache(query.page("topic")?)).await?;
    let mut response = HttpResponse::Ok();
    if let Some((last, _)) = items.last().filter(|_| more) {
        response.insert_header(next_page(&request, &Identifier::new(last)));
    }
    let mut ticks: BTreeMap<u64, Vec<TopicCacheSize>> = BTreeMap::new();
    for (topic, counts) in items {
        for (tick, num_ids) in counts {
            ticks.entry(tick).or_default().push(TopicCacheSize { topic: Identifier::new(&topic), num_ids });
        }
    }
    let tick = |(tick, per_topic_cache_size)| CacheTick { tick, per_topic_cache_size };
    Ok(response.json(ticks.into_iter().map(tick).collect::<Vec<_>>()))
}

fn topic_peers<N: Displayable>((topic, peers): (N::Topic, Vec<N::Peer>)) -> TopicPeers {
    TopicPeers { topic: Identifier::new(&topic), peers: peers.iter().map(Identifier::new).collect() }
}
