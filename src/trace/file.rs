//! A live engine's inputs, written to a file as they come. Never holds the engine up: what finds no room in the
//! queue to the writer's thread is dropped, counted, and marked in the file as a gap.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
};

use serde_json::{Value, json};

use super::{limits, render, values::Traced, view::span};
use crate::{
    input_recorder::{InputRecorder, RecordedInput},
    limits::Limits,
    network::{FullMessage, Network, P2pInput, P2pMessage, PxPeer},
    protocol::{NodeOptions, Timestamp},
};

/// Inputs that wait for the writer.
const MAX_ITEMS: usize = 16_384;
/// The bytes of their messages.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Records an engine's inputs to a file, in the form that [this module](super) describes. Give it to
/// [`WorkerBuilder::input_recorder`](crate::WorkerBuilder::input_recorder), to one engine only.
pub struct TraceFile<N: Traced> {
    /// What the first line calls the network.
    name: Option<&'static str>,
    door: Mutex<Door<N>>,
    waiting: Arc<AtomicUsize>,
    writer: Mutex<Option<JoinHandle<io::Result<u64>>>>,
}

/// Whoever holds it decides the order.
struct Door<N: Traced> {
    network: Option<Arc<N>>,
    /// None once the recording is finished.
    queue: Option<SyncSender<Item<N>>>,
    /// Since the last item that found room.
    lost: u64,
    all_lost: u64,
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Lines in the file.
    pub lines: u64,
    /// Inputs that are not in it, because the writer was too slow. The file says where.
    pub lost: u64,
}

struct Item<N: Traced> {
    at: Timestamp,
    /// So many before it are missing.
    lost: u64,
    what: What<N>,
    bytes: usize,
}

/// An input, to be written later.
enum What<N: Traced> {
    Make(Value),
    P2p(P2pInput<N>, Option<N::Point>),
    Publish(Arc<FullMessage<N>>),
    Join(N::Topic),
    Leave(N::Topic),
    SetApplicationScore(N::Peer, f64),
    UnreachablePoint(N::Point),
    SlowPeer(N::Peer),
    Heartbeat,
    CheckParked,
    ProcessBatch,
    /// Nothing but what is missing.
    End,
}

impl<N: Traced> TraceFile<N> {
    /// Records to a new file at `path`, or over an old one. `network` names the values
    /// ([`Values::NETWORK`](super::Values::NETWORK)) that a replay is to read it with.
    ///
    /// # Errors
    /// The file can't be created, or the thread that writes it can't be started.
    pub fn create(path: &Path, network: Option<&'static str>) -> io::Result<Arc<Self>> {
        Self::to(BufWriter::new(File::create(path)?), network, MAX_ITEMS)
    }

