//! The endpoints that change a running engine or have the contents of messages. They are in a scope of their own,
//! [`admin_scope`], which has a guard.

use std::{pin::Pin, sync::Arc};

use actix_web::{
    Scope,
    dev::HttpServiceFactory,
    middleware::from_fn,
    web::{Data, Path, scope as actix_scope, to},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_actix_web::{OpenApiFactory, scope::scope};

use super::{QUERY_TIMEOUT, Response, done, messages, openapi, settings, unknown_path, with_timeout};
use crate::{
    AppInput, Network, Page, Worker,
    http::{
        Displayable,
        admin_guard::AdminGuard,
        document::{self, Document},
        endpoint::endpoint,
        hosts::checked,
        identifier::{self, Identifier, parse_json},
        messages::Messages,
        problem::{BadRequest, NotFound, Problem, ProblemKind, Unavailable},
        request::Body,
        responses::Done,
    },
};

/// The result of a transport operation. The error is a sentence for the operator.
pub type TransportFuture<T = ()> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// The transport operations that an operator may request.
///
/// The HTTP handler awaits the returned futures for two seconds. It drops those that take longer, and may drop one early if the
/// client disconnects.
pub trait Transport<N: Network>: Send + Sync + 'static {
    /// Starts to dial a point. Completes without waiting for the connection.
    ///
    /// # Errors
    /// The transport refuses to dial.
    fn connect(&self, point: N::Point) -> TransportFuture;

    /// Closes all connections to a peer.
    ///
    /// # Errors
    /// The transport refuses, or does not know the peer.
    fn disconnect(&self, peer: N::Peer) -> TransportFuture;

    /// Closes all connections to a peer, and refuses new ones until [`unban`](Self::unban).
    ///
    /// # Errors
    /// The transport refuses.
    fn ban(&self, peer: N::Peer) -> TransportFuture;

    /// Admits a banned peer again. Returns whether it was banned.
    ///
    /// # Errors
    /// The transport refuses.
    fn unban(&self, peer: N::Peer) -> TransportFuture<bool>;
}

#[cfg(feature = "libp2p-node")]
impl Transport<crate::libp2p::Libp2pNetwork> for crate::libp2p::NodeHandle {
    fn connect(&self, point: libp2p::Multiaddr) -> TransportFuture {
        let handle = self.clone();
        Box::pin(async move { handle.dial(point).await.map_err(|error| error.to_string()) })
    }

    fn disconnect(&self, peer: libp2p::PeerId) -> TransportFuture {
        let handle = self.clone();
        Box::pin(async move { handle.disconnect(peer).await.map_err(|error| error.to_string()) })
    }

    fn ban(&self, peer: libp2p::PeerId) -> TransportFuture {
        let handle = self.clone();
        Box::pin(async move {
            handle.block(peer, std::time::Duration::MAX).await.map_err(|error| error.to_string())
        })
    }

    fn unban(&self, peer: libp2p::PeerId) -> TransportFuture<bool> {
        let handle = self.clone();
        Box::pin(async move { handle.unblock(peer).await.map_err(|error| error.to_string()) })
    }
}

