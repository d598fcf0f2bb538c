//! The HTTP handlers, grouped by subject, and the table of all endpoints. Each handler's `#[utoipa::path]`
//! attribute and doc comment define its route and its OpenAPI entry.

pub(super) mod admin;
mod engine;
pub(super) mod events;
mod health;
mod identity;
mod messages;
mod page;
mod peer_details;
mod peers;
mod ranked;
mod ready;
mod settings;
mod topics;

use std::time::Duration;

use actix_web::{
    HttpResponse,
    dev::HttpServiceFactory,
    web::{Data, to},
};
use tokio::time::timeout;
use utoipa_actix_web::{OpenApiFactory, scope::scope};

pub(super) use self::{
    engine::Render, identity::Describe, peer_details::DescribePeer, ready::ReadinessChecks,
};
use super::{Displayable, document::Document, endpoint::endpoint, problem::Problem, responses::Done};
use crate::{EngineStopped, Page, Worker};

type Response = Result<HttpResponse, Problem>;

/// The time limit of one query to the engine.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// All read-only endpoints.
pub(super) fn endpoints<N: Displayable>() -> impl HttpServiceFactory + OpenApiFactory + 'static {
    page::add_files(scope(""))
        .service(endpoint(page::__path_page, page::page))
        .service(endpoint(__path_openapi, openapi::<N>))
        .service(endpoint(engine::__path_metrics, engine::metrics))
        .service(endpoint(health::__path_health, health::health::<N>))
        .service(endpoint(ready::__path_ready, ready::ready::<N>))
        .service(endpoint(identity::__path_identity, identity::identity))
        .service(endpoint(peer_details::__path_peer_details, peer_details::peer_details::<N>))
        .service(endpoint(topics::__path_topics, topics::topics::<N>))
        .service(endpoint(ranked::__path_topic_statuses, ranked::topic_statuses::<N>))
        .service(endpoint(topics::__path_subscribers, topics::subscribers::<N>))
        .service(endpoint(topics::__path_mesh, topics::mesh::<N>))
        .service(endpoint(topics::__path_fanout, topics::fanout::<N>))
        .service(endpoint(topics::__path_backoffs, topics::backoffs::<N>))
        .service(endpoint(topics::__path_message_cache, topics::message_cache::<N>))
        .service(endpoint(ranked::__path_peer_statuses, ranked::peer_statuses::<N>))
        .service(endpoint(peers::__path_connections, peers::connections::<N>))
        .service(endpoint(peers::__path_reconnection_delays, peers::reconnection_delays::<N>))
        .service(endpoint(peers::__path_scores, peers::scores::<N>))
        .service(endpoint(peers::__path_score, peers::score::<N>))
        .service(endpoint(events::__path_explain, events::explain::<N>))
        .service(endpoint(events::__path_events, events::events::<N>))
        .service(endpoint(events::__path_decisions, events::decisions::<N>))
        .service(endpoint(engine::__path_parameters, engine::parameters::<N>))
        .service(endpoint(engine::__path_stats, engine::stats::<N>))
        .service(endpoint(engine::__path_queues, engine::queues::<N>))
        .service(endpoint(engine::__path_footprint, engine::footprint::<N>))
        .default_service(to(unknown_path))
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "An OpenAPI document", body = Object))
)]
async fn openapi<N: Displayable>(document: Data<Document>, worker: Data<Worker<N>>) -> HttpResponse {
    // Without an answer of the engine there is no example of a peer.
    let connected = with_timeout(worker.connections(Page::first(1))).await;
    let peer = connected.ok().and_then(|page| page.items.into_iter().next()).map(|(peer, _)| peer);
    HttpResponse::Ok().json(document.with_examples(&worker, peer))
}

async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("nothing is served at this path; /openapi.json lists all paths"))
}

/// The answer to an engine query, or 503 after [`QUERY_TIMEOUT`].
async fn with_timeout<T>(query: impl Future<Output = Result<T, EngineStopped>>) -> Result<T, Problem> {
    Ok(with_deadline(query).await??)
}

/// The result of a future, or 503 after [`QUERY_TIMEOUT`].
async fn with_deadline<T>(future: impl Future<Output = T>) -> Result<T, Problem> {
    timeout(QUERY_TIMEOUT, future).await.map_err(|_| Problem::timeout())
}

/// The response to a command that has no answer.
fn done() -> Response {
    Ok(HttpResponse::Ok().json(Done {}))
}

/// 503 if the engine has stopped. Needed where the answer takes no query: that state outlives the engine.
fn check_running<N: Displayable>(worker: &Worker<N>) -> Result<(), Problem> {
    if worker.is_ended() { Err(EngineStopped.into()) } else { Ok(()) }
}
