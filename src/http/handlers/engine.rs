//! The engine as a whole: metrics, limits, counters, queues and the sizes of its maps.

use std::convert::Infallible;

use actix_web::{HttpResponse, web::Data};

use super::{Response, check_running, with_timeout};
use crate::{
    Limits, Worker,
    http::{
        Displayable,
        identifier::Identifier,
        problem::{Problem, Unavailable},
        responses::{FootprintEntry, QueueState},
    },
    protocol::{Footprint, Stats},
};

/// Renders the application's metrics in the Prometheus text format.
pub(in crate::http) type Render = dyn Fn() -> String + Send + Sync;

/// The metrics in the Prometheus text format
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
        (status = 404, description = "The application exports no metrics", body = Problem),
    )
)]
pub(super) async fn metrics(render: Option<Data<Render>>) -> Response {
    let render = render.ok_or_else(|| Problem::not_found("this application exports no metrics"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(render()))
}

/// The limits in force
///
/// The format is that of a configuration file.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/parameters",
    responses((status = 200, description = "The limits", body = Object))
)]
pub(super) async fn parameters<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    // Topics are keys of JSON objects here, and such keys must be strings.
    let Ok(limits) = Limits::clone(&worker.limits())
        .map_topics(|topic| Ok::<_, Infallible>(Identifier::new(&topic).text()));
    Ok(HttpResponse::Ok().json(&*limits))
}

/// The sixteen counters of Octez' worker
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/stats",
    responses((status = 200, description = "The counters", body = Stats), Unavailable)
)]
pub(super) async fn stats<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    check_running(&worker)?;
    Ok(HttpResponse::Ok().json(worker.stats()))
}

/// The depth and capacity of each queue
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/queues",
    responses((status = 200, description = "The queues", body = [QueueState]), Unavailable)
)]
pub(super) async fn queues<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    check_running(&worker)?;
    let queues = worker.queues().map(|queue| QueueState {
        queue: queue.name,
        depth: queue.depth,
        capacity: queue.capacity,
    });
    Ok(HttpResponse::Ok().json(queues))
}

/// The size and bound of each map of the engine
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/footprint",
    responses((status = 200, description = "The maps", body = [FootprintEntry]), Unavailable)
)]
pub(super) async fn footprint<N: Displayable>(worker: Data<Worker<N>>) -> Response {
    let sizes = with_timeout(worker.footprint()).await?;
    let bounds = Footprint::at_most(&worker.limits(), sizes.connections, sizes.topics);
    let entry = |((cache, size), (_, bound)): ((&'static str, usize), (_, usize))| FootprintEntry {
        cache,
        size,
        bound: Some(bound).filter(|bound| *bound < usize::MAX),
    };
    Ok(HttpResponse::Ok().json(sizes.maps().zip(bounds.maps()).map(entry).collect::<Vec<_>>()))
}
