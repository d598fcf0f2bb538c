//! Publication of a message, and the stream of those that are delivered.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{Data, Path, Payload},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::{QUERY_TIMEOUT, Response};
use crate::{
    NotPublished, PublishOptions, Refused, Worker,
    http::{
        Displayable,
        identifier::{self, Identifier},
        messages::{Filter, Messages},
        paging::{flag, flag_schema},
        problem::{BadRequest, Problem, ProblemKind, Unavailable},
        request::{self, Query},
        responses::Published,
        sse::EventStream,
    },
};

/// The bytes of a JSON body besides the content.
const JSON_OVERHEAD: usize = 1_024;
/// The most peers that a publication may demand.
const MAX_MIN_PEERS: usize = 1_000;

/// base64 with all of its padding, with a part of it or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The content of a message, in one of three forms.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// Text; its UTF-8 is the content.
    Data(String),
    /// base64 with the standard alphabet. Padding may be left out.
    Base64(String),
    /// Hexadecimal digits.
    Hex(String),
}

impl Content {
    fn bytes(self) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Data(text) => Ok(text.into_bytes()),
            Self::Base64(text) => BASE64.decode(text).map_err(|_| {
                Problem::bad_request(
                    "base64: must have the characters A-Z, a-z, 0-9, + and /, and = at the end only",
                )
            }),
            Self::Hex(text) => hex::decode(text)
                .map_err(|_| Problem::bad_request("hex: must have an even number of hexadecimal digits")),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    /// The message is published only if it can be sent to as many peers. With 0 it is published even if nobody gets it.
    /// Default: 1.
    #[param(minimum = 0, maximum = 1_000)]
    min_peers: Option<usize>,
    /// Also publish on a topic that is not joined.
    #[param(schema_with = flag_schema, required = false)]
    #[serde(default, deserialize_with = "flag")]
    unjoined: bool,
}

/// Publishes a message
///
/// The body is the content: as it is (`application/octet-stream`), or in an object (`application/json`). The response comes
/// when the message is queued for its peers. After a `timeout` the message may still be published.
#[utoipa::path(
    post,
    path = "/p2p/gossipsub/topics/{topic}/messages",
    params(("topic" = String, Path, description = "The topic, as text"), PublishQuery),
    request_body(content((Content = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 202, description = "The message is queued for its peers", body = Published),
        BadRequest,
        (status = 404, description = "The application serves no messages", body = Problem),
        (status = 408, description = "The body did not arrive within ten seconds", body = Problem),
        (
            status = 409,
            description = "Not published: `not_joined`, `no_peers`, `duplicate`, `outdated`, or `conflict` if the network \
                refuses the message",
            body = Problem,
        ),
        (status = 413, description = "The content is too large for a message (`too_large`)", body = Problem),
        Unavailable,
    )
)]
pub(super) async fn publish<N: Displayable>(
    request: HttpRequest,
    path: Path<String>,
    query: Query<PublishQuery>,
    payload: Payload,
    worker: Data<Worker<N>>,
    messages: Option<Data<Messages<N>>>,
) -> Response {
    let messages = messages.ok_or_else(without_messages)?;
    super::check_running(&worker)?;
    let topic: N::Topic = identifier::parse("topic", &path)?;
    let min_peers = query.min_peers.unwrap_or(1);
    if min_peers > MAX_MIN_PEERS {
        let message = format!("min_peers = {min_peers}: must be from 0 to {MAX_MIN_PEERS}");
        return Err(Problem::bad_request(message));
    }
    if !query.unjoined && !worker.is_subscribed(&topic) {
        let message = "this topic is not joined; with the parameter `unjoined` it is published all the same";
        return Err(Problem::new(ProblemKind::NotJoined, message));
    }
    let busy = || Problem::new(ProblemKind::Busy, "too many messages are being published by this API");
    let _permit = messages.publication_permit().ok_or_else(busy)?;
    let max = messages.contents().max_content(&topic);
    let content = content(&request, payload, max).await?;
    let message = messages.contents().message(topic, content).map_err(Problem::conflict)?;
    let message_id = Identifier::new(&message.message_id);
    let options = PublishOptions::default().with(|options| options.min_peers = min_peers);
    // A publication of this scope waits for no peers, so only a topic that is blocked takes longer.
    let published = timeout(QUERY_TIMEOUT, worker.publish_with(message, options)).await;
    let late = |_| Problem::late(ProblemKind::Timeout, "the topic", "the message may still be published");
    let ticket = published.map_err(late)?.map_err(not_published)?;
    Ok(HttpResponse::Accepted().json(Published { message_id, peers: ticket.report().queued }))
}

