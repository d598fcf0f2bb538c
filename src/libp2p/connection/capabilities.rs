//! The protocol versions that are offered on a stream, and what a negotiated version permits.

use std::{convert::Infallible, sync::Arc};

use ::libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
};
use futures::future;

/// The stream upgrade of gossipsub: offers all configured protocols, the preferred one first.
#[derive(Clone, Debug)]
pub struct Protocols(pub(in crate::libp2p) Arc<[StreamProtocol]>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        let ids: Vec<_> = self.0.iter().cloned().collect();
        ids.into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        future::ok((stream, protocol))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        future::ok((stream, protocol))
    }
}

/// Whether IDONTWANT may be sent over a stream of this protocol: its version, as in `/meshsub/1.2.0`, is 1.2 or later.
pub(super) fn supports_idontwant(protocol: &StreamProtocol) -> bool {
    let version = protocol.as_ref().rsplit('/').next().unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(1), Some(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idontwant_needs_version_1_2() {
        for (protocol, supported) in [
            ("/meshsub/1.0.0", false),
            ("/meshsub/1.1.0", false),
            ("/meshsub/1.2.0", true),
            ("/meshsub/1.10.0", true),
            ("/meshsub/2.0.0", true),
            ("/meshsub", false),
        ] {
            assert_eq!(supports_idontwant(&StreamProtocol::new(protocol)), supported, "{protocol}");
        }
    }
}
