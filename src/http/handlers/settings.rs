//! The administrative endpoints that change settings of a running engine: direct peers, blocked peers, the score parameters of
//! a topic, and all other parameters that can change.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Response, done};
use crate::{
    ChangeRefused, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        parameters::{ParametersInForce, RuntimeParameters},
        problem::{BadRequest, Problem, Unavailable},
        request::Body,
        responses::Done,
    },
    limits::TopicScoreLimits,
};

/// The largest change of parameters, in bytes. Lists, such as the patterns of a network, are sent as a whole.
const MAX_PARAMETERS: usize = 1 << 20;

/// Whether a peer is a direct peer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetDirect {
    /// Whether it is.
    direct: bool,
}

/// How long a peer is blocked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBlocked {
    /// The time in seconds. 0 admits the peer again.
    seconds: u64,
}

/// The score parameters of a topic. Fields of `parameters` that are missing have their defaults, not their values in force.
#[derive(Deserialize, ToSchema)]
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

/// Makes a peer a direct peer, or a regular one
///
/// Every message is forwarded to a direct peer, it is in no mesh, and it is dialled whenever it is not connected. This holds
/// for the connection that it has and for later ones, whatever the transport takes the peer for.
#[utoipa::path(
    put,
    path = "/p2p/peers/direct/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    request_body = SetDirect,
    responses((status = 200, description = "It is a direct peer, or a regular one", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn set_direct<N: Displayable>(
    path: Path<String>,
    body: Body<SetDirect>,
    worker: Data<Worker<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let direct = body.0.direct;
    worker.set_direct(&peer, direct)?;
    let log = || tracing::info!(?peer, direct, "the operator decided whether a peer is a direct peer");
    worker.span().in_scope(log);
    done()
}

/// Blocks a peer for a time, or admits it again
///
/// The transport closes its connections and refuses new ones. Its score stays. A block that lasts longer stays.
#[utoipa::path(
    put,
    path = "/p2p/peers/blocked/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    request_body = SetBlocked,
    responses((status = 200, description = "The transport is asked to", body = Done), BadRequest, Unavailable)
)]
pub(super) async fn set_blocked<N: Displayable>(
    path: Path<String>,
    body: Body<SetBlocked>,
    worker: Data<Worker<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let seconds = body.0.seconds;
    match seconds {
        0 => worker.unblock(&peer)?,
        _ => worker.block(&peer, Duration::from_secs(seconds))?,
    }
    let log = || tracing::info!(?peer, seconds, "the operator blocked a peer, or admitted it again");
    worker.span().in_scope(log);
    done()
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
    body: Body<TopicScore>,
    worker: Data<Worker<N>>,
) -> Response {
    let topic: N::Topic = identifier::parse("topic", &path)?;
    let TopicScore { weight, parameters } = body.0;
    worker.set_topic_score(topic.clone(), parameters, weight).map_err(refusal)?;
    let log = || tracing::info!(?topic, weight, "the operator changed the score parameters of a topic");
    worker.span().in_scope(log);
    done()
}

/// Changes parameters of the running engine, all at once
///
/// The body has the parameters that change. An object is merged into the values in force field by field; any other value, also
/// a list, replaces the one in force. `null` removes the entry of a topic, or a value that an entry sets. `score.topics` needs its
/// `kind`; another one than that in force replaces all of it. Without any field nothing changes. Counters stay: every score
/// follows from them anew. Meshes adapt to new degrees at the next heartbeat.
#[utoipa::path(
    patch,
    path = "/p2p/gossipsub/parameters",
    request_body = RuntimeParameters,
    responses(
        (status = 200, description = "All parameters that can change, as they are in force now", body = ParametersInForce),
        BadRequest,
        (status = 409, description = "A value violates a rule, and nothing has changed; the message names field, value and rule", body = Problem),
        Unavailable,
    )
)]
pub(super) async fn change_parameters<N: Displayable>(
    body: Body<RuntimeParameters, MAX_PARAMETERS>,
    worker: Data<Worker<N>>,
) -> Response {
    let change = body.0;
    change.check::<N::Topic>()?;
    let mut in_force = Ok(ParametersInForce::default());
    worker.change_limits(|limits| in_force = change.merge_into(limits)).map_err(refusal)?;
    let in_force = in_force?;
    let log = || tracing::info!(parameters = ?change.names(), "the operator changed parameters");
    worker.span().in_scope(log);
    Ok(HttpResponse::Ok().json(in_force))
}

fn refusal(refused: ChangeRefused) -> Problem {
    match refused {
        ChangeRefused::Invalid(invalid) => Problem::conflict(invalid.to_string()),
        ChangeRefused::Stopped(stopped) => stopped.into(),
    }
}
