//! What the supervisor knows of peers: connections, reconnection delays, scores and their components.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};

use super::{Response, check_running, with_timeout};
use crate::{
    PageOf, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        paging::{PageQuery, next_page, page_query, respond},
        problem::{BadRequest, NotFound, Problem, Unavailable},
        request::Query,
        responses::{
            Connection, PeerConnection, PeerScore, ReconnectionDelay, ScoreBreakdown, ThresholdStatus,
            TopicScore,
        },
        time::{WallClock, format_duration},
    },
    protocol::{ConnectionView, Threshold, TopicBreakdown},
};

page_query! {
    ConnectionsQuery {
        /// Whether to list the topics of each peer. Default: true.
        topics: Option<bool>,
    }
}

/// The connected peers
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/connections",
    params(ConnectionsQuery),
    responses(
        (status = 200, description = "The peers, ascending", body = [PeerConnection]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn connections<N: Displayable>(
    request: HttpRequest,
    query: Query<ConnectionsQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let with_topics = query.topics.unwrap_or(true);
    let connections = with_timeout(worker.connections(query.page("peer")?)).await?;
    Ok(respond(
        &request,
        connections,
        |(peer, _)| Identifier::new(peer),
        |(peer, view)| PeerConnection {
            peer: Identifier::new(&peer),
            connection: connection(&view, with_topics),
        },
    ))
}

/// The points that could not be reached, and when they may be dialled again
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/reconnection_delays",
    params(PageQuery),
    responses(
        (status = 200, description = "The points, ascending by their text", body = [ReconnectionDelay]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn reconnection_delays<N: Displayable>(
    request: HttpRequest,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = query.page::<String>("point")?;
    let interval = worker.limits().heartbeat_interval;
    let delay = |(point, ticks): (N::Point, i64)| {
        let wait = interval.saturating_mul(u32::try_from(ticks.max(0)).unwrap_or(u32::MAX));
        ReconnectionDelay { point: Identifier::new(&point), delay: format_duration(wait) }
    };
    let delays = with_timeout(worker.reconnection_delays()).await?.into_iter().map(delay);
    let text = |delay: &ReconnectionDelay| delay.point.text();
    // Points have no order of their own: pages follow the order of their texts.
    let mut delays: Vec<_> = delays.filter(|d| page.after.as_ref().is_none_or(|a| text(d) > *a)).collect();
    delays.sort_by_key(text);
    let more = delays.len() > page.limit;
    delays.truncate(page.limit);
    Ok(respond(&request, PageOf { items: delays, more }, |delay| delay.point.clone(), |delay| delay))
}

/// The scores of connected peers, and the retained scores of disconnected ones
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/scores",
    params(PageQuery),
    responses(
        (status = 200, description = "The peers, ascending, with their scores", body = [PeerScore]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn scores<N: Displayable>(
    request: HttpRequest,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = query.page("peer")?;
    check_running(&worker)?;
    let convert = |(peer, score): (N::Peer, f64)| PeerScore { peer: Identifier::new(&peer), score };
    Ok(respond(&request, worker.scores(&page), |(peer, _)| Identifier::new(peer), convert))
}

/// The components of one peer's score
///
/// A page is one of topics: `topics` lists only its topics, the other fields do not depend on it.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/scores/{peer}",
    params(("peer" = String, Path, description = "The peer, as text"), PageQuery),
    responses(
        (status = 200, description = "The score and its components", body = ScoreBreakdown),
        BadRequest,
        NotFound,
        Unavailable,
    )
)]
pub(super) async fn score<N: Displayable>(
    request: HttpRequest,
    path: Path<String>,
    query: Query<PageQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let breakdown = with_timeout(worker.score_of(&peer, query.page("topic")?)).await?;
    let breakdown = breakdown
        .ok_or_else(|| Problem::not_found("this peer is not connected and has no retained score"))?;
    let connected = with_timeout(worker.connection_of(&peer)).await?;
    let clock = WallClock::now(worker.now());
    let mut response = HttpResponse::Ok();
    if let Some((last, _)) = breakdown.topics.last_key_value().filter(|_| breakdown.more_topics) {
        response.insert_header(next_page(&request, &Identifier::new(last)));
    }
    let threshold = |threshold: Threshold| {
        Some(ThresholdStatus {
            name: threshold.name(),
            value: threshold.value(&worker.limits())?,
            below: breakdown.below.contains(&threshold),
            effect: threshold.refusal(),
        })
    };
    let topic = |(topic, part)| topic_score(Identifier::new(topic), part);
    Ok(response.json(ScoreBreakdown {
        peer: Identifier::new(&peer),
        score: breakdown.score,
        connection: connected.map(|view| connection(&view, true)),
        retained_until: breakdown.expires.map(|time| clock.format(time)),
        topics_sum: breakdown.topics_sum,
        topics: breakdown.topics.iter().map(topic).collect(),
        p5: breakdown.p5,
        p6: breakdown.p6,
        p7: breakdown.p7,
        application_score: breakdown.application_score,
        behaviour_penalty: breakdown.behaviour_penalty,
        thresholds: Threshold::ALL.into_iter().filter_map(threshold).collect(),
    }))
}

fn connection<N: Displayable>(view: &ConnectionView<N>, with_topics: bool) -> Connection {
    let ConnectionView { topics, direct, outbound, bootstrap, floodsub, .. } = view;
    let topics = topics.iter().filter(|_| with_topics).map(Identifier::new).collect();
    Connection { topics, direct: *direct, outbound: *outbound, bootstrap: *bootstrap, floodsub: *floodsub }
}

fn topic_score(topic: Identifier, part: &TopicBreakdown) -> TopicScore {
    let TopicBreakdown { weight, p1, p2, p3, p3b, p4, total, ref counters } = *part;
    TopicScore {
        topic,
        weight,
        total,
        p1,
        p2,
        p3,
        p3b,
        p4,
        time_in_mesh: counters.mesh.map_or(0.0, |(_, during)| during.as_secs_f64()),
        first_message_deliveries: counters.first,
        mesh_message_deliveries: counters.delivered,
        mesh_message_deliveries_active: counters.active,
        mesh_failure_penalty: counters.failure,
        invalid_message_deliveries: counters.invalid,
    }
}
