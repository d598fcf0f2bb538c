//! The OpenAPI documents, collected from the same endpoints that the scopes serve, and completed with what holds for all of
//! them: HEAD, refusals, the names of operations, and the identifiers of the network.

use serde_json::{Map, Value, json};
use utoipa::{OpenApi, openapi::Components};
use utoipa_actix_web::{OpenApiFactory, scope::scope};

use super::{
    Displayable, handlers, parameters,
    problem::Problem,
    responses::{EngineNotice, Event, Missed, StreamedMessage},
    shape::Shape,
};
use crate::{
    Page, Worker,
    limits::TopicScoreLimits,
    protocol::{EventKind, Threshold, TopicProblem},
};

/// Title, version and licence come from the package's manifest.
#[derive(OpenApi)]
#[openapi(info(description = "The state of one gossipsub engine. Read-only."), components(schemas(Problem)))]
struct ReadOnlyApi;

#[derive(OpenApi)]
#[openapi(
    info(description = "Administration of one gossipsub node. Each request needs a token."),
    components(schemas(Problem, StreamedMessage, Event, EngineNotice, Missed))
)]
struct AdminApi;

/// The OpenAPI document of [`scope`](super::scope). The scope serves it at `/openapi.json`, with examples from its engine.
pub fn document<N: Displayable>() -> Value {
    complete::<N>(ReadOnlyApi::openapi(), &handlers::endpoints::<N>(), false)
}

/// The OpenAPI document of [`admin_scope`](super::admin_scope). The scope serves it at `/admin/openapi.json`, with examples
/// from its engine.
pub fn admin_document<N: Displayable>() -> Value
where
    N::Point: serde::de::DeserializeOwned,
{
    let endpoints = scope(handlers::admin::PREFIX).service(handlers::admin::endpoints::<N>());
    let mut document = complete::<N>(AdminApi::openapi(), &endpoints, true);
    let schemas = &mut document["components"]["schemas"];
    schemas["Connect"]["properties"]["point"] = Shape::of::<N::Point>().schema("point");
    schemas["Join"]["properties"]["topic"] = Shape::of::<N::Topic>().schema("topic");
    for (body, field) in [("Connect", "point"), ("Join", "topic")] {
        let schema = &mut schemas[body]["properties"][field];
        if schema["type"] == "string" {
            schema["minLength"] = 1.into();
        }
    }
    schemas["TopicScore"]["properties"]["parameters"] = score_parameters();
    parameters::add_schemas(schemas, Shape::of::<N::Topic>());
    strict_variants(&mut schemas["Content"]);
    let binary = "/admin/p2p/gossipsub/topics/{topic}/messages";
    document["paths"][binary]["post"]["requestBody"]["content"]["application/octet-stream"] = json!({});
    document
}

/// The documents of the engines of one process differ in their examples only.
pub(super) struct Document(pub(super) Value);

impl Document {
    /// The document with a connected peer and a joined topic as examples, so that they can be tried.
    pub(super) fn with_examples<N: Displayable>(&self, worker: &Worker<N>, peer: Option<N::Peer>) -> Value {
        let topic = worker.topics(&Page::first(1)).items.into_iter().next();
        let example = |kind: &str| match kind {
            "peer" => peer.as_ref().and_then(|peer| serde_json::to_value(peer).ok()),
            "topic" => topic.as_ref().and_then(|topic| serde_json::to_value(topic).ok()),
            _ => None,
        };
        let mut document = self.0.clone();
        for_each_operation(&mut document, |_, _, operation| {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let Some(value) = parameter["name"].as_str().and_then(example) else { continue };
                // In a path or a query anything but a string is the text of its JSON.
                let is_text = parameter["schema"]["type"] == "string" && !value.is_string();
                parameter["example"] = if is_text { value.to_string().into() } else { value };
            }
        });
        if let Some(topic) = example("topic") {
            let join = document.pointer_mut("/components/schemas/Join/properties/topic");
            if let Some(join) = join {
                join["example"] = topic;
            }
        }
        document
    }
}

fn complete<N: Displayable>(
    mut document: utoipa::openapi::OpenApi,
    endpoints: &impl OpenApiFactory,
    is_admin: bool,
) -> Value {
    let mut schemas = Vec::new();
    endpoints.schemas(&mut schemas);
    document.components.get_or_insert_with(Components::new).schemas.extend(schemas);
    document.paths = endpoints.paths();
    // It consists of strings, numbers and lists of them.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    for_each_operation(&mut document, |path, method, operation| {
        name_parameters::<N>(path, operation);
        name_operation(method, operation);
        let has_body = operation.get("requestBody").is_some();
        let responses = &mut operation["responses"];
        let mut refusals = vec![
            ("403", "A web page of another origin sent the request"),
            ("421", "The server does not answer to the host name of the request"),
        ];
        if is_admin {
            refusals.push(("401", "The request has no valid token"));
        }
        if has_body {
            refusals.push(("413", "The body is too large"));
            refusals.push(("415", "The body has another content type"));
            refusals.push(("408", "The body did not arrive within ten seconds"));
        }
        for (status, description) in refusals {
            if responses.get(status).is_none() {
                responses[status] = problem(description);
            }
        }
        if is_admin {
            responses["401"]["headers"] = json!({
                "WWW-Authenticate": { "schema": { "type": "string" }, "description": "The scheme: Bearer" }
            });
        }
    });
    unsigned_integers(&mut document);
    list_names(&mut document["components"]["schemas"]);
    add_head(&mut document);
    if is_admin {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "token": [] }]);
    }
    document
}

