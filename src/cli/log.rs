//! The log, on standard error. A thread of its own writes the lines. Peers can cause any number of events, so at most one line
//! of each kind is written in 10 seconds.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IsTerminal},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::{Context, Layer, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{
    Failure,
    config::LogFormat,
    line_writer::{LineWriter, LineWriterEnd, Lines, TICK, end_if_closed},
};

/// The target of the lines that say what the log lacks. They are not limited themselves.
const TARGET: &str = "actix_gossipsub::log";

/// The target of the status lines. They come as often as the operator wants, and not limited.
const STATUS: &str = "actix_gossipsub::cli::node::status";

/// The filter that applies if none is configured. yamux warns of each connection that the remote side closes first.
/// `subscribe` logs its address, since standard output has the messages alone.
const DEFAULT_FILTER: &str =
    "warn,yamux=error,actix_gossipsub::cli::pipes=info,actix_gossipsub::cli::node::status=info";

/// Logs to standard error. The filter is that of the settings, or else RUST_LOG, or else the default. Colours are for a
/// terminal only.
///
/// # Errors
/// The filter can't be parsed, or the thread that writes the log can't be started.
pub fn log_to_stderr(settings: &super::config::Log) -> Result<LineWriterEnd, Failure> {
    let filter = filter(settings.filter.as_deref())?;
    let limit = KindLimit::default();
    let (writer, end) = LineWriter::start("log", io::stderr(), Log(limit.clone()))?;
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines =
        tracing_subscriber::fmt::layer().with_writer(LogWriter(writer)).with_timer(Utc).with_ansi(colours);
    let registry = tracing_subscriber::registry();
    match settings.format {
        LogFormat::Text => registry.with(lines).with(limit).with(filter).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).with(limit).with(filter).init(),
    }
    Ok(end)
}

fn filter(setting: Option<&str>) -> Result<EnvFilter, Failure> {
    let (text, source) = match (setting, std::env::var("RUST_LOG")) {
        (Some(filter), _) => (filter.to_owned(), "log.filter"),
        (None, Ok(filter)) => (filter, "environment variable RUST_LOG"),
        (None, Err(_)) => (DEFAULT_FILTER.to_owned(), "default"),
    };
    EnvFilter::try_new(&text).map_err(|error| Failure::Invalid(format!("{source} = {text:?}: {error}")))
}

/// The clock of the log: UTC with milliseconds.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", humantime::format_rfc3339_millis(SystemTime::now()))
    }
}

struct Log(KindLimit);

impl Lines for Log {
    fn lost(&self, count: u64) -> String {
        format!("{count} log lines are missing here: standard error was not read")
    }

    /// Nothing can be reported without a log.
    fn on_error(&mut self, error: &io::Error) -> ControlFlow<()> {
        end_if_closed(error)
    }

    fn on_tick(&mut self) {
        for Omitted { kind, source, count } in self.0.take_omitted(Instant::now()) {
            tracing::warn!(target: TARGET, kind, source, count, "further events of this kind in the last seconds");
        }
    }
}

struct LogWriter(LineWriter);

/// Writes one event.
struct EventWriter<'a>(&'a LineWriter);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = EventWriter<'a>;

    fn make_writer(&'a self) -> EventWriter<'a> {
        EventWriter(&self.0)
    }
}

impl io::Write for EventWriter<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write(|| event.to_vec());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Most kinds that differ by their texts.
const MAX_KINDS: usize = 1_024;

/// Lets one event of each kind pass in a [`TICK`], and counts the others. A kind is a place in the code and a text. Events below
/// INFO are not limited: who asks for them wants each of them.
#[derive(Clone, Default)]
struct KindLimit(Arc<Mutex<HashMap<(Identifier, String), Kind>>>);

struct Kind {
    metadata: &'static Metadata<'static>,
    since: Instant,
    /// Events since then that were not written.
    omitted: u64,
}

struct Omitted {
    kind: String,
    source: &'static str,
    count: u64,
}

impl KindLimit {
    fn allows(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || [TARGET, STATUS].contains(&metadata.target()) {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let mut kinds = self.kinds();
        if kinds.len() >= MAX_KINDS {
            // Texts that differ each time are one kind.
            message.0.clear();
        }
        let key = (metadata.callsite(), message.0);
        let Some(kind) = kinds.get_mut(&key) else {
            kinds.insert(key, Kind { metadata, since: now, omitted: 0 });
            return true;
        };
        if kind.omitted == 0 && now.duration_since(kind.since) >= TICK {
            kind.since = now;
            return true;
        }
        kind.omitted += 1;
        false
    }

    /// The kinds of which events were omitted for a [`TICK`]. Their counts begin anew.
    fn take_omitted(&self, now: Instant) -> Vec<Omitted> {
        let mut kinds = self.kinds();
        let due =
            kinds.iter_mut().filter(|(_, kind)| kind.omitted > 0 && now.duration_since(kind.since) >= TICK);
        due.map(|((_, message), kind)| {
            kind.since = now;
            let count = std::mem::take(&mut kind.omitted);
            Omitted { kind: message.clone(), source: kind.metadata.target(), count }
        })
        .collect()
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<(Identifier, String), Kind>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for KindLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.allows(event, Instant::now())
    }
}

/// The text of an event, without its other fields.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, info, warn};

    use super::*;

    /// Passes the time that a test sets to the limit, and counts what passes.
    #[derive(Clone)]
    struct Limited {
        limit: KindLimit,
        now: Arc<Mutex<Instant>>,
        passed: Arc<Mutex<Vec<String>>>,
    }

    impl<S: Subscriber> Layer<S> for Limited {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if self.limit.allows(event, *self.now.lock().unwrap()) {
                let mut message = Message::default();
                event.record(&mut message);
                self.passed.lock().unwrap().push(message.0);
            }
        }
    }

    #[test]
    fn a_million_warnings_of_one_kind_are_two_lines() {
        let start = Instant::now();
        let (limit, now) = (KindLimit::default(), Arc::new(Mutex::new(start)));
        let layer = Limited { limit: limit.clone(), now: now.clone(), passed: Arc::default() };
        let passed = layer.passed.clone();
        let _subscriber = tracing_subscriber::registry().with(layer).set_default();
        let flood = |count: usize| (0..count).for_each(|number| warn!(number, "a flood"));
        flood(1_000_000);
        info!("another kind");
        assert_eq!(*passed.lock().unwrap(), ["a flood", "another kind"]);
        assert!(limit.take_omitted(start + TICK / 2).is_empty());
        let omitted = limit.take_omitted(start + TICK);
        let omitted: Vec<_> = omitted.iter().map(|one| (one.kind.as_str(), one.count)).collect();
        assert_eq!(omitted, [("a flood", 999_999)]);
        // The kind is quiet for a while, so that its next event is written at once.
        assert!(limit.take_omitted(start + 2 * TICK).is_empty());
        *now.lock().unwrap() = start + 3 * TICK;
        flood(1);
        assert_eq!(passed.lock().unwrap().len(), 3);
        // Events below INFO are not limited.
        (0..10).for_each(|_| debug!("details"));
        assert_eq!(passed.lock().unwrap().len(), 13);
    }
}
