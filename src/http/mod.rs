//! An actix-web scope that serves the state of one engine: a live page, health, metrics and a JSON API. It is
//! read-only; the endpoints that change the engine are in the separate [`admin_scope`].
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
//! By default actix-web stops its `System` on Ctrl-C, and with it the engine's arbiters: the engine ends with
//! [`EngineError::ArbiterStopped`](crate::EngineError::ArbiterStopped) and peers are not notified. To leave the topics
//! first, use `disable_signals` and await [`Worker::shutdown`](crate::Worker::shutdown) (`examples/actix_web.rs`).
//!
//! # Paths
//!
//! The scope matches every path that no earlier service matched. Mount it last, or below a path prefix:
//! `web::scope("/gossip").service(http::scope(..))`.
//!
//! | path | response |
//! |---|---|
//! | `/` | a live page that displays all of this |
//! | `/openapi.json` | the OpenAPI document of this API |
//! | `/metrics` | the metrics in the Prometheus text format |
//! | `/health` | 200, or 503 when the engine is down: `{status, checks: [{name, status, message}]}` |
//! | `/ready` | 200, or 503 when the node can't do its work now: `{ready, checks: [{name, status, message}]}` ([`check_readiness`]) |
//! | `/p2p/identity` | the peer id and the addresses of the node, if the application gives them ([`describe_node`]) |
//! | `/p2p/gossipsub/topics` | the joined topics |
//! | `…/topics/status?topic=&contains=&problems` | the joined and relayed topics, those with problems first, with the size of their meshes |
//! | `…/peers/status?contains=` | the peers, those with the lowest scores first |
//! | `/p2p/peers/{peer}` | address, agent and protocol of a peer, if the application gives them ([`describe_peers`]) |
//! | `…/topics/peers?all` | the subscribers of each joined topic; with `all`, of every topic |
//! | `…/mesh?topic=` | the mesh of each joined topic |
//! | `…/fanout` | the fanout of each topic that the application publishes to without having joined it |
//! | `…/backoffs?peer=`, `…/message_cache` | backed-off peers and cached messages, by topic |
//! | `…/connections?topics=false` | the connected peers |
//! | `…/reconnection_delays` | the points that could not be reached |
//! | `…/scores`, `…/scores/{peer}` | all scores; the components of one score |
//! | `…/explain/{peer}?topic=` | the last decisions about a peer, with reason, time and score |
//! | `…/events?since=&limit=` | the recent events, named after go-libp2p-pubsub's trace |
//! | `…/decisions` | the number of events by type and reason |
//! | `…/parameters`, `…/stats`, `…/queues`, `…/footprint` | limits, counters, queue depths, map sizes. The [`admin_scope`] changes limits |
//!
//! The paths and fields of topics, connections, delays and the list of scores are those of the Octez DAL
//! node. Peers and topics appear as [`Serialize`] writes them. In a path or a query an identifier is its text
//! if its type deserialises from a string, as peer ids do, or else JSON (`7`,
//! `{"slot_index":1,"pkh":"tz1…"}`).
//!
//! Lists take `limit` (1 to 10,000, default 1,000) and `after`, the last identifier of the previous page. A
//! `Link` header with `rel="next"` names the next page. A page also ends when its items contain 50,000
//! entries, such as the peers of its topics. Of the queries with a `limit` above 256, four of an engine run at a time; the others
//! wait. The lists of topics, scores and events and both of `status` need no actor, and don't wait; nor does
//! `reconnection_delays`, which is short.
//!
//! Errors are `{error, message}`: 400 for a malformed request, 404 for an unknown path, peer or topic, 405
//! for an unsupported method, and 503 with `Retry-After` if the engine has stopped, or if it or the transport does not answer within
//! two seconds. Every path with GET has HEAD and OPTIONS too.
//!
//! # Who gets answers
//!
//! A scope answers to requests whose `Host` is an IP address or `localhost`, and others get 421; [`answer_to`] adds names. A
//! request whose `Origin` is another host gets 403, and so does one that a page of another origin makes for an image, a script
//! or a style, if the browser says so (`Sec-Fetch-Site`, to loopback and over TLS). So no web page can read or use the API,
//! neither by a name of its own that resolves to this address (DNS rebinding) nor from its own origin. Behind a proxy, let it
//! pass the `Host` on.

mod admin_guard;
mod document;
mod endpoint;
mod handlers;
mod hosts;
mod identifier;
mod messages;
mod mistake;
mod paging;
mod parameters;
mod problem;
mod request;
pub mod responses;
mod shape;
mod sse;
mod time;

use std::sync::Arc;

use actix_web::{Scope, web::Data};
use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    admin_guard::{AdminGuard, AdminToken, InvalidToken},
    document::{admin_document, document},
    handlers::admin::{Transport, TransportFuture, admin_scope, serve_messages},
    hosts::{Hosts, answer_to},
    messages::{MessageContents, Messages},
};
use self::{
    document::Document,
    handlers::{Describe, DescribePeer, ReadinessChecks, Render},
    hosts::checked,
    responses::{Check, Identity},
};
use crate::{Network, Worker};

/// A network whose identifiers serde can write as JSON, and whose peers and topics serde can read back. Every
/// such network implements it.
pub trait Displayable:
    Network<
        Peer: Serialize + DeserializeOwned,
        Topic: Serialize + DeserializeOwned,
        MessageId: Serialize,
        Point: Serialize,
    >
{
}

impl<N> Displayable for N where
    N: Network<
            Peer: Serialize + DeserializeOwned,
            Topic: Serialize + DeserializeOwned,
            MessageId: Serialize,
            Point: Serialize,
        >
{
}

/// All read-only endpoints of one engine. `render` returns the body of `/metrics`: with
/// metrics-exporter-prometheus, `move || handle.render()`.
pub fn scope<N: Displayable>(
    worker: Worker<N>,
    render: impl Fn() -> String + Send + Sync + 'static,
) -> Scope {
    let render: Arc<Render> = Arc::new(render);
    scope_without_metrics(worker).app_data(Data::from(render))
}

/// Adds to a [`scope`] who this node is: `describe_node(scope(worker, render), move || identity.clone())`.
pub fn describe_node(scope: Scope, describe: impl Fn() -> Identity + Send + Sync + 'static) -> Scope {
    let describe: Arc<Describe> = Arc::new(describe);
    scope.app_data(Data::from(describe))
}

/// Adds to a [`scope`] what must be true for this node to be ready, beside the engine. `checks` must not block.
pub fn check_readiness(scope: Scope, checks: impl Fn() -> Vec<Check> + Send + Sync + 'static) -> Scope {
    let checks: Arc<ReadinessChecks> = Arc::new(checks);
    scope.app_data(Data::from(checks))
}

/// Adds to a [`scope`] what the transport knows of its peers. `describe` gets the text of a peer id.
pub fn describe_peers(
    scope: Scope,
    describe: impl Fn(String) -> TransportFuture<responses::PeerDetails> + Send + Sync + 'static,
) -> Scope {
    let describe: Arc<DescribePeer> = Arc::new(describe);
    scope.app_data(Data::from(describe))
}

/// [`scope`] for an application that exports no metrics: `/metrics` responds with 404.
pub fn scope_without_metrics<N: Displayable>(worker: Worker<N>) -> Scope {
    checked("", handlers::endpoints::<N>())
        .app_data(Data::new(worker))
        .app_data(Data::new(Document(document::<N>())))
}
