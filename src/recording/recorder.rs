//! Writes a live engine's inputs to a file, by a thread of its own. The engine never waits for that thread: inputs that
//! find no room in its queue are dropped, counted, and marked in the file as a gap.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use derive_where::derive_where;

use super::{
    Recordable,
    line::{AppInput, Backoff, Make, Milliseconds, Op, PeerInput, PeerMessage, write},
};
use crate::{
    input_recorder::{InputRecorder, RecordedInput},
    limits::Limits,
    network::hooks::Hooks,
    protocol::{NodeOptions, RemainingBackoff, Timestamp},
};

/// The most lines that wait for the writer. It may be writing as many.
const MAX_LINES: usize = 32_768;
/// The most bytes of messages and ids in the lines that wait.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Records an engine's inputs to a file, in the form that [this module](super) describes. Give it to
/// [`WorkerBuilder::input_recorder`](crate::WorkerBuilder::input_recorder), to one engine only.
pub struct FileRecorder<N: Recordable> {
    queue: Arc<OpQueue<N>>,
    writer: Mutex<Option<JoinHandle<io::Result<u64>>>>,
}

/// The size of a finished recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Lines in the file.
    pub lines: u64,
    /// Inputs that are missing because the writer was too slow. The file says where.
    pub lost: u64,
}

/// The recorded inputs that wait for the writer.
struct OpQueue<N: Recordable> {
    /// The lock decides the order of the lines in the file.
    state: Mutex<State<N>>,
    changed: Condvar,
    max_lines: usize,
}

#[derive_where(Default)]
struct State<N: Recordable> {
    network: Option<Hooks<N>>,
    waiting: Vec<Op<N>>,
    /// Of the waiting lines.
    bytes: usize,
    /// When the last input was recorded.
    time: Timestamp,
    /// Inputs dropped since then.
    gap: u64,
    lost: u64,
    finished: bool,
}

impl<N: Recordable> FileRecorder<N> {
    /// Records to a new file at `path`; an old one is overwritten.
    ///
    /// # Errors
    /// The file can't be created, or the thread that writes can't be started.
    pub fn create(path: &Path) -> io::Result<Arc<Self>> {
        Self::to_writer(BufWriter::new(File::create(path)?), MAX_LINES)
    }

    /// Records to a writer, for which about `max_lines` lines wait at most.
    ///
    /// # Errors
    /// The thread that writes can't be started.
    pub fn to_writer(out: impl Write + Send + 'static, max_lines: usize) -> io::Result<Arc<Self>> {
        let queue = Arc::new(OpQueue { state: Mutex::default(), changed: Condvar::new(), max_lines });
        let lines = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("recording".to_owned());
        let writer = thread.spawn(move || lines.write_to(out))?;
        Ok(Arc::new(Self { queue, writer: Mutex::new(Some(writer)) }))
    }

    /// Writes what waits and closes the file. Call it after the engine has stopped: later inputs are not recorded.
    /// Blocks until everything is written.
    ///
    /// # Errors
    /// Something could not be written (earlier lines are in the file), or the recording is finished already.
    pub fn finish(&self) -> io::Result<Recorded> {
        self.queue.finish();
        let Some(writer) = lock(&self.writer).take() else {
            return Err(io::Error::other("the recording is finished already"));
        };
        let lines = writer.join().map_err(|_| io::Error::other("the thread that writes panicked"))??;
        Ok(Recorded { lines, lost: lock(&self.queue.state).lost })
    }
}

impl<N: Recordable> Drop for FileRecorder<N> {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

impl<N: Recordable> InputRecorder<N> for FileRecorder<N> {
    fn start(&self, network: &Arc<N>, limits: &Limits<N::Topic>, options: &NodeOptions<N>) {
        // The engine counts panics of its own calls of the hooks.
        let network = Hooks::new(Arc::clone(network), |_| {});
        lock(&self.queue.state).network = Some(network.clone());
        let make = Make {
            limits: limits.clone().into_config(),
            network: N::NAME.to_owned(),
            recorded_by: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: options.seed,
            self_peer: options.self_peer.clone(),
            topics: Vec::new(),
            initial_points: network.persistent_points(),
            batching_interval: options.batch_interval.map(Milliseconds),
        };
        self.queue.push(&|| Timestamp::ZERO, |_| Op::Make(Box::new(make)));
    }

