//! The HTTP handlers, grouped by subject, and the table of all endpoints. Each handler's `#[utoipa::path]`
//! attribute and doc comment define its route and its OpenAPI entry.

pub(super) mod admin;
mod engine;
pub(super) mod events;
mod health;
mod identity;
mod messages;
mod page;
mod peers;
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

pub(super) use self::{engine::Render, identity::Describe};
use super::{
    Displayable,
    document::Document,
    endpoint::{endpoint, list},
    problem::Problem,
    responses::Done,
};
use crate::{EngineStopped, Page, Worker};

type Response = Result<HttpResponse, Problem>;

/// The time limit of one query to the engine.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// All read-only endpoints.
pub(super) fn endpoints<N: Displayable>() -> impl HttpServiceFactory + OpenApiFactory + 'static {
    scope("")
        .service(endpoint(page::__path_page, page::page))
        .service(endpoint(page::__path_script, page::script))
        .service(endpoint(page::__path_style, page::style))
        .service(endpoint(__path_openapi, openapi::<N>))
        .service(endpoint(engine::__path_metrics, engine::metrics))
        .service(endpoint(health::__path_health, health::health::<N>))
        .service(endpoint(identity::__path_identity, identity::identity))
        .service(list(topics::__path_topics, topics::topics::<N>))
        .service(list(topics::__path_subscribers, topics::subscribers::<N>))
        .service(list(topics::__path_mesh, topics::mesh::<N>))
        .service(list(topics::__path_fanout, topics::fanout::<N>))
        .service(list(topics::__path_backoffs, topics::backoffs::<N>))
        .service(list(topics::__path_message_cache, topics::message_cache::<N>))
        .service(list(peers::__path_connections, peers::connections::<N>))
        .service(list(peers::__path_reconnection_delays, peers::reconnection_delays::<N>))
        .service(list(peers::__path_scores, peers::scores::<N>))
        .service(list(peers::__path_score, peers::score::<N>))
        .service(list(events::__path_explain, events::explain::<N>))
        .service(list(events::__path_events, events::events::<N>))
        .service(endpoint(events::__path_decisions, events::decisions::<N>))
        .service(endpoint(engine::__path_parameters, engine::parameters::<N>))
        .service(endpoint(engine::__path_stats, engine::stats::<N>))
        .service(endpoint(engine::__path_queues, engine::queues::<N>))
        .service(list(engine::__path_footprint, engine::footprint::<N>))
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
    Ok(timeout(QUERY_TIMEOUT, query).await.map_err(|_| Problem::timeout())??)
}

/// The response to a command that has no answer.
fn done() -> Response {
    Ok(HttpResponse::Ok().json(Done {}))
}

/// 503 if the engine has stopped. Needed where the answer takes no query: that state outlives the engine.
fn check_running<N: Displayable>(worker: &Worker<N>) -> Result<(), Problem> {
    if worker.is_ended() { Err(EngineStopped.into()) } else { Ok(()) }
}
