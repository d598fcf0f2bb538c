//! The readiness check: whether the node can do its work now. `/health` says whether the engine lives.

use actix_web::{HttpResponse, web::Data};

use super::{health, with_timeout};
use crate::{
    Page, Worker,
    http::{
        Displayable,
        responses::{Check, CheckStatus, Readiness},
    },
};

/// The checks of the application, for [`ready`].
pub(in crate::http) type ReadinessChecks = dyn Fn() -> Vec<Check> + Send + Sync;

/// Whether the node is ready
///
/// It is ready when the engine answers, its heartbeat is on time, and each check of the application passes: the binary's are
/// that it listens, and that it has a peer if it was given peers to dial. A restart does not help a node that is up and not
/// ready.
#[utoipa::path(
    get,
    path = "/ready",
    responses(
        (status = 200, description = "The node is ready", body = Readiness),
        (status = 503, description = "The node is not ready, or the engine is down", body = Readiness),
    )
)]
pub(super) async fn ready<N: Displayable>(
    worker: Data<Worker<N>>,
    application: Option<Data<ReadinessChecks>>,
) -> HttpResponse {
    let answer = with_timeout(worker.connections(Page::first(1))).await;
    let mut checks = vec![health::engine(&answer), health::heartbeat(&worker)];
    checks.extend(application.into_iter().flat_map(|application| application()));
    let ready = checks.iter().all(|check| check.status == CheckStatus::Ok);
    let response = if ready { HttpResponse::Ok } else { HttpResponse::ServiceUnavailable };
    response().json(Readiness { ready, checks })
}
