//! What the transport knows of a peer, as the application describes it.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};

use super::{Response, admin::TransportFuture, check_running, with_deadline};
use crate::{
    Worker,
    http::{
        Displayable, identifier,
        problem::{BadRequest, Problem, Unavailable},
        responses::PeerDetails,
    },
};

/// Describes the peer with this text, for [`details`].
pub(in crate::http) type DescribePeer = dyn Fn(String) -> TransportFuture<PeerDetails> + Send + Sync;

/// What the transport knows of a peer
#[utoipa::path(
    get,
    path = "/p2p/peers/{peer}",
    params(("peer" = String, Path, description = "The peer, as text")),
    responses(
        (status = 200, description = "The peer; its fields are null if it is not connected, or if the application does not describe peers", body = PeerDetails),
        BadRequest,
        Unavailable,
    )
)]
pub(super) async fn peer_details<N: Displayable>(
    path: Path<String>,
    worker: Data<Worker<N>>,
    describe: Option<Data<DescribePeer>>,
) -> Response {
    let _: N::Peer = identifier::parse("peer", &path)?;
    check_running(&worker)?;
    let Some(describe) = describe else { return Ok(HttpResponse::Ok().json(PeerDetails::default())) };
    let details = with_deadline(describe(path.into_inner())).await?.map_err(Problem::transport)?;
    Ok(HttpResponse::Ok().json(details))
}
