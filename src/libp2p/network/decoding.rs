//! The data transform of a network: messages as the application sees them.

use std::{borrow::Cow, io};

use super::Libp2pNetwork;
use crate::{
    libp2p::transform::{Message, decode},
    network::FullMessage,
};

impl From<&FullMessage<Libp2pNetwork>> for Message {
    fn from(full: &FullMessage<Libp2pNetwork>) -> Self {
        Self::from_wire(&full.topic, &full.message)
    }
}

impl Libp2pNetwork {
    /// A message after the [data transform](super::Libp2pNetworkBuilder::data_transform), for a validator or when the engine
    /// has delivered it: `full.message.data()` is the payload as it was received. Without a transform it is the same.
    ///
    /// # Errors
    /// The transform can't decode it. That does not happen to a delivered message.
    pub fn decode(&self, full: &FullMessage<Self>) -> io::Result<Message> {
        decode(self.hooks.transform.as_ref(), full.into())
    }

    /// The payload of a delivered message after the [data transform](super::Libp2pNetworkBuilder::data_transform). Without a
    /// transform nothing is copied.
    pub fn payload<'a>(&self, full: &'a FullMessage<Self>) -> Cow<'a, [u8]> {
        let decoded = self.hooks.transform.as_ref().and_then(|_| self.decode(full).ok());
        decoded.map_or_else(|| Cow::Borrowed(full.message.data()), |message| Cow::Owned(message.data))
    }

    /// Whether the transform can decode a message. Without a transform nothing is copied.
    pub(super) fn decodes(&self, full: &FullMessage<Self>) -> bool {
        self.hooks.transform.is_none() || self.decode(full).is_ok()
    }
}
