//! The codec's entry points for the fuzz targets and for tests that read frames. Behind the feature `fuzzing`, and not
//! part of the API.

use ::libp2p::{Multiaddr, PeerId};

use super::{
    codec::{decode::decode_frame, encode::fragments, encode_error::EncodeError, entry::RpcError},
    connection::{
        lanes::{Item, Lanes},
        packing::pack,
    },
    network::Libp2pNetwork,
    state::address_filter::AddressFilter,
};
use crate::{
    network::{P2pMessage, PeerRecordOutcome, PxPeer},
    protocol::Lane,
};

/// Decodes a frame, without its length prefix. Returns the messages, and how many entries, ids and peers were ignored
/// because they are more than the limits of `network` allow.
///
/// # Errors
/// The frame is not an RPC, or a name or an id is too long for the limits.
pub fn read(
    frame: &[u8],
    network: &Libp2pNetwork,
) -> Result<(Vec<P2pMessage<Libp2pNetwork>>, u64), RpcError> {
    decode_frame(frame, network)
}

/// Encodes messages as frames, with their length prefixes.
///
/// # Errors
/// A message can't be encoded.
pub fn write(
    messages: &[P2pMessage<Libp2pNetwork>],
    network: &Libp2pNetwork,
) -> Result<Vec<u8>, EncodeError> {
    let (limits, mut lanes, mut out) = (network.limits(), Lanes::default(), Vec::new());
    for message in messages {
        for fragment in fragments(message, limits)? {
            // A single lane keeps the order of the messages.
            lanes.push(Item::plain(fragment, Lane::Control));
        }
    }
    while pack(&mut lanes, None, limits, &mut out, &mut Vec::new()) > 0 {}
    Ok(out)
}

/// Whether the record that came with a recommended peer is valid, and the addresses at which that peer would be dialled.
pub fn addresses(px: &PxPeer<PeerId>, network: &Libp2pNetwork) -> (bool, Vec<Multiaddr>) {
    let record = px.record.as_ref();
    let outcome = record.map(|record| network.state().add_px_record(px.peer, record, AddressFilter::Any));
    let valid = matches!(outcome, Some(PeerRecordOutcome::Stored | PeerRecordOutcome::NotNewer));
    (valid, network.state().addresses_of(&px.peer))
}