/// The content that a body has, at most `max` bytes.
async fn content(request: &HttpRequest, payload: Payload, max: usize) -> Result<Vec<u8>, Problem> {
    let bytes = match request::content_type(request).as_str() {
        "application/octet-stream" => request::read(payload, max).await?.to_vec(),
        // JSON may escape any character, with six bytes for each (`\u0041`).
        "application/json" => {
            let body = request::read(payload, max.saturating_mul(6).saturating_add(JSON_OVERHEAD)).await?;
            request::parse::<Content>(&body)?.bytes()?
        }
        _ => {
            let message = "the content type must be application/octet-stream or application/json";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, message));
        }
    };
    if bytes.len() > max {
        let message = format!("the content has {} bytes, and a message at most {max}", bytes.len());
        return Err(Problem::new(ProblemKind::TooLarge, message));
    }
    Ok(bytes)
}

fn not_published(reason: NotPublished) -> Problem {
    let kind = match reason {
        NotPublished::TooFewPeers { .. } => ProblemKind::NoPeers,
        NotPublished::TooLarge => ProblemKind::TooLarge,
        NotPublished::AlreadyPublished => ProblemKind::Duplicate,
        NotPublished::Outdated => ProblemKind::Outdated,
        NotPublished::Lost => ProblemKind::Lost,
        NotPublished::Refused(Refused::Stopped) => ProblemKind::Stopped,
        NotPublished::Refused(_) => ProblemKind::Refused,
    };
    Problem::new(kind, reason.to_string())
}

fn without_messages() -> Problem {
    Problem::not_found("this application serves no messages")
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    /// Only messages and events of this topic.
    topic: Option<String>,
    /// Whether to send delivered messages. Default: true.
    messages: Option<bool>,
    /// Whether to send engine events and decisions. Default: true.
    events: Option<bool>,
}

/// The delivered messages and the events of the engine, from now on
///
/// Server-sent events, each with a JSON object: `message` (`StreamedMessage`), `decision` (`Event`), `engine` (`EngineNotice`),
/// `missed` (`Missed`) where the reader was too slow, and `end` when the engine has ended or the node stops. A comment follows every
/// 15 seconds.
/// At most 8 readers at a time.
#[utoipa::path(
    get,
    path = "/p2p/gossipsub/stream",
    params(StreamQuery),
    responses(
        (status = 200, description = "The stream", content_type = "text/event-stream", body = String),
        BadRequest,
        (status = 404, description = "The application serves no messages", body = Problem),
        Unavailable,
    )
)]
pub(super) async fn stream<N: Displayable>(
    request: HttpRequest,
    query: Query<StreamQuery>,
    worker: Data<Worker<N>>,
    messages: Option<Data<Messages<N>>>,
) -> Response {
    let messages = messages.ok_or_else(without_messages)?;
    let topic: Option<N::Topic> =
        query.topic.as_deref().map(|text| identifier::parse("topic", text)).transpose()?;
    super::check_running(&worker)?;
    if messages.is_over() {
        return Err(Problem::new(ProblemKind::Stopped, "the streams have ended"));
    }
    let filter = match (query.messages.unwrap_or(true), &topic) {
        (false, _) => Filter::Nothing,
        (true, Some(topic)) => Filter::Topic(topic.clone()),
        (true, None) => Filter::Everything,
    };
    let busy = || Problem::new(ProblemKind::Busy, "too many readers read the stream");
    let reader = messages.read(&worker, filter).ok_or_else(busy)?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream");
    // Proxies must neither store nor collect it.
    response.insert_header((header::CACHE_CONTROL, "no-store")).insert_header(("x-accel-buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    Ok(response.streaming(EventStream::new(&worker, reader, query.events.unwrap_or(true), topic)))
}
