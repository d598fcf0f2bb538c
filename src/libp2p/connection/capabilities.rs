//! The protocols that are offered on a stream, and what the version of a negotiated one permits.

use std::{convert::Infallible, fmt, sync::Arc};

use ::libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::InvalidProtocol,
};
use futures::future;

use crate::libp2p::codec::encode::Kind;
pub use crate::network::ProtocolVersion;

/// All versions of gossipsub, the latest first, with their form in a protocol id.
const GOSSIPSUB_VERSIONS: [(ProtocolVersion, &str); 3] =
    [(ProtocolVersion::V1_2, "1.2.0"), (ProtocolVersion::V1_1, "1.1.0"), (ProtocolVersion::V1_0, "1.0.0")];

/// The id of a protocol, as it is negotiated, and the version of gossipsub that is spoken over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolId {
    /// The id, such as `/meshsub/1.2.0`.
    pub protocol: StreamProtocol,
    /// The version: no message is sent over the protocol that this version does not know.
    pub version: ProtocolVersion,
}

impl ProtocolId {
    /// A protocol with an id of your own.
    ///
    /// # Errors
    /// The id does not begin with a slash.
    pub fn new(id: impl Into<String>, version: ProtocolVersion) -> Result<Self, InvalidProtocol> {
        Ok(Self { protocol: StreamProtocol::try_from_owned(id.into())?, version })
    }

    /// Floodsub, `/floodsub/1.0.0`.
    pub(in crate::libp2p) const FLOODSUB: Self =
        Self { protocol: StreamProtocol::new("/floodsub/1.0.0"), version: ProtocolVersion::Floodsub };

    /// The protocols `PREFIX/1.2.0`, `PREFIX/1.1.0` and `PREFIX/1.0.0`, for a network of your own. The prefix of the
    /// specification is `/meshsub`.
    ///
    /// # Errors
    /// The prefix does not begin with a slash.
    pub fn with_prefix(prefix: &str) -> Result<Vec<Self>, InvalidProtocol> {
        GOSSIPSUB_VERSIONS
            .into_iter()
            .map(|(version, text)| Self::new(format!("{prefix}/{text}"), version))
            .collect()
    }
}

impl From<StreamProtocol> for ProtocolId {
    /// The version is the end of the id, as in `/meshsub/1.2.0`: the latest one that is not later. An id without a version
    /// is v1.0. `/floodsub/1.0.0` is floodsub.
    fn from(protocol: StreamProtocol) -> Self {
        if protocol == Self::FLOODSUB.protocol {
            return Self::FLOODSUB;
        }
        let end = protocol.as_ref().rsplit('/').next().unwrap_or_default();
        let mut numbers = end.split('.').map_while(|number| number.parse::<u32>().ok());
        let version = match (numbers.next(), numbers.next()) {
            (Some(1), Some(1)) => ProtocolVersion::V1_1,
            found if found >= (Some(1), Some(2)) => ProtocolVersion::V1_2,
            _ => ProtocolVersion::V1_0,
        };
        Self { protocol, version }
    }
}

impl AsRef<str> for ProtocolId {
    fn as_ref(&self) -> &str {
        self.protocol.as_ref()
    }
}

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.protocol.fmt(f)
    }
}

/// The stream upgrade of gossipsub: offers all configured protocols, the preferred one first.
#[derive(Clone, Debug)]
pub struct Protocols(pub(in crate::libp2p) Arc<[ProtocolId]>);

impl UpgradeInfo for Protocols {
    type Info = ProtocolId;
    type InfoIter = std::vec::IntoIter<ProtocolId>;

    fn protocol_info(&self) -> Self::InfoIter {
        let ids: Vec<_> = self.0.iter().cloned().collect();
        ids.into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Stream, ProtocolId);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: ProtocolId) -> Self::Future {
        future::ok((stream, protocol))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Stream, ProtocolId);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: ProtocolId) -> Self::Future {
        future::ok((stream, protocol))
    }
}

/// Whether a version knows entries of this kind. `None`: the version is not negotiated yet, and what all versions of gossipsub
/// know may be queued.
pub(in crate::libp2p) fn knows(version: Option<ProtocolVersion>, kind: Kind) -> bool {
    match (version, kind) {
        (_, Kind::Subscription | Kind::Message) => true,
        (Some(ProtocolVersion::Floodsub), _) => false,
        (version, Kind::IDontWant) => version >= Some(ProtocolVersion::V1_2),
        (_, Kind::IHave | Kind::IWant | Kind::Graft | Kind::Prune) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idontwant_needs_version_1_2_and_control_needs_gossipsub() {
        let knows = |protocol: &ProtocolId, kind| super::knows(Some(protocol.version), kind);
        for (protocol, supported) in [
            ("/meshsub/1.0.0", false),
            ("/meshsub/1.1.0", false),
            ("/meshsub/1.2.0", true),
            ("/meshsub/1.10.0", true),
            ("/meshsub/2.0.0", true),
            ("/meshsub", false),
            ("/floodsub/1.0.0", false),
        ] {
            let protocol = ProtocolId::from(StreamProtocol::new(protocol));
            assert_eq!(knows(&protocol, Kind::IDontWant), supported, "{protocol}");
            assert_eq!(knows(&protocol, Kind::Graft), protocol != ProtocolId::FLOODSUB, "{protocol}");
            assert!(knows(&protocol, Kind::Subscription) && knows(&protocol, Kind::Message), "{protocol}");
        }
        let custom = |version| ProtocolId::new("/purple", version).unwrap();
        assert!(knows(&custom(ProtocolVersion::V1_2), Kind::IDontWant));
        assert!(!knows(&custom(ProtocolVersion::V1_1), Kind::IDontWant));
    }

    #[test]
    fn a_prefix_has_a_protocol_for_each_version() {
        let ids = ProtocolId::with_prefix("/myapp").unwrap();
        let text: Vec<_> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["/myapp/1.2.0", "/myapp/1.1.0", "/myapp/1.0.0"]);
        assert!(ids.iter().all(|id| ProtocolId::from(id.protocol.clone()) == *id), "{ids:?}");
        assert!(
            ProtocolId::with_prefix("myapp").is_err()
                && ProtocolId::new("purple", ProtocolVersion::V1_0).is_err()
        );
    }
}
