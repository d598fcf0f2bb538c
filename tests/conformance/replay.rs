//! These tests record the inputs of a live engine and replay them on a `Node`, which must reach the same state and emit
//! the same outputs.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Clock, ConnectionInfo, Direction, FullMessage, Limits, LimitsConfig, ManualClock, P2pInput,
    P2pMessage, PublishOptions, Refused, Started, Worker,
    plain::{PlainId, PlainNetwork},
    protocol::View,
    recording::{FileRecorder, Mistake, Replay, Replayed},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::{Value, json};

pub fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}

pub fn temporary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The result of a complete replay.
pub struct ReplayResult {
    pub lines: Vec<Replayed>,
    pub lost: u64,
    /// The whole state as text, with exact scores.
    pub state: String,
}

impl ReplayResult {
    /// All lines as JSON text.
    fn text(&self) -> String {
        self.lines.iter().map(|line| json!(line).to_string() + "\n").collect()
    }

    fn has_outcome(&self, message: &str, outcome: &str) -> bool {
        let has = |line: &Replayed| {
            line.op["input"]["p2p_message"]["type"] == message && line.outcome["outcome"] == outcome
        };
        self.lines.iter().any(has)
    }
}

pub fn replayed(recording: &str) -> Result<ReplayResult, Mistake> {
    let (first, rest) = recording.split_once('\n').unwrap_or((recording, ""));
    let (mut replay, first) = Replay::start(|_| PlainNetwork::new(), first)?;
    let mut lines = vec![first];
    for line in rest.lines() {
        lines.push(replay.perform(line)?);
    }
    Ok(ReplayResult { lines, lost: replay.lost(), state: text_of(replay.view()) })
}

/// A state as text. Its lists without an order are sorted.
pub fn text_of(mut view: View<PlainNetwork>) -> String {
    view.cached.sort_by(|a, b| (&a.topic, &a.id).cmp(&(&b.topic, &b.id)));
    view.seen.sort_by(|a, b| (&a.topic, &a.id).cmp(&(&b.topic, &b.id)));
    view.gossip.values_mut().for_each(|ids| ids.sort());
    serde_json::to_string_pretty(&view).unwrap()
}

/// A manual engine on this thread, which handles inputs in the order of the recording.
pub struct Live {
    pub started: Started<PlainNetwork>,
    clock: Arc<ManualClock>,
    pub recorder: Arc<FileRecorder<PlainNetwork>>,
    pub emitted: usize,
}

impl Live {
    pub fn start(recorder: Arc<FileRecorder<PlainNetwork>>) -> Self {
        let clock = Arc::new(ManualClock::new());
        let mut limits = LimitsConfig::default();
        // All messages of these tests have this size.
        limits.extensions.idontwant_message_size = "content".len();
        limits.extensions.max_idontwant_per_heartbeat = 20;
        let limits = Limits::try_from(limits).unwrap();
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(0).seed(42);
        let builder = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let builder = builder.input_recorder(Arc::clone(&recorder) as _);
        let started = builder.start(["a".to_owned(), "b".to_owned()]).unwrap();
        Self { started, clock, recorder, emitted: 0 }
    }

    pub fn worker(&self) -> &Worker<PlainNetwork> {
        &self.started.worker
    }

    pub async fn settle(&mut self) {
        self.worker().settle().await;
        self.emitted += std::iter::from_fn(|| self.started.p2p.try_recv()).count();
        while self.started.app.try_recv().is_some() {}
    }

    async fn p2p(&mut self, input: P2pInput<PlainNetwork>) {
        let accepted = self.worker().p2p_input(input);
        assert!(matches!(accepted, Ok(()) | Err(Refused::Graylisted)), "{accepted:?}");
        self.settle().await;
    }

    async fn message(&mut self, peer: u64, message: P2pMessage<PlainNetwork>) {
        self.p2p(P2pInput::message(peer, message)).await;
    }

    async fn app(&mut self, input: AppInput<PlainNetwork>) {
        self.worker().app_input(input).unwrap();
        self.settle().await;
    }
}

