//! The lists that begin with what needs attention first: topics by the problem of their mesh, peers by their score. They
//! are made of what all threads can read, so that they cost little with many topics.

use actix_web::{HttpRequest, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Response, check_running};
use crate::{
    Page, PeerStatus, Rank, TopicStatus, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        paging::{check_limit, flag, flag_schema, respond},
        problem::{BadRequest, Problem, Unavailable},
        request::Query,
        responses::{PeerSummary, TopicSummary},
    },
    network::Key,
    protocol::{Threshold, TopicProblem},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicStatusQuery {
    /// The maximum number of items, 1 to 10,000. Default: 1,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// The position after which the page starts. A `Link` header has it.
    after: Option<String>,
    /// Only this topic.
    topic: Option<String>,
    /// Only topics whose text contains this, in upper or lower case.
    contains: Option<String>,
    /// Only topics with a problem.
    #[param(schema_with = flag_schema, required = false)]
    #[serde(default, deserialize_with = "flag")]
    problems: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerStatusQuery {
    /// The maximum number of items, 1 to 10,000. Default: 1,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// The position after which the page starts. A `Link` header has it.
    after: Option<String>,
    /// Only peers whose text contains this, in upper or lower case.
    contains: Option<String>,
}

/// The joined and relayed topics, those with problems first
///
/// First topics without subscribers, then those with the smallest meshes below D_low, then those without score parameters while
/// others have some, then all others; ascending by name among equals. The values are those of the last heartbeat.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/topics/status",
    params(TopicStatusQuery),
    responses(
        (status = 200, description = "The topics, those with problems first", body = [TopicSummary]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn topic_statuses<N: Displayable>(
    request: HttpRequest,
    query: Query<TopicStatusQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = ranked_page("topic", query.limit, query.after.as_deref())?;
    let only: Option<N::Topic> =
        query.topic.as_deref().map(|text| identifier::parse("topic", text)).transpose()?;
    check_running(&worker)?;
    let contains = Contains::new(query.contains.as_deref());
    let found = worker.topic_statuses(&page, |topic, status| {
        let is_wanted = only.as_ref().is_none_or(|only| only == topic);
        is_wanted && (!query.problems || status.problem.is_some()) && contains.is_in(topic)
    });
    let position = |(topic, status): &(N::Topic, _)| position(TopicStatus::rank(status), topic);
    Ok(respond(&request, found, position, |(topic, status)| TopicSummary {
        topic: Identifier::new(&topic),
        problem: status.problem.map(TopicProblem::name),
        mesh: status.mesh,
        outbound_mesh: status.outbound_mesh,
        subscribers: status.subscribers,
        degree_low: status.degree_low,
        degree_high: status.degree_high,
    }))
}

/// The connected peers, those with the lowest scores first
///
/// Disconnected peers whose scores are retained follow them.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/peers/status",
    params(PeerStatusQuery),
    responses(
        (status = 200, description = "The peers, those with the lowest scores first", body = [PeerSummary]),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn peer_statuses<N: Displayable>(
    request: HttpRequest,
    query: Query<PeerStatusQuery>,
    worker: Data<Worker<N>>,
) -> Response {
    let page = ranked_page("peer", query.limit, query.after.as_deref())?;
    check_running(&worker)?;
    let contains = Contains::new(query.contains.as_deref());
    let found = worker.peer_statuses(&page, |peer, _| contains.is_in(peer));
    let limits = worker.limits();
    let is_below = |threshold: &Threshold, score| threshold.value(&limits).is_some_and(|value| score < value);
    Ok(respond(
        &request,
        found,
        |(peer, status)| position(status.rank(), peer),
        |(peer, status)| {
            let PeerStatus { connected, outbound, direct, bootstrap, floodsub, score } = status;
            let below = Threshold::ALL.into_iter().filter(|threshold| is_below(threshold, score));
            PeerSummary {
                peer: Identifier::new(&peer),
                score,
                below: below.map(Threshold::name).collect(),
                connected,
                direct,
                outbound,
                bootstrap,
                floodsub,
            }
        },
    ))
}

/// Part of the text of an identifier, in lower case.
struct Contains(Option<String>);

impl Contains {
    fn new(text: Option<&str>) -> Self {
        Self(text.filter(|text| !text.is_empty()).map(str::to_lowercase))
    }

    fn is_in<K: serde::Serialize>(&self, key: &K) -> bool {
        self.0.as_ref().is_none_or(|part| Identifier::new(key).text().to_lowercase().contains(part))
    }
}

/// The position of an item as text, that [`ranked_page`] reads back: its rank, then its identifier.
fn position(Rank { class, value }: Rank, key: &impl serde::Serialize) -> Identifier {
    Identifier::new(&format!("{class}.{value}.{}", Identifier::new(key).text()))
}

/// A page that starts after a [`position`].
fn ranked_page<K: Key + serde::de::DeserializeOwned>(
    kind: &str,
    limit: Option<usize>,
    after: Option<&str>,
) -> Result<Page<(Rank, K)>, Problem> {
    let read = |text: &str| -> Result<_, Problem> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or_else(malformed);
        let class = part()?.parse().map_err(|_| malformed())?;
        let value = part()?.parse().map_err(|_| malformed())?;
        Ok((Rank { class, value }, identifier::parse(kind, part()?)?))
    };
    let first = Page::first(check_limit(limit)?);
    Ok(Page { after: after.map(read).transpose()?, ..first })
}

fn malformed() -> Problem {
    Problem::bad_request("`after` must be that of a Link header of this list")
}
