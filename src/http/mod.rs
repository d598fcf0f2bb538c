//! What an operator may look at, as an actix-web scope to mount in any application. Read-only, but for the
//! separate [`admin_scope`]; opens no port.
//!
//! ```no_run
//! # use actix_gossipsub::{Worker, plain::PlainNetwork};
//! # async fn serve(worker: Worker<PlainNetwork>) -> std::io::Result<()> {
//! use actix_web::{App, HttpServer};
//!
//! // With metrics-exporter-prometheus: let render = move || handle.render();
//! let render = || String::new();
//! let app = move || App::new().service(actix_gossipsub::http::scope(worker.clone(), render));
//! HttpServer::new(app).bind("127.0.0.1:8080")?.run().await
//! # }
//! ```
//!
//! # Paths
//!
//! The scope takes every path that nobody took before it: mount it last, or under a path of its own
//! (`web::scope("/gossip").service(http::scope(..))`). `/` is a page that shows all of it, alive;
//! `/openapi.json` describes all of it, for programs.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the scrape, for Prometheus |
//! | `/health` | 200, or 503 when the engine is down: `{status, checks: [{name, status}]}` |
//! | `/p2p/gossipsub/topics` | the joined topics |
//! | `…/topics/peers?all` | each topic's subscribed peers; with `all`, also of topics that are not joined |
//! | `…/mesh?topic=` | each joined topic's mesh |
//! | `…/fanout` | the peers of each topic that is published to without being joined |
//! | `…/connections?topics=false` | the connected peers |
//! | `…/scores`, `…/scores/{peer}` | all scores; one taken apart, with what it keeps from the peer |
//! | `…/backoffs`, `…/message_cache`, `…/reconnection_delays` | what is remembered of peers, messages, points |
//! | `…/explain/{peer}?topic=` | the last decisions about a peer, with reason, time and score |
//! | `…/events?since=&limit=` | the last events, under the names of go-libp2p-pubsub's trace where it has one |
//! | `…/decisions` | how often each decision was taken, by reason |
//! | `…/parameters`, `…/stats`, `…/queues`, `…/footprint` | the limits, the counters, what waits, what is held |
//!
//! Paths and field names up to `reconnection_delays` are those of the Octez DAL node. Peers and topics are
//! what [`Serialize`] makes of them. In a path or query a name is its text if it deserialises from that, as
//! strings and peer ids do, or else JSON (`7`, `{"slot_index":1,"pkh":"tz1…"}`).
//!
//! Lists take `limit` (1 to 10,000, 1,000 unless said) and `after`, the last name of the page before; a
//! `Link` header with `rel="next"` says that there is more. A page also ends when it holds 200,000 entries.
//!
//! Errors are `{error, message}`: 400 for what can't be understood, 404 for what is not known, 503 when the
//! engine has ended or does not answer within two seconds.

mod admin;
pub mod answers;
mod ask;
mod document;
mod events;
mod health;
mod lists;
mod names;
mod page;
mod peer;
mod problem;
mod state;

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, Scope,
    web::{Data, get, resource, scope as web_scope, to},
};
use serde::{Serialize, de::DeserializeOwned};

use self::problem::Problem;
pub use self::{
    admin::{Carried, Transport, admin_scope},
    document::document,
};
use crate::{Network, Worker};

/// A network whose names can be shown and asked for: every one whose names serde knows.
pub trait Shown:
    Network<
        Peer: Serialize + DeserializeOwned,
        Topic: Serialize + DeserializeOwned,
        MessageId: Serialize,
        Point: Serialize,
    >
{
}

impl<N> Shown for N where
    N: Network<
            Peer: Serialize + DeserializeOwned,
            Topic: Serialize + DeserializeOwned,
            MessageId: Serialize,
            Point: Serialize,
        >
{
}

/// How to make the text that Prometheus scrapes.
type Render = dyn Fn() -> String + Send + Sync;

/// Everything about one engine that can be looked at. `render` makes the answer of `/metrics`: with
/// metrics-exporter-prometheus, `move || handle.render()`.
pub fn scope<N: Shown>(worker: Worker<N>, render: impl Fn() -> String + Send + Sync + 'static) -> Scope {
    let render: std::sync::Arc<Render> = std::sync::Arc::new(render);
    scope_without_metrics(worker).app_data(Data::from(render))
}

/// The same for an application without a recorder of its own: `/metrics` is not known.
pub fn scope_without_metrics<N: Shown>(worker: Worker<N>) -> Scope {
    web_scope("")
        .app_data(Data::new(worker))
        .service(answering(resource(["", "/"]), page::page))
        .service(only("/page.js", page::script))
        .service(only("/page.css", page::style))
        .service(only("/metrics", state::metrics))
        .service(only("/openapi.json", document::openapi))
        .service(only("/health", health::health::<N>))
        .service(
            web_scope("/p2p/gossipsub")
                .service(only("/topics", lists::topics::<N>))
                .service(only("/topics/peers", lists::topics_peers::<N>))
                .service(only("/mesh", lists::mesh::<N>))
                .service(only("/fanout", lists::fanout::<N>))
                .service(only("/connections", lists::connections::<N>))
                .service(only("/scores", lists::scores::<N>))
                .service(only("/scores/{peer}", peer::score::<N>))
                .service(only("/backoffs", lists::backoffs::<N>))
                .service(only("/message_cache", lists::message_cache::<N>))
                .service(only("/reconnection_delays", lists::reconnection_delays::<N>))
                .service(only("/explain/{peer}", events::explain::<N>))
                .service(only("/events", events::events::<N>))
                .service(only("/decisions", events::decisions::<N>))
                .service(only("/parameters", state::parameters::<N>))
                .service(only("/stats", state::stats::<N>))
                .service(only("/queues", state::queues::<N>))
                .service(only("/footprint", state::footprint::<N>))
                .default_service(to(unknown_path)),
        )
        .default_service(to(unknown_path))
}

/// What answers GET at a path, and nothing else.
fn only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    answering(resource(path), handler)
}

fn answering<F, Args>(resource: Resource, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource.route(get().to(handler)).default_service(to(other_method))
}

async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(Problem::unknown("there is nothing at this path: /openapi.json tells what there is"))
}

async fn other_method() -> Result<HttpResponse, Problem> {
    Err(Problem::method())
}
