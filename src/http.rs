//! What an operator may look at, as an actix-web scope to mount in any application. Read-only; opens
//! no port.

use actix_web::{
    HttpResponse, Scope,
    web::{Data, get, scope as web_scope},
};
use serde::Serialize;

use crate::{Network, Worker, protocol::View};

/// A scope under `path` with
///
/// * `stats`: the sixteen counters;
/// * `footprint`: how much every map holds;
/// * `state`: the whole state.
///
/// An engine that has ended answers 503.
///
/// # Example
/// ```no_run
/// # use actix_gossipsub::{Worker, plain::PlainNetwork};
/// # async fn serve(worker: Worker<PlainNetwork>) -> std::io::Result<()> {
/// use actix_web::{App, HttpServer};
/// let app = move || App::new().service(actix_gossipsub::http::scope("/gossipsub", worker.clone()));
/// HttpServer::new(app).bind("127.0.0.1:8080")?.run().await
/// # }
/// ```
pub fn scope<N: Network>(path: &str, worker: Worker<N>) -> Scope
where
    View<N>: Serialize,
{
    web_scope(path)
        .app_data(Data::new(worker))
        .route("/stats", get().to(stats::<N>))
        .route("/footprint", get().to(footprint::<N>))
        .route("/state", get().to(state::<N>))
}

async fn stats<N: Network>(worker: Data<Worker<N>>) -> HttpResponse {
    HttpResponse::Ok().json(worker.stats())
}

async fn footprint<N: Network>(worker: Data<Worker<N>>) -> HttpResponse {
    answer(worker.footprint().await)
}

async fn state<N: Network>(worker: Data<Worker<N>>) -> HttpResponse
where
    View<N>: Serialize,
{
    answer(worker.state().await)
}

fn answer<T: Serialize>(found: Result<T, crate::Stopped>) -> HttpResponse {
    match found {
        Ok(found) => HttpResponse::Ok().json(found),
        Err(stopped) => HttpResponse::ServiceUnavailable().json(Problem { error: stopped.to_string() }),
    }
}

/// The body of an answer that is none.
#[derive(Serialize)]
struct Problem {
    error: String,
}
