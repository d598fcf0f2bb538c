//! Error responses: an HTTP status and a JSON body `{error, message}`.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::EngineStopped;

/// The seconds after which a client may repeat a request that got 503.
const RETRY_AFTER: usize = 2;

/// The body of an error response.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The kind of error.
    pub error: ProblemKind,
    /// The reason, as a sentence for an operator. That of a value that breaks a rule names field, value and rule.
    pub message: String,
    /// The methods of the path, for the header `Allow`.
    #[serde(skip)]
    #[schema(ignore)]
    allow: Option<String>,
}

/// The kind of an error. Each has one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// 400: the query or the body is malformed.
    BadRequest,
    /// 401: the request has no valid token.
    Unauthorized,
    /// 403: the request comes from a web page of another origin.
    ForeignOrigin,
    /// 404: the path, peer or topic is unknown.
    NotFound,
    /// 405: the path does not have this method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    SlowRequest,
    /// 409: the state of the engine or the transport does not permit the operation.
    Conflict,
    /// 409: the topic of the publication is not joined.
    NotJoined,
    /// 409: too few peers would get the publication, so it was not published.
    NoPeers,
    /// 409: a message with this id was published or received before.
    Duplicate,
    /// 409: the message has expired.
    Outdated,
    /// 413: the body or the message is too large.
    TooLarge,
    /// 415: the body has another content type.
    UnsupportedMediaType,
    /// 421: the server does not answer to this host name.
    UnknownHost,
    /// 503: as many requests of this kind are in progress as are allowed.
    Busy,
    /// 503: the engine refused the publication, because a queue is full.
    Refused,
    /// 503: the message was lost: its topic panicked, or the engine ended.
    Lost,
    /// 503: the engine has stopped.
    Stopped,
    /// 503: the transport does not answer.
    Transport,
    /// 503: the engine did not answer in time. A message may still be published.
    Timeout,
}

impl ProblemKind {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowRequest => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict | Self::NotJoined | Self::NoPeers | Self::Duplicate | Self::Outdated => {
                StatusCode::CONFLICT
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Busy | Self::Refused | Self::Lost | Self::Stopped | Self::Transport | Self::Timeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

/// The OpenAPI entry of a 400.
#[derive(IntoResponses)]
#[response(status = 400, description = "The query or the body is malformed")]
pub(super) struct BadRequest(#[expect(dead_code, reason = "documents the body")] Problem);

/// The OpenAPI entry of a 404.
#[derive(IntoResponses)]
#[response(status = 404, description = "The engine does not know this peer or topic")]
pub(super) struct NotFound(#[expect(dead_code, reason = "documents the body")] Problem);

/// The OpenAPI entry of a 503.
#[derive(IntoResponses)]
#[response(
    status = 503,
    description = "The engine has stopped, or it or the transport did not answer within two seconds; what was asked may still \
        happen"
)]
pub(super) struct Unavailable(#[expect(dead_code, reason = "documents the body")] Problem);

impl Problem {
    pub(super) fn new(error: ProblemKind, message: impl Into<String>) -> Self {
        Self { error, message: message.into(), allow: None }
    }

    /// 400: the request is malformed.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, message)
    }

    /// 404: the path, peer or topic is unknown.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, message)
    }

    /// 405: the path exists, and has the methods `allow` instead.
    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let message = format!("this path has the methods {allow}");
        Self { allow: Some(allow.to_owned()), ..Self::new(ProblemKind::MethodNotAllowed, message) }
    }

    /// 409: the state of the engine or the transport does not permit the operation.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, message)
    }

    /// 503: the transport does not answer.
    pub(super) fn transport(message: String) -> Self {
        Self::new(ProblemKind::Transport, message)
    }

    /// 503: the engine is too busy to answer in time.
    pub(super) fn timeout() -> Self {
        Self::new(ProblemKind::Timeout, "the engine did not answer within 2 s")
    }

    /// 503: `who` did not answer in time, with this consequence.
    pub(super) fn late(kind: ProblemKind, who: &str, consequence: &str) -> Self {
        Self::new(kind, format!("{who} did not answer within 2 s: {consequence}"))
    }
}

impl From<EngineStopped> for Problem {
    fn from(stopped: EngineStopped) -> Self {
        Self::new(ProblemKind::Stopped, stopped.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.error.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.error == ProblemKind::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"gossipsub\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        response.json(self)
    }
}
