//! The threads of a swarm's connections: handshakes, encryption, decoding and signatures do not wait for the thread that
//! polls the swarm, nor for each other. The sockets belong to these threads too, so that a busy swarm does not delay what
//! arrives.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use ::libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    swarm::Executor,
};
use tokio::runtime::{Builder, Handle, Runtime};

/// Runs each connection of a swarm as a task of a tokio runtime.
pub(super) struct ConnectionThreads {
    handle: Handle,
    /// `None` if the runtime is another's, or is being dropped.
    own: Option<Runtime>,
}

impl ConnectionThreads {
    /// Starts `threads` threads; with 0, uses the current runtime.
    ///
    /// # Panics
    /// With 0 threads, outside a tokio runtime.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            return Ok(Self { handle: Handle::current(), own: None });
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("connections")
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), own: Some(runtime) })
    }

    /// Lets the sockets of a transport belong to these threads.
    pub(super) fn run_sockets_of<T>(&self, transport: T) -> OnThreads<T> {
        OnThreads { transport, handle: self.handle.clone() }
    }
}

impl Executor for ConnectionThreads {
    fn exec(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.handle.spawn(future);
    }
}

impl Drop for ConnectionThreads {
    /// The swarm may be dropped inside another runtime, which must not block: the threads drop the tasks of the connections,
    /// and so close the sockets, on their own.
    fn drop(&mut self) {
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}

/// A transport whose sockets belong to the threads of the connections, wherever it is polled. A socket belongs to the
/// runtime inside which it is created. Connections that we dial are created by their tasks, and accepted ones here.
pub(super) struct OnThreads<T> {
    transport: T,
    handle: Handle,
}

impl<T: Transport + Unpin> Transport for OnThreads<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        let _inside = self.handle.enter();
        self.transport.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let _inside = self.handle.enter();
        self.transport.remove_listener(id)
    }

    fn dial(&mut self, addr: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let _inside = self.handle.enter();
        self.transport.dial(addr, opts)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let Self { transport, handle } = &mut *self;
        let _inside = handle.enter();
        Pin::new(transport).poll(cx)
    }
}
