//! Who may use the admin scope.

use std::{fmt, sync::Arc};

use actix_web::{
    body::BoxBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::header::AUTHORIZATION,
    middleware::Next,
};
use subtle::ConstantTimeEq;

use super::{
    hosts::text,
    problem::{Problem, ProblemKind},
};

/// Decides which requests the [`admin_scope`](super::admin_scope) answers; the others get 401.
#[derive(Clone)]
pub struct AdminGuard(Arc<Check>);

type Check = dyn Fn(&RequestHead) -> bool + Send + Sync;

impl AdminGuard {
    /// Requests with the header `Authorization: Bearer TOKEN`. Use it over loopback, a private network or TLS: anyone who
    /// can read a request has the token.
    pub fn token(token: AdminToken) -> Self {
        Self::custom(move |head| bearer(head).is_some_and(|given| token.equals(given)))
    }

    /// The requests for which `permits` returns true. One that always does so leaves the protection to the caller, for
    /// example where the server listens on a socket that only its user can open.
    pub fn custom(permits: impl Fn(&RequestHead) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(permits))
    }

    /// Calls the endpoint if the request is permitted.
    pub(super) async fn check(
        self,
        request: ServiceRequest,
        next: Next<BoxBody>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        if (self.0)(request.head()) {
            return next.call(request).await;
        }
        let message = match bearer(request.head()) {
            Some(_) => "the token is wrong",
            None => "the admin scope needs the header Authorization: Bearer TOKEN",
        };
        Ok(request.error_response(Problem::new(ProblemKind::Unauthorized, message)))
    }
}

impl fmt::Debug for AdminGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminGuard")
    }
}

/// The token of a request. The scheme is case-insensitive (RFC 9110, section 11.1).
fn bearer(head: &RequestHead) -> Option<&str> {
    let (scheme, token) = text(head.headers(), &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A secret by which an operator is known. `Debug` does not print it.
#[derive(Clone)]
pub struct AdminToken(Arc<str>);

/// The text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has {} to {} characters of a-z, A-Z, 0-9 and -._~+/= (RFC 6750)",
    AdminToken::MIN,
    AdminToken::MAX
)]
pub struct InvalidToken;

impl AdminToken {
    /// The fewest characters of a token: 128 bits if they are hexadecimal digits.
    pub const MIN: usize = 32;
    /// The most characters of a token.
    pub const MAX: usize = 1_024;

    /// A token with this text.
    ///
    /// # Errors
    /// The text is too short or too long, or has a character that the header can't carry.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if (Self::MIN..=Self::MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidToken)
        }
    }

    /// A new random token of 256 bits.
    pub fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    /// The text, to give it to the operator.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the same time wherever the texts differ.
    fn equals(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_not_printed() {
        let token = AdminToken::random();
        assert_eq!(token.reveal().len(), 64);
        assert_ne!(token.reveal(), AdminToken::random().reveal());
        assert!(!format!("{token:?}").contains(token.reveal()));
        assert_eq!(AdminToken::new(token.reveal()).map(|again| token.equals(again.reveal())), Ok(true));
        assert!(!token.equals("") && !token.equals(&token.reveal()[1..]));
        for text in ["", "short", &"a".repeat(31), &"a b".repeat(20), &"ü".repeat(32), &"a".repeat(1_025)] {
            assert_eq!(AdminToken::new(text).err(), Some(InvalidToken), "{text}");
        }
    }
}