/// utoipa gives a `u64` the format `int64`, whose largest value is smaller.
fn unsigned_integers(part: &mut Value) {
    match part {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(|format| format == "int64") && fields.contains_key("minimum")
            {
                fields.remove("format");
                fields.insert("maximum".to_owned(), u64::MAX.into());
            }
            fields.values_mut().for_each(unsigned_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(unsigned_integers),
        _ => {}
    }
}

/// Lists the names that a field may have.
fn list_names(schemas: &mut Value) {
    let thresholds = json!(Threshold::ALL.map(Threshold::name));
    let kinds = json!(EventKind::names().collect::<Vec<_>>());
    let problems = TopicProblem::ALL.map(TopicProblem::name).map(Value::from);
    let problems_or_null: Value = problems.into_iter().chain([Value::Null]).collect();
    for (field, names) in [
        ("/ThresholdStatus/properties/name", &thresholds),
        ("/PeerSummary/properties/below/items", &thresholds),
        ("/Event/properties/type", &kinds),
        ("/EventCount/properties/type", &kinds),
        ("/TopicSummary/properties/problem", &problems_or_null),
    ] {
        // Each document has some of them.
        if let Some(schema) = schemas.pointer_mut(field) {
            schema["enum"] = names.clone();
        }
    }
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// Calls `change` with path, method and operation.
fn for_each_operation(document: &mut Value, mut change: impl FnMut(&str, &str, &mut Value)) {
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            change(path, method, operation);
        }
    }
}

/// utoipa takes the names of the handlers. One that reads a thing has its name.
fn name_operation(method: &str, operation: &mut Value) {
    if let (true, Some(name)) = (method == "get", operation["operationId"].as_str()) {
        operation["operationId"] = format!("get_{name}").into();
    }
}

/// Gives the identifiers among the parameters the type that they have in this network.
fn name_parameters<N: Displayable>(path: &str, operation: &mut Value) {
    let (peer, topic) = (Shape::of::<N::Peer>(), Shape::of::<N::Topic>());
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let of_peers = path.ends_with("/connections") || path.ends_with("/scores");
        let schema = match parameter["name"].as_str() {
            Some("peer") => peer.text_schema("peer"),
            Some("topic") => topic.text_schema("topic"),
            Some("after") if path.ends_with("/peers/status") => ranked_position("peer"),
            Some("after") if path.ends_with("/topics/status") => ranked_position("topic"),
            Some("after") if of_peers => peer.text_schema("peer"),
            Some("after") if !path.ends_with("/reconnection_delays") => topic.text_schema("topic"),
            _ => continue,
        };
        parameter["schema"] = schema;
        if parameter["in"] == "path" && parameter["schema"]["type"] == "string" {
            parameter["schema"]["minLength"] = 1.into();
        }
    }
}

/// The schema of a position in a list by rank. Its last part is the identifier of a peer or topic.
fn ranked_position(kind: &str) -> Value {
    json!({ "type": "string", "format": format!("{kind}_position") })
}

/// HEAD is served wherever GET is: the same without the body.
fn add_head(document: &mut Value) {
    for item in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(mut head) = item.get("get").cloned() else { continue };
        let name = head["operationId"].as_str().and_then(|name| name.strip_prefix("get_"));
        head["operationId"] = format!("head_{}", name.unwrap_or_default()).into();
        for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            response.as_object_mut().map(|response| response.remove("content"));
        }
        item["head"] = head;
    }
}

/// The schema of score parameters, from their defaults: numbers, and durations as text.
fn score_parameters() -> Value {
    let defaults = serde_json::to_value(TopicScoreLimits::default()).unwrap_or_default();
    let mut properties = Map::new();
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let property = match default.is_string() {
            true => json!({ "type": "string", "format": "humantime", "default": default }),
            false => json!({ "type": "number", "default": default }),
        };
        properties.insert(name.clone(), property);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// An object with one field of several, and what its texts consist of.
fn strict_variants(schema: &mut Value) {
    for variant in schema["oneOf"].as_array_mut().into_iter().flatten() {
        variant["additionalProperties"] = false.into();
        for (name, pattern) in [
            ("base64", "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}={0,2}|[A-Za-z0-9+/]{3}=?)?$"),
            ("hex", "^([0-9a-fA-F]{2})*$"),
        ] {
            if variant["properties"].get(name).is_some() {
                variant["properties"][name]["pattern"] = pattern.into();
            }
        }
    }
}