fn topic(rng: &mut ChaCha8Rng) -> String {
    ["a", "b", "c"][rng.random_range(0..3)].to_owned()
}

fn message(rng: &mut ChaCha8Rng) -> FullMessage<PlainNetwork> {
    PlainNetwork::message(&topic(rng), rng.random_range(0..60), "content")
}

fn id(rng: &mut ChaCha8Rng) -> PlainId {
    PlainId { number: rng.random_range(0..60), topic: topic(rng) }
}

/// Forty peers on three topics send random inputs of all kinds.
async fn random_inputs(live: &mut Live, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    connect_all(live).await;
    for step in 0..steps {
        random_input(live, &mut rng, step).await;
    }
}

/// Forty peers connect and subscribe to three topics.
pub async fn connect_all(live: &mut Live) {
    for peer in 0..40 {
        let [direct, outbound, trusted] = [peer == 0, peer % 3 == 0, peer % 5 == 0];
        let mut info = ConnectionInfo::new(Direction::outbound_if(outbound));
        (info.kind.direct, info.kind.trusted, info.kind.bootstrap) = (direct, trusted, peer == 1);
        info.floodsub = peer % 7 == 4;
        live.p2p(P2pInput::NewConnection { peer, info }).await;
        for topic in ["a", "b", "c"] {
            live.message(peer, P2pMessage::subscribe(topic.to_owned())).await;
        }
    }
}

/// One random input, a short time after the last.
pub async fn random_input(live: &mut Live, rng: &mut ChaCha8Rng, step: usize) {
    live.clock.advance(Duration::from_nanos(rng.random_range(1..90_000_000)));
    let peer = rng.random_range(0..42);
    let ids = vec![id(rng), id(rng)];
    match rng.random_range(0..18) {
        0 => live.message(peer, P2pMessage::Graft { topic: topic(rng) }).await,
        1 => {
            let px = vec![rng.random_range(0..60).into(), rng.random_range(0..60).into()];
            let backoff = Duration::from_micros(rng.random_range(0..90_000_000));
            live.message(peer, P2pMessage::Prune { topic: topic(rng), px, backoff }).await;
        }
        2 => live.message(peer, P2pMessage::IHave { topic: ids[0].topic.clone(), message_ids: ids }).await,
        3 => live.message(peer, P2pMessage::IWant { message_ids: ids }).await,
        14..18 => live.message(peer, P2pMessage::IDontWant { message_ids: ids }).await,
        4 if step.is_multiple_of(2) => live.app(AppInput::Publish(message(rng))).await,
        4 => {
            let options = PublishOptions::default().with(|o| o.min_peers = rng.random_range(0..15));
            let _ = live.worker().publish_with(message(rng), options).await;
            live.settle().await;
        }
        5 if step.is_multiple_of(3) => live.p2p(P2pInput::Disconnection { peer }).await,
        5 => live.p2p(P2pInput::connected(peer)).await,
        6 => {
            let score = f64::from(rng.random_range(-20..20)) / 3.0;
            live.app(AppInput::SetApplicationScore { peer, score }).await;
        }
        7 => {
            live.worker().set_unreachable_point(rng.random_range(0..9));
            live.worker().report_slow_peer(&peer);
            live.settle().await;
        }
        8 if step.is_multiple_of(40) => live.app(AppInput::Leave("b".to_owned())).await,
        8 => live.app(AppInput::Join("b".to_owned())).await,
        9 | 10 => {
            live.worker().tick().await;
            live.worker().check_parked().await;
            live.settle().await;
        }
        _ => live.message(peer, P2pMessage::FullMessage(Arc::new(message(rng)))).await,
    }
}