/// The administrative endpoints, below `/admin`, for the requests that `guard` permits and, as in
/// [`scope`](crate::http::scope), that come from this host. Mount it before [`scope`](crate::http::scope).
///
/// ```no_run
/// # use actix_gossipsub::{Worker, plain::PlainNetwork};
/// # fn serve(worker: Worker<PlainNetwork>, transport: impl actix_gossipsub::http::Transport<PlainNetwork>) {
/// use actix_gossipsub::http::{self, AdminGuard, AdminToken};
///
/// let token = AdminToken::random();
/// println!("Authorization: Bearer {}", token.reveal());
/// let admin = http::admin_scope(worker, transport, AdminGuard::token(token));
/// # drop(admin);
/// # }
/// ```
///
/// | request | effect |
/// |---|---|
/// | `POST /admin/p2p/connect {"point": P}` | dials a point |
/// | `DELETE /admin/p2p/peers/disconnect/{peer}` | closes the connections to a peer |
/// | `PATCH /admin/p2p/peers/by-id/{peer} {"acl": "ban"}` | sets its application score (P5): `ban`, `trust` or `open` (0); a banned peer is disconnected, and refused until it is trusted or open |
/// | `POST /admin/p2p/gossipsub/topics {"topic": T}` | joins a topic |
/// | `DELETE /admin/p2p/gossipsub/topics/{topic}` | leaves a topic |
/// | `POST /admin/p2p/gossipsub/topics/{topic}/messages` | publishes a message ([`serve_messages`]) |
/// | `GET /admin/p2p/gossipsub/stream?topic=` | delivered messages and engine events, as server-sent events ([`serve_messages`]) |
/// | `GET /admin/p2p/peers/direct` | the peers that the application made direct peers |
/// | `PUT /admin/p2p/peers/direct/{peer} {"direct": true}` | makes a peer a direct peer, or a regular one |
/// | `PUT /admin/p2p/peers/blocked/{peer} {"seconds": S}` | disconnects a peer and refuses it for this time; 0 admits it again |
/// | `PUT /admin/p2p/gossipsub/topics/{topic}/score {"weight": W, "parameters": {..}}` | sets the score parameters of a topic |
/// | `PATCH /admin/p2p/gossipsub/parameters {"degree_optimal": D, ..}` | changes [parameters](crate::limits::RuntimeLimits), all at once, and answers those in force |
/// | `GET /admin/openapi.json` | their OpenAPI document |
///
/// Each other one that changes something answers `{}`; all have errors `{error, message}`. Bodies need the content type
/// `application/json`; only a message may be `application/octet-stream`.
pub fn admin_scope<N: Displayable>(
    worker: Worker<N>,
    transport: impl Transport<N>,
    guard: AdminGuard,
) -> Scope
where
    N::Point: DeserializeOwned,
{
    let transport: Arc<dyn Transport<N>> = Arc::new(transport);
    let guarded = actix_scope("")
        .wrap(from_fn(move |request, next| guard.clone().check(request, next)))
        .service(endpoints::<N>());
    checked(PREFIX, guarded)
        .app_data(Data::new(worker))
        .app_data(Data::new(Document(document::admin_document::<N>())))
        .app_data(Data::from(transport))
}

/// Lets an [`admin_scope`] publish and stream messages: `serve_messages(admin_scope(..), messages.clone())`.
pub fn serve_messages<N: Displayable>(scope: Scope, messages: Messages<N>) -> Scope {
    scope.app_data(Data::new(messages))
}

/// Where [`admin_scope`] is mounted.
pub(in crate::http) const PREFIX: &str = "/admin";

/// All administrative endpoints, relative to [`PREFIX`].
pub(in crate::http) fn endpoints<N: Displayable>() -> impl HttpServiceFactory + OpenApiFactory + 'static
where
    N::Point: DeserializeOwned,
{
    scope("")
        .service(endpoint(super::__path_openapi, openapi::<N>))
        .service(endpoint(__path_connect, connect::<N>))
        .service(endpoint(__path_disconnect, disconnect::<N>))
        .service(endpoint(__path_set_acl, set_acl::<N>))
        .service(endpoint(__path_join, join::<N>))
        .service(endpoint(__path_leave, leave::<N>))
        .service(endpoint(messages::__path_publish, messages::publish::<N>))
        .service(endpoint(messages::__path_stream, messages::stream::<N>))
        .service(endpoint(settings::__path_direct_peers, settings::direct_peers::<N>))
        .service(endpoint(settings::__path_set_direct, settings::set_direct::<N>))
        .service(endpoint(settings::__path_set_blocked, settings::set_blocked::<N>))
        .service(endpoint(settings::__path_set_topic_score, settings::set_topic_score::<N>))
        .service(endpoint(settings::__path_change_parameters, settings::change_parameters::<N>))
        .default_service(to(unknown_path))
}

/// A point to dial.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Connect {
    /// The point.
    #[schema(value_type = Identifier)]
    point: Value,
}

/// A topic to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Join {
    /// The topic.
    #[schema(value_type = Identifier)]
    topic: Value,
}

/// The access of a peer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetAcl {
    /// The access.
    acl: Acl,
}

/// The access of a peer, applied as its application score (P5).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Acl {
    /// Disconnected, refused until another access is set or the node ends, and with a score below all thresholds.
    Ban,
    /// Not banned, with a score above `accept_px_threshold`.
    Trust,
    /// Not banned, with score 0.
    Open,
}

/// The weighted application score of a banned peer. Low enough that no positive component can compensate.
const BANNED: f64 = -1e12;

/// Dials a point
///
/// The response does not wait for the connection.
#[utoipa::path(
    post,
    path = "/p2p/connect",
    request_body = Connect,
    responses(
        (status = 200, description = "The transport dials", body = Done),
        BadRequest,
        (status = 409, description = "The transport refuses", body = Problem),
        Unavailable,
    )
)]
async fn connect<N: Displayable>(body: Body<Connect>, transport: Data<dyn Transport<N>>) -> Response
where
    N::Point: DeserializeOwned,
{
    answer(transport.connect(parse_json("point", body.0.point)?)).await?;
    done()
}

