//! The OpenAPI document: what can be asked and what is answered, for programs. Held against the real answers
//! by `tests/http`; answers nothing else.

use actix_web::HttpResponse;
use utoipa::{
    OpenApi,
    openapi::{
        ArrayBuilder, Content, HttpMethod, InfoBuilder, License, ObjectBuilder, OpenApi as Document,
        PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
    },
};

use super::{answers::*, names::Name, problem::Problem};
use crate::protocol::Stats;

/// The document of [`scope`](super::scope).
pub fn document() -> Document {
    #[derive(OpenApi)]
    #[openapi(components(schemas(
        Health,
        Check,
        CheckStatus,
        Status,
        TopicPeers,
        TopicFanout,
        PeerConnection,
        Connection,
        ReconnectionDelay,
        PeerScore,
        TopicBackoffs,
        Backoff,
        CacheTick,
        TopicCacheSize,
        ExplainedScore,
        TopicScore,
        ThresholdState,
        Explanation,
        TopicMembership,
        Events,
        Event,
        EventCount,
        QueueState,
        MapSize,
        Stats,
        Name,
        Problem
    )))]
    struct Components;

    let mut document = Components::openapi();
    document.info = InfoBuilder::new()
        .title("actix-gossipsub")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("What one gossipsub engine knows of itself. Read-only."))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    let paths = questions().into_iter().fold(PathsBuilder::new(), |paths, question| {
        let path = question.path;
        paths.path(path, PathItem::new(HttpMethod::Get, question.operation()))
    });
    document.paths = paths.build();
    document
}

pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

/// A path, and what it answers.
struct Question {
    path: &'static str,
    what: &'static str,
    answer: Body,
    parameters: &'static [&'static str],
}

enum Body {
    One(&'static str),
    List(&'static str),
    /// JSON of no fixed form.
    Any,
    Text(&'static str),
}

/// Every word of a query or path: its type, and what it means.
const PARAMETERS: [(&str, Type, &str); 7] = [
    ("peer", Type::String, "A peer, as text"),
    ("limit", Type::Integer, "At most so many, 1 to 10,000; 1,000 unless said"),
    ("after", Type::String, "From behind this name: the last of the page before"),
    ("all", Type::Boolean, "Also of topics that are not joined"),
    ("topic", Type::String, "Of this topic alone"),
    ("topics", Type::Boolean, "Whether to list each peer's topics; true unless said"),
    ("since", Type::Integer, "The events with greater numbers"),
];

const PAGE: &[&str] = &["limit", "after"];

#[rustfmt::skip]
fn questions() -> Vec<Question> {
    use Body::{Any, List, One, Text};
    let ask = |path, what, answer, parameters| Question { path, what, answer, parameters };
    vec![
        ask("/", "A page that shows all of this, alive", Text("text/html"), &[]),
        ask("/metrics", "The scrape, for Prometheus", Text("text/plain"), &[]),
        ask("/openapi.json", "This document", Any, &[]),
        ask("/health", "Whether the engine works; 503 with the same body when it is down", One("Health"), &[]),
        ask("/p2p/gossipsub/topics", "The joined topics", List("Name"), PAGE),
        ask("/p2p/gossipsub/topics/peers", "The connected peers that subscribed to each topic", List("TopicPeers"), &["limit", "after", "all"]),
        ask("/p2p/gossipsub/mesh", "The mesh of each joined topic", List("TopicPeers"), &["limit", "after", "topic"]),
        ask("/p2p/gossipsub/fanout", "The peers of each topic that is published to without being joined", List("TopicFanout"), PAGE),
        ask("/p2p/gossipsub/connections", "The connected peers", List("PeerConnection"), &["limit", "after", "topics"]),
        ask("/p2p/gossipsub/scores", "The scores of connected peers, and of those remembered", List("PeerScore"), PAGE),
        ask("/p2p/gossipsub/scores/{peer}", "A score taken apart; the page is one of its topics", One("ExplainedScore"), &["peer", "limit", "after"]),
        ask("/p2p/gossipsub/backoffs", "Who may not be grafted, and until when", List("TopicBackoffs"), PAGE),
        ask("/p2p/gossipsub/message_cache", "The messages kept for those who ask, by heartbeat; the page is one of topics", List("CacheTick"), PAGE),
        ask("/p2p/gossipsub/reconnection_delays", "The points that could not be reached", List("ReconnectionDelay"), PAGE),
        ask("/p2p/gossipsub/explain/{peer}", "The last decisions about a peer", One("Explanation"), &["peer", "topic"]),
        ask("/p2p/gossipsub/events", "What happened lately", One("Events"), &["since", "limit"]),
        ask("/p2p/gossipsub/decisions", "How often each thing happened since the start", List("EventCount"), &[]),
        ask("/p2p/gossipsub/parameters", "The limits in force, as in a parameter file", Any, &[]),
        ask("/p2p/gossipsub/stats", "The sixteen counters", One("Stats"), &[]),
        ask("/p2p/gossipsub/queues", "What waits in each queue", List("QueueState"), &[]),
        ask("/p2p/gossipsub/footprint", "What each map holds", List("MapSize"), &[]),
    ]
}

impl Question {
    fn operation(&self) -> OperationBuilder {
        let mut operation = OperationBuilder::new().summary(Some(self.what));
        for (name, kind, meaning) in PARAMETERS.iter().filter(|(name, ..)| self.parameters.contains(name)) {
            let in_path = self.path.contains(&format!("{{{name}}}"));
            let parameter = ParameterBuilder::new()
                .name(*name)
                .parameter_in(if in_path { ParameterIn::Path } else { ParameterIn::Query })
                .required(if in_path { Required::True } else { Required::False })
                .description(Some(*meaning))
                .schema(Some(ObjectBuilder::new().schema_type(kind.clone())));
            operation = operation.parameter(parameter);
        }
        operation = operation.response("200", response(self.what, &self.answer));
        for (status, why) in self.problems() {
            operation = operation.response(status, response(why, &Body::One("Problem")));
        }
        if self.path == "/health" {
            operation = operation.response("503", response("The engine is down", &self.answer));
        }
        operation
    }

    fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        if !self.parameters.is_empty() {
            problems.push(("400", "The path or the query can't be understood"));
        }
        if self.parameters.iter().any(|name| ["peer", "topic"].contains(name)) || self.path == "/metrics" {
            problems.push(("404", "It is not known"));
        }
        if self.path.starts_with("/p2p") && !self.path.ends_with("/parameters") {
            problems.push(("503", "The engine has ended, or does not answer within two seconds"));
        }
        problems
    }
}

fn response(what: &str, body: &Body) -> ResponseBuilder {
    let known = |name: &str| RefOr::from(Ref::from_schema_name(name));
    let (mime, schema): (_, RefOr<Schema>) = match body {
        Body::One(name) => ("application/json", known(name)),
        Body::List(name) => ("application/json", ArrayBuilder::new().items(known(name)).into()),
        Body::Any => ("application/json", ObjectBuilder::new().schema_type(Type::Object).into()),
        Body::Text(mime) => (*mime, ObjectBuilder::new().schema_type(Type::String).into()),
    };
    ResponseBuilder::new().description(what).content(mime, Content::new(Some(schema)))
}