#[test]
fn a_recorded_engine_is_replayed_to_the_same_state_and_outputs() {
    let file = temporary("random_inputs.jsonl");
    let (state, emitted) = run(async {
        let mut live = Live::start(FileRecorder::create(&file).unwrap());
        live.settle().await;
        random_inputs(&mut live, 3000).await;
        let state = text_of(live.worker().state().await.unwrap());
        let recorded = live.recorder.finish().unwrap();
        assert_eq!(recorded.lost, 0);
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert_eq!(recorded.lines, lines as u64);
        live.worker().shutdown().await;
        (state, live.emitted)
    });
    let recording = fs::read_to_string(&file).unwrap();
    let (first, second) = (replayed(&recording).unwrap(), replayed(&recording).unwrap());
    assert_eq!(first.text(), second.text());
    assert_eq!(first.state, second.state);
    assert_eq!(first.lost, 0);
    assert_eq!(first.state, state);
    assert_eq!(first.lines.iter().map(|line| line.p2p.len()).sum::<usize>(), emitted);
    // The recording contains inputs that are difficult to replay.
    for (message, outcome) in [
        ("graft", "grafted"),
        ("graft", "backed_off"),
        ("graft", "negative_score"),
        ("prune", "px_ignored"),
        ("idontwant", "recorded"),
        ("idontwant", "unknown_peer"),
    ] {
        assert!(first.has_outcome(message, outcome), "no {message} that is {outcome}");
    }
    for outcome in ["published", "too_few_peers"] {
        let has = |line: &&Replayed| {
            line.op["input"]["type"] == "publish_to_at_least" && line.outcome["outcome"] == outcome
        };
        assert!(first.lines.iter().any(|line| has(&line)), "no publication to some peers is {outcome}");
    }
}

/// A file that blocks its writer until it is released.
struct BlockedWriter {
    release: Receiver<()>,
    text: Arc<Mutex<Vec<u8>>>,
    released: bool,
}

impl BlockedWriter {
    fn new() -> (Self, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let ((sender, release), text) = (channel(), Arc::<Mutex<Vec<u8>>>::default());
        (Self { release, text: Arc::clone(&text), released: false }, sender, text)
    }
}

impl Write for BlockedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.released {
            self.release.recv().map_err(io::Error::other)?;
            self.released = true;
        }
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_lost_input_is_counted_and_marked_in_the_recording() {
    let (slow, release, text) = BlockedWriter::new();
    run(async {
        let mut live = Live::start(FileRecorder::to_writer(slow, 20).unwrap());
        random_inputs(&mut live, 10).await;
        live.worker().shutdown().await;
        release.send(()).unwrap();
        let recorded = live.recorder.finish().unwrap();
        assert!(recorded.lost > 0, "{recorded:?}");
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let result = replayed(&text).unwrap();
        assert_eq!(result.lost, recorded.lost);
        assert!(result.lines.iter().any(|line| line.op["op"] == "gap"), "{}", result.text());
    });
}

#[test]
fn a_write_error_ends_the_recording_but_not_the_engine() {
    let (slow, release, _) = BlockedWriter::new();
    drop(release);
    run(async {
        let mut live = Live::start(FileRecorder::to_writer(slow, 20).unwrap());
        random_inputs(&mut live, 100).await;
        live.recorder.finish().unwrap_err();
        assert!(!live.worker().state().await.unwrap().connections.is_empty());
        live.worker().shutdown().await;
    });
}

