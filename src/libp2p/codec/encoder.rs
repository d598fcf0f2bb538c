//! Encodes each message once, however many peers it goes to. It keeps no more than the last one.

use std::sync::Arc;

use super::{
    encode::{self, EncodeError, Fragment},
    frame::WireLimits,
};
use crate::{
    libp2p::network::Libp2pNetwork,
    network::{FullMessage, P2pMessage},
};

#[derive(Default)]
pub(in crate::libp2p) struct Encoder {
    /// The last full message: outputs that come one by one bring it again for the next peer.
    last: Option<(Arc<FullMessage<Libp2pNetwork>>, Vec<Fragment>)>,
}

impl Encoder {
    /// The fragments that say `message`. They share their bytes with those returned before.
    pub(in crate::libp2p) fn encode(
        &mut self,
        message: &P2pMessage<Libp2pNetwork>,
        limits: &WireLimits,
    ) -> Result<Vec<Fragment>, EncodeError> {
        let P2pMessage::FullMessage(full) = message else {
            return encode::fragments(message, limits);
        };
        if let Some((last, fragments)) = &self.last
            && Arc::ptr_eq(last, full)
        {
            return Ok(fragments.clone());
        }
        let fragments = encode::fragments(message, limits)?;
        self.last = Some((Arc::clone(full), fragments.clone()));
        Ok(fragments)
    }
}
