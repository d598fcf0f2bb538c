//! Lines for standard output or the log, written by a thread of their own. A slow reader delays no other thread: lines
//! that find no room are dropped and counted, and the thread writes how many as soon as it can write again.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::Failure;

/// Most bytes of lines that wait to be written: some 20,000 lines.
const MAX_QUEUED: usize = 8 << 20;
/// The bytes that a line takes in addition to its text.
const LINE_OVERHEAD: usize = 64;
/// Time limit for writing the last lines at the end of the command.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How often [`Lines::on_tick`] is called.
pub const TICK: Duration = Duration::from_secs(10);

/// Queues lines for the thread. Clones share it.
#[derive(Clone)]
pub struct LineWriter(Arc<LineQueue>);

/// The lines that wait for the thread.
struct LineQueue {
    commands: Sender<Command>,
    /// Bytes that wait to be written.
    bytes: AtomicUsize,
    /// Lines that were dropped and are not reported yet.
    lost: AtomicU64,
}

enum Command {
    /// A line, with its line break.
    Write(Vec<u8>),
    End,
}

/// What the owner of the lines does on the thread.
pub trait Lines: Send + 'static {
    /// The line that says that `count` lines were lost, without its line break.
    fn lost(&self, count: u64) -> String;
    /// Writing failed. The thread ends, or goes on: what can't be written is lost.
    fn on_error(&mut self, error: &io::Error) -> ControlFlow<()>;
    /// Called every [`TICK`], unless writing blocks.
    fn on_tick(&mut self) {}
}

/// Ends the thread.
pub struct LineWriterEnd {
    queue: LineWriter,
    ended: Receiver<()>,
}

impl LineWriter {
    /// Starts the thread, which writes to `out`.
    pub fn start(
        name: &str,
        out: impl Write + Send + 'static,
        lines: impl Lines,
    ) -> Result<(Self, LineWriterEnd), Failure> {
        let (commands, receiver) = channel();
        let queue =
            Self(Arc::new(LineQueue { commands, bytes: AtomicUsize::new(0), lost: AtomicU64::new(0) }));
        let (end, ended) = channel();
        let mut thread = Thread { queue: queue.clone(), commands: receiver, out: BufWriter::new(out), lines };
        let run = move || {
            thread.run();
            // The receiver is gone if the command has stopped waiting.
            let _ = end.send(());
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map_err(Failure::Thread)?;
        Ok((queue.clone(), LineWriterEnd { queue, ended }))
    }

    /// Queues the line that `line` returns, with its line break. If there is no room, the line is not made, but counted.
    /// Never blocks.
    pub fn write(&self, line: impl FnOnce() -> Vec<u8>) {
        if self.0.bytes.load(Ordering::Relaxed) >= MAX_QUEUED {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.write_always(line());
        }
    }

    /// Queues a line even if there is no room for it. Only for lines that are few.
    pub fn write_always(&self, line: Vec<u8>) {
        self.0.bytes.fetch_add(line.len() + LINE_OVERHEAD, Ordering::Relaxed);
        // The thread has ended if writing failed.
        let _ = self.0.commands.send(Command::Write(line));
    }
}

impl LineWriterEnd {
    /// Queues a last line, which is not dropped.
    pub fn last_line(&self, line: &str) {
        self.queue.write_always(format!("{line}\n").into_bytes());
    }

    /// Waits until all lines that were queued before are written, for at most [`END_TIMEOUT`].
    pub fn wait(self) {
        let _ = self.queue.0.commands.send(Command::End);
        let _ = self.ended.recv_timeout(END_TIMEOUT);
    }
}

struct Thread<W: Write, L> {
    queue: LineWriter,
    commands: Receiver<Command>,
    out: BufWriter<W>,
    lines: L,
}

impl<W: Write, L: Lines> Thread<W, L> {
    fn run(&mut self) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            match self.commands.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(command) => {
                    if self.write_queued(command).is_break() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next_tick {
                self.lines.on_tick();
                next_tick = Instant::now() + TICK;
            }
        }
    }

    /// Writes all lines that are queued, and flushes. Breaks at the end.
    fn write_queued(&mut self, first: Command) -> ControlFlow<()> {
        let mut next = Some(first);
        let mut ends = false;
        while let Some(command) = next {
            let Command::Write(line) = command else {
                ends = true;
                break;
            };
            let written = self.out.write_all(&line);
            self.queue.0.bytes.fetch_sub(line.len() + LINE_OVERHEAD, Ordering::Relaxed);
            self.check(written)?;
            next = self.commands.try_recv().ok();
        }
        let lost = self.queue.0.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let written = writeln!(self.out, "{}", self.lines.lost(lost));
            self.check(written)?;
        }
        let flushed = self.out.flush();
        self.check(flushed)?;
        if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn check(&mut self, result: io::Result<()>) -> ControlFlow<()> {
        result.map_or_else(|error| self.lines.on_error(&error), ControlFlow::Continue)
    }
}

/// Ends the thread when the reader has closed the pipe. After other errors, such as a full disk, later lines may be written.
pub fn end_if_closed(error: &io::Error) -> ControlFlow<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A pipe that blocks until it is opened.
    #[derive(Clone, Default)]
    struct Pipe(Arc<(Mutex<(bool, Vec<u8>)>, Condvar)>);

    impl Pipe {
        fn open(&self) {
            self.0.0.lock().unwrap().0 = true;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().1.clone()).unwrap()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.1.wait_while(self.0.0.lock().unwrap(), |(open, _)| !*open).unwrap();
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Plain;

    impl Lines for Plain {
        fn lost(&self, count: u64) -> String {
            format!("lost {count}")
        }

        fn on_error(&mut self, error: &io::Error) -> ControlFlow<()> {
            panic!("{error}");
        }
    }

    #[test]
    fn lines_for_a_pipe_that_nobody_reads_are_dropped_and_counted() {
        let pipe = Pipe::default();
        let (writer, end) = LineWriter::start("test", pipe.clone(), Plain).unwrap();
        let line = || [&[b'x'; 1_023][..], b"\n"].concat();
        let total = 3 * MAX_QUEUED / 1_024;
        // Nothing reads the pipe. All of these return.
        (0..total).for_each(|_| writer.write(line));
        writer.write(|| panic!("a line without room is not made"));
        writer.write_always(b"the last line\n".to_vec());
        pipe.open();
        end.wait();
        let text = pipe.text();
        let written = text.lines().filter(|line| line.starts_with('x')).count();
        let last: Vec<_> = text.lines().rev().take(2).collect();
        assert_eq!(last, [format!("lost {}", total + 1 - written).as_str(), "the last line"]);
        assert!(written * 1_024 <= MAX_QUEUED + (64 << 10), "{written} lines were queued");
    }
}
