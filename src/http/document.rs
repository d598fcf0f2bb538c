//! The OpenAPI documents, collected from the same endpoints that the scopes serve.

use utoipa::{
    OpenApi,
    openapi::{Components, OpenApi as Document},
};
use utoipa_actix_web::{OpenApiFactory, scope::scope};

use super::{handlers, problem::Problem};
use crate::plain::PlainNetwork;

/// Title, version and licence come from the package's manifest.
#[derive(OpenApi)]
#[openapi(info(description = "The state of one gossipsub engine. Read-only."), components(schemas(Problem)))]
struct ReadOnlyApi;

#[derive(OpenApi)]
#[openapi(
    info(description = "Administration of one gossipsub node. Unauthenticated."),
    components(schemas(Problem))
)]
struct AdminApi;

/// The OpenAPI document of [`scope`](super::scope), which also serves it at `/openapi.json`.
pub fn document() -> Document {
    // The document is the same for every network.
    describe(&handlers::endpoints::<PlainNetwork>())
}

/// The OpenAPI document of [`admin_scope`](super::admin_scope).
pub fn admin_document() -> Document {
    let endpoints = scope(handlers::admin::PREFIX).service(handlers::admin::endpoints::<PlainNetwork>());
    with_endpoints(AdminApi::openapi(), &endpoints)
}

/// Takes the documentation out of `endpoints`: they can be served afterwards, but not described again.
pub(super) fn describe(endpoints: &impl OpenApiFactory) -> Document {
    with_endpoints(ReadOnlyApi::openapi(), endpoints)
}

fn with_endpoints(mut document: Document, endpoints: &impl OpenApiFactory) -> Document {
    let mut schemas = Vec::new();
    endpoints.schemas(&mut schemas);
    document.components.get_or_insert_with(Components::new).schemas.extend(schemas);
    document.paths = endpoints.paths();
    document
}
