//! A raw peer: a connection of TCP, noise and yamux with a gossipsub stream that takes any bytes. It reads the node's
//! stream as it likes.

use std::{
    future::poll_fn,
    io,
    net::Ipv4Addr,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{DialOpts, PortUse},
    },
    identity::Keypair,
};
use testkit::wire::swarm;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::negotiation::{accept, propose};
use crate::plan::{Group, address};

/// How long a connection or a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two reads of a slow reader.
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// The largest frame of the node that is read as one.
const MAX_FRAME: usize = 1 << 21;

/// A key and an address.
#[derive(Clone)]
pub struct Identity {
    pub key: Keypair,
    pub source: Ipv4Addr,
}

impl Identity {
    pub fn new(group: Group, index: usize) -> Self {
        Self { key: Keypair::generate_ed25519(), source: address(group, index) }
    }

    /// The first identities of a group.
    pub fn first(group: Group, count: usize) -> Vec<Self> {
        (0..count).map(|index| Self::new(group, index)).collect()
    }
}

/// How a peer reads the node's stream.
#[derive(Clone)]
pub enum Reading {
    /// All, and ignores it.
    All,
    /// This many bytes a second.
    Slowly(usize),
    Nothing,
    /// All, and passes on each frame without its length.
    Frames(mpsc::UnboundedSender<Vec<u8>>),
}

/// The connection closes when this is dropped.
pub struct Peer {
    streams: mpsc::UnboundedSender<oneshot::Sender<SubstreamBox>>,
    driver: JoinHandle<()>,
    out: SubstreamBox,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Peer {
    /// Connects and opens a gossipsub stream.
    ///
    /// # Errors
    /// The node refuses the connection or the stream, or does not answer in time.
    pub async fn connect(victim: &Multiaddr, identity: &Identity, reading: Reading) -> io::Result<Self> {
        let mut transport = swarm::transport(&identity.key, Some(identity.source));
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = transport.dial(victim.clone(), options).map_err(io::Error::other)?;
        let (_, muxer) = timeout(OPEN_TIMEOUT, dial).await??;
        let (streams, requests) = mpsc::unbounded_channel();
        let driver = tokio::spawn(drive(muxer, requests, reading));
        let out = match open(&streams).await {
            Ok(out) => out,
            Err(error) => {
                driver.abort();
                return Err(error);
            }
        };
        Ok(Self { streams, driver, out })
    }

    /// # Errors
    /// The node has closed the connection or the stream.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).await?;
        self.out.flush().await
    }

    /// Opens another gossipsub stream, in place of the one that is written to.
    ///
    /// # Errors
    /// The node refuses the stream, or does not answer in time.
    pub async fn reopen(&mut self) -> io::Result<()> {
        self.out = open(&self.streams).await?;
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }
}

async fn open(streams: &mpsc::UnboundedSender<oneshot::Sender<SubstreamBox>>) -> io::Result<SubstreamBox> {
    let (sender, opened) = oneshot::channel();
    let closed = |_| io::Error::from(io::ErrorKind::ConnectionReset);
    streams.send(sender).map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
    let opening = async {
        let mut stream = opened.await.map_err(closed)?;
        propose(&mut stream).await?;
        Ok(stream)
    };
    timeout(OPEN_TIMEOUT, opening).await?
}

/// Drives a connection until it is closed.
async fn drive(
    mut muxer: StreamMuxerBox,
    mut requests: mpsc::UnboundedReceiver<oneshot::Sender<SubstreamBox>>,
    reading: Reading,
) {
    let mut next = None;
    poll_fn(|cx| poll(&mut muxer, &mut requests, &mut next, &reading, cx)).await;
}

/// Ready when the connection is closed.
fn poll(
    muxer: &mut StreamMuxerBox,
    requests: &mut mpsc::UnboundedReceiver<oneshot::Sender<SubstreamBox>>,
    next: &mut Option<oneshot::Sender<SubstreamBox>>,
    reading: &Reading,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        if next.is_none()
            && let Poll::Ready(request) = requests.poll_recv(cx)
        {
            match request {
                Some(request) => *next = Some(request),
                None => return Poll::Ready(()),
            }
        }
        if next.is_some()
            && let Poll::Ready(stream) = muxer.poll_outbound_unpin(cx)
        {
            match (next.take(), stream) {
                // The caller may have given up.
                (Some(request), Ok(stream)) => drop(request.send(stream)),
                _ => return Poll::Ready(()),
            }
            continue;
        }
        match muxer.poll_inbound_unpin(cx) {
            Poll::Ready(Ok(stream)) => {
                tokio::spawn(read(stream, reading.clone()));
                continue;
            }
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => {}
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Reads a stream of the node to its end.
async fn read(mut stream: SubstreamBox, reading: Reading) -> io::Result<()> {
    accept(&mut stream).await?;
    match reading {
        Reading::Nothing => std::future::pending().await,
        Reading::All => {
            let mut chunk = vec![0; 16 << 10];
            while stream.read(&mut chunk).await? > 0 {}
        }
        Reading::Slowly(bytes) => {
            let mut chunk = vec![0; bytes * SLOW_PAUSE.as_millis() as usize / 1_000];
            while stream.read(&mut chunk).await? > 0 {
                sleep(SLOW_PAUSE).await;
            }
        }
        Reading::Frames(frames) => {
            while let Some(frame) = read_frame(&mut stream).await? {
                if frames.send(frame).is_err() {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// `None` at the end of the stream.
async fn read_frame(stream: &mut SubstreamBox) -> io::Result<Option<Vec<u8>>> {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        length |= usize::from(byte[0] & 0x7f) << shift;
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(Some(frame))
}
