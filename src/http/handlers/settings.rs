//! The administrative endpoints that change settings of a running engine: direct peers, blocked peers, and the score
//! parameters of a topic.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::with_timeout;
use crate::{
    ChangeRefused, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        problem::{BadRequest, Problem, Unavailable},
        responses::Done,
    },
    limits::TopicScoreLimits,
};

type Response = Result<HttpResponse, Problem>;

/// How long a peer is blocked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    /// The time in seconds.
    seconds: u64,
}

/// The score parameters of a topic. Fields of `parameters` that are missing have their defaults, not their values in force.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicScore {
    /// TopicWeight. At least 0.
    weight: f64,
    /// P1 to P4, with the names of a configuration file.
    #[schema(value_type = Object)]
    parameters: TopicScoreLimits,
}

/// The peers that the application made direct peers
#[utoipa::path(
    get,
    path = "/p2p/peers/direct",
    responses((status = 200, description = "The peers, ascending", body = [Identifier]))
)]
pub(super) async fn direct_peers<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    Ok(HttpResponse::Ok().json(worker.direct_peers()))
}

/// Makes a peer a direct peer
///
/// Every message is forwarded to it, it is in no mesh, and it is dialled whenever it is not connected. The connection that it
/// has is included.
#[utoipa::path(
    put,
    path = "/p2p/peers/direct/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    responses((status = 200, description = "It is a direct peer", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn add_direct<N: Displayable>(path: Path<String>, worker: Data<Worker<N>>) -> Response {
    set_direct(&path, &worker, true)
}

/// Makes a peer a regular peer
///
/// Also if the transport takes it for a direct peer.
#[utoipa::path(
    delete,
    path = "/p2p/peers/direct/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    responses((status = 200, description = "It is a regular peer", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn remove_direct<N: Displayable>(path: Path<String>, worker: Data<Worker<N>>) -> Response {
    set_direct(&path, &worker, false)
}

fn set_direct<N: Displayable>(peer: &str, worker: &Worker<N>, direct: bool) -> Response {
    let peer: N::Peer = identifier::parse("peer", peer)?;
    worker.set_direct(&peer, direct)?;
    tracing::info!(?peer, direct, "the operator decided whether a peer is a direct peer");
    done()
}

/// Blocks a peer for a time
///
/// The transport closes its connections and refuses new ones. Its score stays. A block that lasts longer stays.
#[utoipa::path(
    put,
    path = "/p2p/peers/blocked/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    request_body = Block,
    responses((status = 200, description = "The transport is asked to", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn block<N: Displayable>(
    path: Path<String>,
    body: Json<Block>,
    worker: Data<Worker<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let seconds = body.seconds;
    worker.block(&peer, Duration::from_secs(seconds))?;
    tracing::info!(?peer, seconds, "the operator blocked a peer");
    done()
}

/// Admits a blocked peer again
#[utoipa::path(
    delete,
    path = "/p2p/peers/blocked/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    responses((status = 200, description = "The transport is asked to", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn unblock<N: Displayable>(path: Path<String>, worker: Data<Worker<N>>) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    worker.unblock(&peer)?;
    tracing::info!(?peer, "the operator admitted a peer again");
    done()
}

/// The score parameters of a topic
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/topics/{topic}/score",
    params(("topic" = String, Path, description = "The topic, as text")),
    responses((status = 200, description = "The values in force", body = TopicScore), BadRequest)
)]
pub(super) async fn topic_score<N: Displayable>(path: Path<String>, worker: Data<Worker<N>>) -> Response {
    let (parameters, weight) = worker.topic_score(&identifier::parse("topic", &path)?);
    Ok(HttpResponse::Ok().json(TopicScore { weight, parameters }))
}

/// Sets the score parameters of a topic
///
/// Those of all other topics stay, and so do all counters: every score follows from them anew.
#[utoipa::path(
    put,
    path = "/p2p/gossipsub/topics/{topic}/score",
    params(("topic" = String, Path, description = "The topic, as text")),
    request_body = TopicScore,
    responses(
        (status = 200, description = "They are in force", body = Done),
        BadRequest,
        (status = 409, description = "A value violates a rule; the message names field, value and rule", body = Problem),
        Unavailable,
    )
)]
pub(super) async fn set_topic_score<N: Displayable>(
    path: Path<String>,
    body: Json<TopicScore>,
    worker: Data<Worker<N>>,
) -> Response {
    let topic: N::Topic = identifier::parse("topic", &path)?;
    let TopicScore { weight, parameters } = body.into_inner();
    worker.set_topic_score(topic.clone(), parameters, weight).map_err(|refused| match refused {
        ChangeRefused::Invalid(invalid) => Problem::conflict(invalid.to_string()),
        ChangeRefused::Stopped(stopped) => stopped.into(),
    })?;
    // The scores follow from them when this is answered.
    with_timeout(worker.connections(crate::Page::first(0))).await?;
    tracing::info!(?topic, weight, "the operator changed the score parameters of a topic");
    done()
}

fn done() -> Response {
    Ok(HttpResponse::Ok().json(Done {}))
}
