//! Answers that are none: what went wrong, as a status and a JSON object. Logs nothing.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::EngineStopped;

/// The body of an answer that is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
    /// What kind of error it is, as a word.
    pub error: &'static str,
    /// What is wrong, for a person.
    pub message: String,
}

impl Problem {
    /// 400: it can't be understood.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "bad_request", message: message.into() }
    }

    /// 404: it is not known.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: "not_found", message: message.into() }
    }

    /// 405: not this way.
    pub(super) fn method() -> Self {
        let message = "this path does not take this method".to_owned();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, error: "method_not_allowed", message }
    }

    /// 409: it can't be done now.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, error: "conflict", message: message.into() }
    }

    /// 503: the engine is too busy to answer.
    pub(super) fn unanswered() -> Self {
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
        HttpResponse::build(self.status).json(self)
    }
}
