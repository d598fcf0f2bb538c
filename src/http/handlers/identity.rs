//! Who this node is, as its application says.

use actix_web::{HttpResponse, web::Data};

use super::Response;
use crate::http::{problem::Problem, responses::Identity};

/// Describes the node of the application, for [`identity`].
pub(in crate::http) type Describe = dyn Fn() -> Identity + Send + Sync;

/// The peer id of this node, and the addresses at which it listens
#[utoipa::path(
    get,
    path = "/p2p/identity",
    responses(
        (status = 200, description = "The node", body = Identity),
        (status = 404, description = "The application does not describe its node", body = Problem),
    )
)]
pub(super) async fn identity(describe: Option<Data<Describe>>) -> Response {
    let describe =
        describe.ok_or_else(|| Problem::not_found("this application does not describe its node"))?;
    Ok(HttpResponse::Ok().json(describe()))
}
