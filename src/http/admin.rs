//! What changes a running engine: connections, standing of peers, topics. In a scope of its own that nobody
//! gets by mounting the other; says nothing of who may use it.

use std::pin::Pin;

use actix_web::{
    HttpRequest, HttpResponse, Scope,
    web::{Data, Json, JsonConfig, Path, delete, patch, post, scope as web_scope, to},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Shown, ask::within, names, problem::Problem, unknown_path};
use crate::{AppInput, Network, Page, Worker};

/// What becomes of a request to the transport: an error is for a person.
pub type Carried = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The transport, as far as an operator may use it.
pub trait Transport<N: Network>: Send + Sync + 'static {
    /// Begins to connect to a point.
    fn connect(&self, point: N::Point) -> Carried;

    /// Ends the connections to a peer.
    fn disconnect(&self, peer: N::Peer) -> Carried;
}

#[cfg(feature = "libp2p")]
impl Transport<crate::libp2p::Libp2pNetwork> for crate::libp2p::NodeHandle {
    fn connect(&self, point: libp2p::Multiaddr) -> Carried {
        let handle = self.clone();
        Box::pin(async move { handle.dial(point).await.map_err(|error| error.to_string()) })
    }

    fn disconnect(&self, peer: libp2p::PeerId) -> Carried {
        let handle = self.clone();
        Box::pin(async move { handle.disconnect(peer).await.map_err(|error| error.to_string()) })
    }
}

/// The verbs, below `/admin`. **Whoever reaches it rules the node**: guard it by your own means (a guard, a
/// middleware, a socket that others can't reach), and mount it before [`scope`](super::scope).
///
/// | request | does |
/// |---|---|
/// | `POST /admin/p2p/connect {"point": P}` | begins to connect |
/// | `DELETE /admin/p2p/peers/disconnect/{peer}` | ends the connections to a peer |
/// | `PATCH /admin/p2p/peers/by-id/{peer} {"acl": "ban"}` | sets its application score (P5): `ban`, `trust` or `open` (0); a ban disconnects too |
/// | `POST /admin/p2p/gossipsub/topics {"topic": T}` | joins a topic |
/// | `DELETE /admin/p2p/gossipsub/topics/{topic}` | leaves a topic |
///
/// Each answers `{}`, or what is wrong. Bodies must be called `application/json`, so that no page of another
/// origin can send them.
pub fn admin_scope<N: Shown>(worker: Worker<N>, transport: impl Transport<N>) -> Scope
where
    N::Point: DeserializeOwned,
{
    let transport: std::sync::Arc<dyn Transport<N>> = std::sync::Arc::new(transport);
    let bodies = JsonConfig::default().error_handler(|error, _| Problem::bad(error.to_string()).into());
    web_scope("/admin")
        .app_data(Data::new(worker))
        .app_data(Data::from(transport))
        .app_data(bodies)
        .route("/p2p/connect", post().to(connect::<N>))
        .route("/p2p/peers/disconnect/{peer}", delete().to(disconnect::<N>))
        .route("/p2p/peers/by-id/{peer}", patch().to(set_acl::<N>))
        .route("/p2p/gossipsub/topics", post().to(join::<N>))
        .route("/p2p/gossipsub/topics/{topic}", delete().to(leave::<N>))
        .default_service(to(unknown_path))
}

type Answer = Result<HttpResponse, Problem>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connect {
    point: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    topic: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAcl {
    acl: Acl,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Acl {
    Ban,
    Trust,
    Open,
}

/// So bad that no deed makes up for it.
const BANNED: f64 = -1e12;

async fn connect<N: Shown>(body: Json<Connect>, transport: Data<dyn Transport<N>>) -> Answer
where
    N::Point: DeserializeOwned,
{
    carried(transport.connect(named("point", body.into_inner().point)?).await)
}

async fn disconnect<N: Shown>(
    path: Path<String>,
    worker: Data<Worker<N>>,
    transport: Data<dyn Transport<N>>,
) -> Answer {
    let peer: N::Peer = names::read("peer", &path)?;
    let known = within(worker.connection_of(&peer)).await?;
    known.ok_or_else(|| Problem::unknown("this peer is not connected"))?;
    carried(transport.disconnect(peer).await)
}

async fn set_acl<N: Shown>(
    path: Path<String>,
    body: Json<SetAcl>,
    worker: Data<Worker<N>>,
    transport: Data<dyn Transport<N>>,
) -> Answer {
    let peer: N::Peer = names::read("peer", &path)?;
    let (acl, limits) = (body.acl, worker.limits());
    let weight = limits.score.app_specific_weight;
    if weight <= 0.0 {
        return Err(Problem::conflict(
            "the application's word has no weight: app_specific_weight is not above 0",
        ));
    }
    let known = within(worker.score_of(&peer, Page::first(0))).await?;
    known.ok_or_else(|| Problem::unknown("this peer is not connected, and no score is kept of it"))?;
    let score = match acl {
        Acl::Ban => BANNED,
        Acl::Trust => limits.accept_px_threshold.max(0.0) + 1.0,
        Acl::Open => 0.0,
    };
    let set = AppInput::SetApplicationScore { peer: peer.clone(), score: score / weight };
    worker.app_input(set).map_err(|_| crate::EngineStopped)?;
    let connected = within(worker.connection_of(&peer)).await?.is_some();
    if acl == Acl::Ban && connected { carried(transport.disconnect(peer).await) } else { done() }
}

async fn join<N: Shown>(body: Json<Join>, worker: Data<Worker<N>>) -> Answer {
    let topic = named("topic", body.into_inner().topic)?;
    worker.app_input(AppInput::Join(topic)).map_err(|_| crate::EngineStopped)?;
    done()
}

async fn leave<N: Shown>(_: HttpRequest, path: Path<String>, worker: Data<Worker<N>>) -> Answer {
    let topic: N::Topic = names::read("topic", &path)?;
    if !worker.is_subscribed(&topic) {
        return Err(Problem::unknown("this topic is not joined"));
    }
    worker.app_input(AppInput::Leave(topic)).map_err(|_| crate::EngineStopped)?;
    done()
}

fn named<T: DeserializeOwned>(what: &str, name: Value) -> Result<T, Problem> {
    serde_json::from_value(name).map_err(|error| Problem::bad(format!("this is no {what}: {error}")))
}

fn carried(outcome: Result<(), String>) -> Answer {
    outcome.map_err(Problem::conflict)?;
    done()
}

fn done() -> Answer {
    Ok(HttpResponse::Ok().json(json!({})))
}