/// The first line of a recording.
fn first_line() -> String {
    let (slow, release, text) = BlockedWriter::new();
    release.send(()).unwrap();
    run(async {
        let live = Live::start(FileRecorder::to_writer(slow, 100).unwrap());
        live.worker().shutdown().await;
        live.recorder.finish().unwrap();
    });
    String::from_utf8(text.lock().unwrap().clone()).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn limits_are_recorded_in_the_form_of_the_reference_traces() {
    let first: Value = serde_json::from_str(&first_line()).unwrap();
    let limits = &first["op"]["limits"];
    let defaults = LimitsConfig::<String>::default();
    assert_eq!(limits["prune_backoff"], json!(defaults.prune_backoff.as_millis() as u64));
    let score = &limits["score_limits"];
    assert_eq!(score["topics"]["kind"], "single");
    assert!(score["topics"]["parameters"]["time_in_mesh_quantum"].is_u64(), "{score}");
    assert_eq!((limits.get("score"), score["topic_score_cap"].is_string()), (None, false));

    // Topics may have the names of limits, durations may have fractions, and the reference has no extensions.
    let mut line = first.clone();
    line["op"]["limits"]["fanout_ttl"] = json!(1.5);
    line["op"]["limits"].as_object_mut().unwrap().remove("extensions");
    let parameters = &limits["score_limits"]["topics"]["parameters"];
    line["op"]["limits"]["score_limits"]["topics"] = json!({
        "kind": "family",
        "parameters": { "prune_backoff": parameters },
        "weights": { "prune_backoff": 2 },
        "default_parameters": parameters,
        "default_weight": 1,
    });
    replayed(&line.to_string()).unwrap();
}

#[test]
fn a_mistake_is_reported_with_its_line_and_field() {
    let first = first_line();
    let graft = |peer: Value| {
        let message = json!({ "type": "graft", "topic": "a" });
        let input = json!({ "type": "in_message", "from_peer": peer, "p2p_message": message });
        json!({ "op": { "op": "p2p_input", "input": input } }).to_string()
    };
    let altered = |line: &str, alter: fn(&mut Value)| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        alter(&mut line);
        line.to_string()
    };
    let [ok, named, none] = [json!(1), json!("one"), json!(null)].map(graft);
    let unknown = altered(&ok, |line| line["op"]["input"]["p2p_message"]["loudly"] = json!(true));
    let untyped = altered(&ok, |line| line["op"]["input"]["type"] = json!(1));
    let expects = altered(&ok, |line| line["expect"] = json!({}));
    let limits = altered(&first, |line| line["op"]["limits"]["degree_low"] = json!("six"));
    let score = altered(&first, |line| line["op"]["limits"]["score_limits"]["decay_zero"] = json!("small"));
    let refused = altered(&first, |line| line["op"]["limits"]["degree_low"] = json!(1000));
    let network = altered(&first, |line| line["op"]["network"] = json!("pigeons"));
    let no_limits = altered(&first, |line| drop(line["op"].as_object_mut().unwrap().remove("limits")));
    let misspelt = json!({ "op": { "op": "grraft" } }).to_string();
    let cases = [
        (
            vec![&*first, &ok, &named],
            "line 3: op.input.from_peer: invalid type: string \"one\", expected u64",
        ),
        (vec![&first, &none], "line 2: op.input.from_peer: invalid type: null, expected u64"),
        (
            vec![&first, &unknown],
            "line 2: op.input.p2p_message.loudly: unknown field `loudly`, expected `topic`",
        ),
        (vec![&first, &untyped], "line 2: op.input.type: a name is expected"),
        (vec![&first, "{}"], "line 2: line: missing field `op`"),
        (vec![&first, &expects], "line 2: expect: unknown field `expect`, expected `op`"),
        (
            vec![&first, &misspelt],
            "line 2: op: unknown variant `grraft`, expected one of `make`, `advance_time`",
        ),
        (vec![&first, &first], "line 2: op.op: `make` must be the first line"),
        (vec![&first, "{"], "line 2: column 1: EOF while parsing an object"),
        (vec![&limits], "line 1: op.limits.degree_low: invalid type: string \"six\", expected usize"),
        (
            vec![&score],
            "line 1: op.limits.score_limits.decay_zero: invalid type: string \"small\", expected f64",
        ),
        (vec![&refused], "line 1: op.limits: "),
        (vec![&network], "line 1: op.network: `pigeons` is another network, expected `plain`"),
        (vec![&no_limits], "line 1: op: missing field `limits`"),
        (vec![&ok], "line 1: op.op: the first line must be `make`"),
        (vec![], "line 1: column 0: EOF while parsing a value"),
    ];
    for (lines, mistake) in cases {
        let error = replayed(&lines.join("\n")).err().expect(mistake).to_string();
        assert!(error.starts_with(mistake), "{error} is not {mistake}");
    }
}
