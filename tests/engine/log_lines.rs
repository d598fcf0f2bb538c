//! These tests check the text that the engine logs through `tracing`, with a real subscriber and a real filter as set
//! by `RUST_LOG`.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Clock, Limits, LimitsConfig, ManualClock, P2pInput, P2pMessage, Started, Worker, WorkerBuilder,
    limits::{TopicFamily, TopicScores},
    plain::PlainNetwork,
};
use tracing::{Dispatch, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// The log text written so far.
#[derive(Clone, Default)]
pub struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Text {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Text {
    /// The lines that contain all parts.
    pub fn lines(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
        text.lines().filter(has_all).map(str::to_owned).collect()
    }

    /// The only line that contains all parts.
    fn line(&self, parts: &[&str]) -> String {
        let found = self.lines(parts);
        assert_eq!(found.len(), 1, "{parts:?} in {:#?}", self.lines(&[]));
        found[0].clone()
    }
}

/// An engine on this thread, with a clock that the test moves.
struct Engine {
    started: Started<PlainNetwork>,
    clock: Arc<ManualClock>,
}

impl Engine {
    fn start(name: Option<&str>) -> Self {
        let config =
            LimitsConfig::tezos_dal().with(|c| (c.degree_optimal, c.degree_low, c.degree_high) = (6, 4, 7));
        let limits = Limits::try_from(config).unwrap();
        let clock = Arc::new(ManualClock::new());
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(0).seed(1);
        let builder = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let builder = name.into_iter().fold(builder, WorkerBuilder::name);
        Self { started: builder.start(["news".to_owned()]).unwrap(), clock }
    }

    async fn sends(&self, peer: u64, message: P2pMessage<PlainNetwork>) {
        self.started.worker.p2p_input(P2pInput::message(peer, message)).unwrap();
        self.started.worker.settle().await;
    }

    async fn connects(&self, peer: u64) {
        self.started.worker.p2p_input(P2pInput::connected(peer)).unwrap();
        self.sends(peer, P2pMessage::subscribe("news".to_owned())).await;
    }

    async fn grafts(&self, peer: u64, topic: &str) {
        self.sends(peer, P2pMessage::Graft { topic: topic.to_owned() }).await;
    }
}

/// Two subscribers that log nothing, for the whole process. With at most one subscriber `tracing` decides once, on the thread
/// that reaches a log statement first, whether the statement is enabled. That may be the engine of a test without a
/// subscriber, and then the lines are missing here.
static SILENT: LazyLock<[Dispatch; 2]> = LazyLock::new(|| {
    let silent = || Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish());
    [silent(), silent()]
});

/// A subscriber that writes to the text what `RUST_LOG` would let pass.
pub fn subscriber(filter: &str) -> (Text, Dispatch) {
    LazyLock::force(&SILENT);
    let text = Text::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(text.clone());
    (text, Dispatch::new(subscriber.with_env_filter(EnvFilter::new(filter)).finish()))
}

/// Runs a test whose log, filtered as `RUST_LOG` would, is written to `text`.
fn logged(filter: &str, test: impl AsyncFnOnce(&Engine)) -> Text {
    logged_by(None, filter, test)
}

/// As [`logged`], of an engine with this name.
fn logged_by(name: Option<&str>, filter: &str, test: impl AsyncFnOnce(&Engine)) -> Text {
    let (text, subscriber) = subscriber(filter);
    tracing::dispatcher::with_default(&subscriber, || {
        actix_rt::System::new().block_on(async {
            let engine = Engine::start(name);
            engine.started.worker.settle().await;
            test(&engine).await;
            engine.started.worker.shutdown().await;
        });
    });
    text
}

const BACKOFF: Duration = Duration::from_secs(60);

async fn grafts_during_backoff(engine: &Engine) {
    engine.connects(7).await;
    engine.grafts(7, "news").await;
    let prune = P2pMessage::Prune { topic: "news".to_owned(), px: Vec::new(), backoff: BACKOFF };
    engine.sends(7, prune).await;
    engine.clock.advance(Duration::from_secs(2));
    engine.grafts(7, "news").await;
}

#[test]
fn a_refused_graft_is_explained_in_one_line() {
    let text = logged("actix_gossipsub=debug", grafts_during_backoff);
    let line = text.line(&["graft refused"]);
    for part in [
        "DEBUG actix_gossipsub::",
        "peer=7",
        "topic=\"news\"",
        "outcome=\"backed_off\"",
        "reason=\"the peer comes back before its backoff is over\"",
        "score=0",
        "backoff_left=58s",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    text.line(&["graft accepted", "peer=7"]);
    text.line(&["prune received", "peer=7"]);
    text.line(&["penalised (P7)", "peer=7", "reason=\"graft_backoff\""]);
}

#[test]
fn the_line_names_the_values_that_decided_the_graft() {
    let text = logged("actix_gossipsub=debug", async |engine| {
        for peer in 1..=9 {
            engine.connects(peer).await;
        }
        let score = AppInput::SetApplicationScore { peer: 9, score: -5.0 };
        engine.started.worker.app_input(score).unwrap();
        engine.started.worker.settle().await;
        engine.grafts(9, "news").await;
        engine.grafts(9, "elsewhere").await;
        for peer in 1..=8 {
            engine.grafts(peer, "news").await;
        }
        engine.grafts(1, "news").await;
        engine.grafts(77, "news").await;
    });
    let line = text.line(&["graft refused", "negative_score"]);
    assert!(line.contains("score=-5") && line.contains("threshold=0"), "{line}");
    let line = text.line(&["graft refused", "mesh_full"]);
    assert!(line.contains("peer=8") && line.contains("mesh=7 degree_high=7"), "{line}");
    text.line(&["graft refused", "not_joined", "topic=\"elsewhere\""]);
    text.line(&["graft refused", "already_in_mesh", "peer=1 "]);
    text.line(&["graft refused", "unknown_peer", "peer=77"]);
    assert_eq!(text.lines(&["graft refused"]).len(), 5);
}

#[test]
fn nothing_is_logged_at_level_info() {
    let text = logged("actix_gossipsub=info", grafts_during_backoff);
    assert_eq!(text.lines(&[]), Vec::<String>::new());
}

async fn sends_a_message(engine: &Engine) {
    engine.connects(7).await;
    let message = PlainNetwork::message("news", 1, "hello");
    engine.sends(7, P2pMessage::FullMessage(Arc::new(message))).await;
}

#[test]
fn received_messages_are_logged_at_level_trace_only() {
    let message_lines = |text: &Text| text.lines(&["outcome=\"routed\"", "peer=7"]).len();
    assert_eq!(message_lines(&logged("actix_gossipsub=debug", sends_a_message)), 0);
    assert_eq!(message_lines(&logged("actix_gossipsub=trace", sends_a_message)), 1);
}

#[test]
fn lines_of_a_heartbeat_are_inside_its_span() {
    let text = logged("actix_gossipsub=trace", async |engine| engine.started.worker.tick().await);
    let line = text.line(&["heartbeat{tick=1}:"]);
    assert!(line.contains("TRACE"), "{line}");
}

#[test]
fn a_joined_topic_without_score_parameters_is_one_warning() {
    let text = logged("actix_gossipsub=info", async |engine| {
        let worker = &engine.started.worker;
        let scored =
            TopicFamily::default().with(|family| family.weights = [("scored".to_owned(), 1.0)].into());
        worker.change_limits(|limits| limits.score.topics = TopicScores::Family(scored)).unwrap();
        for topic in ["scored", "scorde", "scorde"] {
            worker.app_input(AppInput::Join(topic.to_owned())).unwrap();
            worker.settle().await;
        }
    });
    assert!(text.line(&["no score parameters"]).contains("topic=\"scorde\""));
    text.line(&[" WARN ", "scorde"]);
    text.line(&[" INFO ", "the limits have changed"]);
}

/// Lines of the engine's actors, and those that it logs on the thread of its caller.
#[test]
fn all_lines_of_a_named_engine_have_its_name() {
    let test = async |engine: &Engine| {
        grafts_during_backoff(engine).await;
        sends_a_message(engine).await;
        engine.sends(7, P2pMessage::IDontWant { message_ids: Vec::new() }).await;
        engine.started.worker.app_input(AppInput::Publish(PlainNetwork::message("x", 1, "hello"))).unwrap();
        engine.started.worker.tick().await;
        engine.started.worker.app_input(AppInput::Leave("news".to_owned())).unwrap();
    };
    let text = logged_by(Some("a"), "actix_gossipsub=trace", test);
    let lines = text.lines(&[]);
    let unnamed: Vec<_> = lines.iter().filter(|line| !line.contains("gossipsub{engine=\"a\"}")).collect();
    assert_eq!(unnamed, Vec::<&String>::new());
    for part in [
        "graft refused",
        "outcome=\"routed\"",
        "idontwant",
        "published to no peer",
        "heartbeat{tick=1}",
        "leave",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "no {part} in {lines:#?}");
    }
    assert_eq!(logged("actix_gossipsub=trace", test).lines(&["engine="]), Vec::<String>::new());
}