    fn record(&self, now: &dyn Fn() -> Timestamp, input: RecordedInput<'_, N>) {
        self.queue.push(now, |network| match input {
            RecordedInput::RestoreBackoffs(backoffs) => {
                let backoff = |RemainingBackoff { topic, peer, remaining }: &RemainingBackoff<N>| Backoff {
                    topic: topic.clone(),
                    peer: peer.clone(),
                    ms: Milliseconds(*remaining),
                };
                Op::RestoreBackoffs { backoffs: backoffs.iter().map(backoff).collect() }
            }
            RecordedInput::Connection(input) => {
                Op::P2pInput { input: PeerInput::new(input.clone(), network) }
            }
            RecordedInput::PeerMessage { from, message } => {
                let (from_peer, p2p_message) = (from.clone(), message.clone().into());
                Op::P2pInput { input: PeerInput::InMessage { from_peer, p2p_message } }
            }
            RecordedInput::Publish(full) => {
                Op::AppInput { input: AppInput::PublishMessage(Arc::clone(full)) }
            }
            RecordedInput::PublishToAtLeast { min_peers, message } => {
                let message = Arc::clone(message);
                Op::AppInput { input: AppInput::PublishToAtLeast { min_peers, message } }
            }
            RecordedInput::Join(topic) => Op::AppInput { input: AppInput::Join { topic: topic.clone() } },
            RecordedInput::Leave(topic) => Op::AppInput { input: AppInput::Leave { topic: topic.clone() } },
            RecordedInput::Relay(topic) => Op::AppInput { input: AppInput::Relay { topic: topic.clone() } },
            RecordedInput::StopRelay(topic) => {
                Op::AppInput { input: AppInput::StopRelay { topic: topic.clone() } }
            }
            RecordedInput::SetApplicationScore { peer, score } => {
                Op::AppInput { input: AppInput::SetApplicationScore { peer: peer.clone(), score } }
            }
            RecordedInput::PeerFeedback { peer, topic, feedback } => {
                Op::PeerFeedback { peer: peer.clone(), topic: topic.clone(), feedback }
            }
            RecordedInput::SetLimits(limits) => Op::SetLimits { values: Box::new(limits.clone()) },
            RecordedInput::SetDirect { peer, direct } => Op::SetDirect { peer: peer.clone(), direct },
            RecordedInput::Block { peer, duration } => {
                // Longer times can't be written, and mean for ever.
                let duration = duration.min(Duration::from_millis(u64::MAX));
                Op::Block { peer: peer.clone(), ms: Milliseconds(duration) }
            }
            RecordedInput::Unblock(peer) => Op::Unblock { peer: peer.clone() },
            RecordedInput::UnreachablePoint(point) => Op::SetUnreachablePoint { point: point.clone() },
            RecordedInput::SlowPeer(peer) => Op::SlowPeer { peer: peer.clone() },
            RecordedInput::ProtocolViolation(peer) => Op::ProtocolViolation { peer: peer.clone() },
            RecordedInput::Heartbeat => Op::Heartbeat {},
            RecordedInput::CheckParked => Op::CheckUnknownMessages {},
            RecordedInput::ProcessBatch => Op::ProcessBatch {},
        });
    }
}

impl<N: Recordable> OpQueue<N> {
    fn push(&self, now: &dyn Fn() -> Timestamp, op: impl FnOnce(&Hooks<N>) -> Op<N>) {
        let state = &mut *lock(&self.state);
        let Some(network) = state.network.as_ref().filter(|_| !state.finished) else { return };
        let op = op(network);
        let bytes = op.bytes(network);
        if state.waiting.len() >= self.max_lines || bytes > MAX_BYTES - state.bytes {
            state.gap += 1;
            state.lost += 1;
            return;
        }
        state.push_gap();
        let passed = now().saturating_since(state.time);
        if !passed.is_zero() {
            state.time = state.time.after(passed);
            state.waiting.push(Op::AdvanceTime { ms: Milliseconds(passed) });
        }
        state.bytes += bytes;
        state.waiting.push(op);
        self.changed.notify_one();
    }

    fn finish(&self) {
        let mut state = lock(&self.state);
        state.finished = true;
        state.push_gap();
        self.changed.notify_one();
    }

    /// Takes all lines that wait. If there are none, waits for some, or until the recording is finished.
    fn take(&self) -> Vec<Op<N>> {
        let empty = |state: &mut State<N>| state.waiting.is_empty() && !state.finished;
        let waited = self.changed.wait_while(lock(&self.state), empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.bytes = 0;
        std::mem::take(&mut state.waiting)
    }

    /// Writes all lines, and flushes whenever none waits. A failure finishes the recording.
    fn write_to(&self, mut out: impl Write) -> io::Result<u64> {
        let mut write_lines = |ops: &[Op<N>]| {
            for op in ops {
                serde_json::to_writer(&mut out, &write(op)?)?;
                out.write_all(b"\n")?;
            }
            out.flush()
        };
        let mut written = 0;
        loop {
            let ops = self.take();
            if ops.is_empty() {
                return Ok(written);
            }
            write_lines(&ops).inspect_err(|_| self.finish())?;
            written += ops.len() as u64;
        }
    }
}

impl<N: Recordable> State<N> {
    fn push_gap(&mut self) {
        if self.gap > 0 {
            self.waiting.push(Op::Gap { lost: std::mem::take(&mut self.gap) });
        }
    }
}

impl<N: Recordable> Op<N> {
    /// The approximate size of what it owns on the heap.
    fn bytes(&self, network: &Hooks<N>) -> usize {
        match self {
            Self::AppInput {
                input: AppInput::PublishMessage(full) | AppInput::PublishToAtLeast { message: full, .. },
            } => full.size(network),
            Self::P2pInput { input: PeerInput::InMessage { p2p_message, .. } } => match p2p_message {
                PeerMessage::Message(full) => full.size(network),
                PeerMessage::IHave { message_ids: ids, .. }
                | PeerMessage::IWant { message_ids: ids }
                | PeerMessage::IDontWant { message_ids: ids } => {
                    ids.iter().map(|id| network.message_id_size(id)).sum()
                }
                PeerMessage::Prune { px, .. } => size_of_val(px.as_slice()),
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// The state behind these locks stays consistent if a thread panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