    /// Records to a writer, for which at most so many inputs wait.
    ///
    /// # Errors
    /// The thread that writes can't be started.
    pub fn to(
        out: impl Write + Send + 'static,
        network: Option<&'static str>,
        max_items: usize,
    ) -> io::Result<Arc<Self>> {
        let (queue, items) = sync_channel(max_items);
        let waiting = Arc::<AtomicUsize>::default();
        let held = Arc::clone(&waiting);
        let write = move || Writer { out, last: Timestamp::ZERO, lines: 0 }.write_all(&items, &held);
        let writer = std::thread::Builder::new().name("trace".to_owned()).spawn(write)?;
        Ok(Arc::new(Self {
            name: network,
            door: Mutex::new(Door { network: None, queue: Some(queue), lost: 0, all_lost: 0 }),
            waiting,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Writes what waits, and ends the file. To be called when the engine has ended: what comes later is not
    /// recorded. Blocks until all is written.
    ///
    /// # Errors
    /// Something could not be written. What was written before stands.
    pub fn finish(&self) -> io::Result<Recorded> {
        let lost = {
            let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
            let (lost, at) = (std::mem::take(&mut door.lost), Timestamp::ZERO);
            if let Some(queue) = door.queue.take() {
                // Waits for room; a writer that failed says so below.
                let _ = queue.send(Item { at, lost, what: What::End, bytes: 0 });
            }
            door.all_lost
        };
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written = writer.map(JoinHandle::join);
        match written {
            Some(Ok(lines)) => Ok(Recorded { lines: lines?, lost }),
            Some(Err(_)) => Err(io::Error::other("the thread that wrote the trace panicked")),
            None => Err(io::Error::other("the recording is finished already")),
        }
    }

    /// Puts an item into the queue, or counts it.
    fn put(&self, now: &dyn Fn() -> Timestamp, what: impl FnOnce(&N) -> What<N>) {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let Door { network: Some(network), queue: Some(queue), .. } = &*door else { return };
        let what = what(network);
        let bytes = what.bytes(&**network);
        let item = Item { at: now(), lost: door.lost, what, bytes };
        // Before it is sent: the writer may take it at once.
        let room = self.waiting.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) <= MAX_BYTES;
        if room && queue.try_send(item).is_ok() {
            door.lost = 0;
        } else {
            self.waiting.fetch_sub(bytes, Ordering::AcqRel);
            door.lost += 1;
            door.all_lost += 1;
        }
    }
}

impl<N: Traced> InputRecorder<N> for TraceFile<N> {
    fn start(&self, network: &Arc<N>, limits: &Limits<N::Topic>, options: &NodeOptions<N>) {
        let points = network.persistent_points();
        self.door.lock().unwrap_or_else(PoisonError::into_inner).network = Some(Arc::clone(network));
        let make = json!({
            "op": "make",
            "recorded_by": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            "network": self.name,
            "seed": options.seed,
            "self": options.self_peer,
            "topics": [],
            "initial_points": points,
            "batching_interval": options.batch_interval.map(span),
            "limits": limits::write(limits),
        });
        self.put(&|| Timestamp::ZERO, |_| What::Make(make));
    }

    fn record(&self, now: &dyn Fn() -> Timestamp, input: RecordedInput<'_, N>) {
        self.put(now, |network| match input {
            RecordedInput::Connection(input) => What::P2p(input.clone(), point(network, input)),
            RecordedInput::PeerMessage { from, message } => {
                What::P2p(P2pInput::InMessage { from_peer: from.clone(), message: message.clone() }, None)
            }
            RecordedInput::Publish(message) => What::Publish(Arc::clone(message)),
            RecordedInput::Join(topic) => What::Join(topic.clone()),
            RecordedInput::Leave(topic) => What::Leave(topic.clone()),
            RecordedInput::SetApplicationScore { peer, score } => {
                What::SetApplicationScore(peer.clone(), score)
            }
            RecordedInput::UnreachablePoint(point) => What::UnreachablePoint(point.clone()),
            RecordedInput::SlowPeer(peer) => What::SlowPeer(peer.clone()),
            RecordedInput::Heartbeat => What::Heartbeat,
            RecordedInput::CheckParked => What::CheckParked,
            RecordedInput::ProcessBatch => What::ProcessBatch,
        });
    }
}

/// Where the peer of a new connection is reached.
fn point<N: Network>(network: &N, input: &P2pInput<N>) -> Option<N::Point> {
    match input {
        P2pInput::NewConnection { peer, .. } => network.reachable_point(peer),
        _ => None,
    }
}

impl<N: Traced> What<N> {
    /// Roughly, what it holds beside itself.
    fn bytes(&self, network: &N) -> usize {
        let ids = |ids: &[N::MessageId]| ids.iter().map(|id| network.message_id_size(id)).sum();
        match self {
            Self::P2p(P2pInput::InMessage { message, .. }, _) => match message {
                P2pMessage::FullMessage(full) => full.size(network),
                P2pMessage::IHave { message_ids, .. }
                | P2pMessage::IWant { message_ids }
                | P2pMessage::IDontWant { message_ids } => ids(message_ids),
                P2pMessage::Prune { px, .. } => px.iter().map(PxPeer::size).sum(),
                _ => 0,
            },
            Self::Publish(full) => full.size(network),
            _ => 0,
        }
    }

    /// None for what is no input.
    fn op(&self) -> Option<Value> {
        let app = |input: Value| json!({ "op": "app_input", "input": input });
        Some(match self {
            Self::Make(make) => make.clone(),
            Self::P2p(input, point) => {
                json!({ "op": "p2p_input", "input": render::p2p_input(input, point.as_ref()) })
            }
            Self::Publish(full) => app(render::typed("publish_message", render::full_message(full))),
            Self::Join(topic) => app(json!({ "type": "join", "topic": topic })),
            Self::Leave(topic) => app(json!({ "type": "leave", "topic": topic })),
            Self::SetApplicationScore(peer, score) => {
                app(json!({ "type": "set_application_score", "peer": peer, "score": score }))
            }
            Self::UnreachablePoint(point) => json!({ "op": "set_unreachable_point", "point": point }),
            Self::SlowPeer(peer) => json!({ "op": "slow_peer", "peer": peer }),
            Self::Heartbeat => json!({ "op": "heartbeat" }),
            Self::CheckParked => json!({ "op": "check_unknown_messages" }),
            Self::ProcessBatch => json!({ "op": "process_batch" }),
            Self::End => return None,
        })
    }
}

/// The thread that writes.
struct Writer<W> {
    out: W,
    last: Timestamp,
    lines: u64,
}

impl<W: Write> Writer<W> {
    /// A burst is flushed at its end, which is at once: nothing else is waited for.
    fn write_all<N: Traced>(mut self, items: &Receiver<Item<N>>, waiting: &AtomicUsize) -> io::Result<u64> {
        loop {
            let item = match items.try_recv() {
                Ok(item) => item,
                Err(TryRecvError::Empty) => {
                    self.out.flush()?;
                    let Ok(item) = items.recv() else { break };
                    item
                }
                Err(TryRecvError::Disconnected) => break,
            };
            waiting.fetch_sub(item.bytes, Ordering::AcqRel);
            self.write(&item)?;
        }
        self.out.flush()?;
        Ok(self.lines)
    }

    fn write<N: Traced>(&mut self, item: &Item<N>) -> io::Result<()> {
        if item.lost > 0 {
            self.line(&json!({ "op": "gap", "lost": item.lost }))?;
        }
        if item.at > self.last {
            let passed = item.at.saturating_since(self.last);
            self.last = item.at;
            self.line(&json!({ "op": "advance_time", "ms": span(passed) }))?;
        }
        item.what.op().map_or(Ok(()), |op| self.line(&op))
    }

    fn line(&mut self, op: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &json!({ "op": op }))?;
        self.lines += 1;
        self.out.write_all(b"\n")
    }
}
