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
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
    /// The kind of error: `bad_request`, `not_found`, `method_not_allowed`, `conflict`, `timeout`,
    /// `transport` or `stopped`.
    pub error: &'static str,
    /// The reason, as a sentence for an operator.
    pub message: String,
}

/// The OpenAPI entry of a 400.
#[derive(IntoResponses)]
#[response(status = 400, description = "The path, the query or the body is malformed")]
pub(super) struct BadRequest(#[expect(dead_code, reason = "documents the body")] Problem);

/// The OpenAPI entry of a 404.
#[derive(IntoResponses)]
#[response(status = 404, description = "The engine does not know this peer or topic")]
pub(super) struct NotFound(#[expect(dead_code, reason = "documents the body")] Problem);

/// The OpenAPI entry of a 503.
#[derive(IntoResponses)]
#[response(status = 503, description = "The engine has stopped or did not answer within two seconds")]
pub(super) struct Unavailable(#[expect(dead_code, reason = "documents the body")] Problem);

impl Problem {
    /// 400: the request is malformed.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "bad_request", message: message.into() }
    }

    /// 404: the path, peer or topic is unknown.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: "not_found", message: message.into() }
    }

    /// 405: the path exists, but not with this method.
    pub(super) fn method_not_allowed() -> Self {
        let message = "this path does not support this method".to_owned();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, error: "method_not_allowed", message }
    }

    /// 409: the state of the engine or the transport does not permit the operation.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, error: "conflict", message: message.into() }
    }

    /// 503: the transport does not answer.
    pub(super) fn transport(message: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: "transport", message }
    }

    /// 503: the engine is too busy to answer in time.
    pub(super) fn timeout() -> Self {
        let message = "the engine did not answer within 2 s".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: "timeout", message }
    }
}

impl From<EngineStopped> for Problem {
    fn from(stopped: EngineStopped) -> Self {
        let message = stopped.to_string();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: "stopped", message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        response.json(self)
    }
}