/// Closes the connections to a peer
#[utoipa::path(
    delete,
    path = "/p2p/peers/disconnect/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    responses(
        (status = 200, description = "The connections are closed", body = Done),
        BadRequest,
        NotFound,
        (status = 409, description = "The transport refuses", body = Problem),
        Unavailable,
    )
)]
async fn disconnect<N: Displayable>(
    path: Path<String>,
    worker: Data<Worker<N>>,
    transport: Data<dyn Transport<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let connection = with_timeout(worker.connection_of(&peer)).await?;
    connection.ok_or_else(|| Problem::not_found("this peer is not connected"))?;
    answer(transport.disconnect(peer)).await?;
    done()
}

/// Sets the application score (P5) of a peer
///
/// `ban` also closes its connections, and refuses new ones until `trust` or `open` is set or the node ends. The weight `app_specific_weight` must be above 0.
#[utoipa::path(
    patch,
    path = "/p2p/peers/by-id/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    request_body = SetAcl,
    responses(
        (status = 200, description = "The score is set", body = Done),
        BadRequest,
        NotFound,
        (status = 409, description = "`app_specific_weight` is 0, or the transport refuses", body = Problem),
        Unavailable,
    )
)]
async fn set_acl<N: Displayable>(
    path: Path<String>,
    body: Body<SetAcl>,
    worker: Data<Worker<N>>,
    transport: Data<dyn Transport<N>>,
) -> Response {
    let peer: N::Peer = identifier::parse("peer", &path)?;
    let (acl, limits) = (body.0.acl, worker.limits());
    let weight = limits.score.app_specific_weight;
    if weight <= 0.0 {
        return Err(Problem::conflict(
            "application scores have no effect: app_specific_weight is not above 0",
        ));
    }
    // Asked before anything is changed.
    let score = with_timeout(worker.score_of(&peer, Page::first(0))).await?;
    let unbanned = acl != Acl::Ban && answer(transport.unban(peer.clone())).await?;
    if score.is_none() && !unbanned {
        return Err(Problem::not_found("this peer is not connected and has no retained score"));
    }
    let score = match acl {
        Acl::Ban => BANNED,
        Acl::Trust => limits.accept_px_threshold.max(0.0) + 1.0,
        Acl::Open => 0.0,
    };
    let input = AppInput::SetApplicationScore { peer: peer.clone(), score: score / weight };
    worker.app_input(input).map_err(|_| crate::EngineStopped)?;
    let log = || tracing::info!(?peer, ?acl, "the operator changed the access of a peer");
    worker.span().in_scope(log);
    // A score that is not negative when the peer disconnects would be forgotten: the engine has the new one by now.
    if acl == Acl::Ban {
        answer(transport.ban(peer)).await?;
    }
    done()
}

/// Joins a topic
#[utoipa::path(
    post,
    path = "/p2p/gossipsub/topics",
    request_body = Join,
    responses(
        (status = 200, description = "The engine joins the topic", body = Done),
        BadRequest,
        (status = 409, description = "The network can't send the name of the topic", body = Problem),
        Unavailable,
    )
)]
async fn join<N: Displayable>(body: Body<Join>, worker: Data<Worker<N>>) -> Response {
    let topic: N::Topic = parse_json("topic", body.0.topic)?;
    if let Some(problem) = worker.refuse_topic(&topic) {
        return Err(Problem::conflict(problem));
    }
    worker.app_input(AppInput::Join(topic)).map_err(|_| crate::EngineStopped)?;
    done()
}

/// Leaves a topic
#[utoipa::path(
    delete,
    path = "/p2p/gossipsub/topics/{topic}",
    params(("topic" = String, Path, description = "The topic, as text")),
    responses(
        (status = 200, description = "The engine leaves the topic", body = Done),
        BadRequest,
        NotFound,
        Unavailable,
    )
)]
async fn leave<N: Displayable>(path: Path<String>, worker: Data<Worker<N>>) -> Response {
    let topic: N::Topic = identifier::parse("topic", &path)?;
    if !worker.is_subscribed(&topic) {
        return Err(Problem::not_found("this topic is not joined"));
    }
    worker.app_input(AppInput::Leave(topic)).map_err(|_| crate::EngineStopped)?;
    done()
}

/// The result of a transport operation, or 503 after [`QUERY_TIMEOUT`].
async fn answer<T>(operation: TransportFuture<T>) -> Result<T, Problem> {
    let late = |_| Problem::late(ProblemKind::Transport, "the transport", "what was asked may still happen");
    timeout(QUERY_TIMEOUT, operation).await.map_err(late)?.map_err(Problem::conflict)
}
