//! The identity of this node, as the application describes it.

use actix_web::{HttpResponse, web::Data};

use super::Response;
use crate::http::responses::Identity;

/// Describes the node of the application, for [`identity`].
pub(in crate::http) type Describe = dyn Fn() -> Identity + Send + Sync;

/// The peer id of this node, and the addresses at which it listens
#[utoipa::path(
    get,
    path = "/p2p/identity",
    responses((status = 200, description = "The node; empty if the application does not describe it", body = Identity))
)]
pub(super) async fn identity(describe: Option<Data<Describe>>) -> Response {
    Ok(HttpResponse::Ok().json(describe.map_or_else(Identity::default, |describe| describe())))
}
