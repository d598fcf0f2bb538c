//! The engine's outputs as the node reads them: with their lanes, if they come from a worker. It keeps
//! none back.

use std::{
    any::Any,
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};

use crate::{libp2p::network::Libp2pNetwork, network::P2pOutput, protocol::Emission, worker::P2pOutputs};

pub(in crate::libp2p) enum Outputs<O> {
    Lanes(P2pOutputs<Libp2pNetwork>),
    Plain(O),
}

impl<O> Outputs<O>
where
    O: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin + 'static,
{
    /// A worker's outputs are a stream as any other, but can do more: told apart here, so that no caller
    /// has to.
    pub(in crate::libp2p) fn of(outputs: O) -> Self {
        match (Box::new(outputs) as Box<dyn Any>).downcast::<P2pOutputs<Libp2pNetwork>>() {
            Ok(lanes) => Self::Lanes(*lanes),
            Err(outputs) => match outputs.downcast::<O>() {
                Ok(outputs) => Self::Plain(*outputs),
                Err(_) => unreachable!("it was made of an O"),
            },
        }
    }

    /// `None` once the engine has ended.
    pub(in crate::libp2p) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Emission<Libp2pNetwork>>> {
        match self {
            // Its future keeps nothing between two polls: a new one goes on where the last one was.
            Self::Lanes(outputs) => pin!(outputs.recv_emission()).poll(cx),
            Self::Plain(outputs) => outputs.poll_next_unpin(cx).map(|output| output.map(Emission::Output)),
        }
    }
}
