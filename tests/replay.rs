//! An engine's inputs, recorded while it runs, and performed again on a `Node`: the same state, the same bytes.

use std::{
    fs,
    io::{self, BufReader, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Clock, ConnectionInfo, Direction, FullMessage, Limits, LimitsConfig, ManualClock, P2pInput,
    P2pMessage, Started, Worker,
    plain::{PlainId, PlainNetwork},
    trace::{Ended, Performed, Plain, ReplayError, TraceFile, Values, render_view, replay},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::{Value, json};

fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}

fn temporary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// All lines of a replay, as JSON text, and its end.
async fn replayed(trace: &[u8]) -> Result<(Vec<String>, Ended), ReplayError> {
    let mut lines = Vec::new();
    let show = |performed: Performed| {
        let Performed { line, op, outcomes, answer, .. } = performed;
        lines.push(json!({ "line": line, "op": op, "outcomes": outcomes, "answer": answer }).to_string());
        Ok(())
    };
    let ended = replay(BufReader::new(trace), show).await?;
    Ok((lines, ended))
}

/// A manual engine on this thread: its order is the recording's.
struct Live {
    started: Started<PlainNetwork>,
    clock: Arc<ManualClock>,
    trace: Arc<TraceFile<PlainNetwork>>,
    emitted: usize,
}

impl Live {
    fn start(trace: Arc<TraceFile<PlainNetwork>>) -> Self {
        let clock = Arc::new(ManualClock::new());
        let mut limits = LimitsConfig::default();
        // So large are the messages here.
        limits.extensions.idontwant_message_size = "content".len();
        limits.extensions.max_idontwant_per_heartbeat = 20;
        let limits = Limits::try_from(limits).unwrap();
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(0).seed(42);
        let builder = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let builder = builder.input_recorder(Arc::clone(&trace) as _);
        let started = builder.start(["a".to_owned(), "b".to_owned()]).unwrap();
        Self { started, clock, trace, emitted: 0 }
    }

    fn worker(&self) -> &Worker<PlainNetwork> {
        &self.started.worker
    }

    async fn settle(&mut self) {
        self.worker().settle().await;
        self.emitted += std::iter::from_fn(|| self.started.p2p.try_recv()).count();
        while self.started.app.try_recv().is_some() {}
    }

    async fn p2p(&mut self, input: P2pInput<PlainNetwork>) {
        self.worker().p2p_input(input).unwrap();
        self.settle().await;
    }

    async fn says(&mut self, peer: u64, message: P2pMessage<PlainNetwork>) {
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

/// Forty peers on three topics do everything that peers do: choices are made at random.
async fn lively(live: &mut Live, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for peer in 0..40 {
        let [direct, outbound, trusted] = [peer == 0, peer % 3 == 0, peer % 5 == 0];
        let mut info = ConnectionInfo::new(Direction::outbound_if(outbound));
        (info.kind.direct, info.kind.trusted, info.kind.bootstrap) = (direct, trusted, peer == 1);
        live.p2p(P2pInput::NewConnection { peer, info }).await;
        for topic in ["a", "b", "c"] {
            live.says(peer, P2pMessage::subscribe(topic.to_owned())).await;
        }
    }
    for step in 0..steps {
        live.clock.advance(Duration::from_nanos(rng.random_range(1..90_000_000)));
        let peer = rng.random_range(0..42);
        let ids = vec![id(&mut rng), id(&mut rng)];
        match rng.random_range(0..18) {
            0 => live.says(peer, P2pMessage::Graft { topic: topic(&mut rng) }).await,
            1 => {
                let px = vec![rng.random_range(0..60).into(), rng.random_range(0..60).into()];
                let backoff = Duration::from_micros(rng.random_range(0..90_000_000));
                live.says(peer, P2pMessage::Prune { topic: topic(&mut rng), px, backoff }).await;
            }
            2 => live.says(peer, P2pMessage::IHave { topic: ids[0].topic.clone(), message_ids: ids }).await,
            3 => live.says(peer, P2pMessage::IWant { message_ids: ids }).await,
            14..18 => live.says(peer, P2pMessage::IDontWant { message_ids: ids }).await,
            4 => live.app(AppInput::Publish(message(&mut rng))).await,
            5 if step % 3 == 0 => live.p2p(P2pInput::Disconnection { peer }).await,
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
            8 if step % 40 == 0 => live.app(AppInput::Leave("b".to_owned())).await,
            8 => live.app(AppInput::Join("b".to_owned())).await,
            9 | 10 => {
                live.worker().tick().await;
                live.worker().check_parked().await;
                live.settle().await;
            }
            _ => live.says(peer, P2pMessage::FullMessage(Arc::new(message(&mut rng)))).await,
        }
    }
}

#[test]
fn a_recorded_engine_is_replayed_to_the_same_state_and_the_same_bytes() {
    let file = temporary("lively.jsonl");
    let (state, emitted) = run(async {
        let mut live = Live::start(TraceFile::create(&file, Plain::NETWORK).unwrap());
        live.settle().await;
        lively(&mut live, 3000).await;
        let state = render_view(&live.worker().state().await.unwrap(), true);
        let recorded = live.trace.finish().unwrap();
        assert_eq!(recorded.lost, 0);
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert_eq!(recorded.lines, lines as u64);
        live.worker().shutdown().await;
        (state, live.emitted)
    });
    let trace = fs::read(&file).unwrap();
    let (first, ended) = run(replayed(&trace)).unwrap();
    let (second, again) = run(replayed(&trace)).unwrap();
    assert_eq!(first, second);
    assert_eq!(ended.state.to_string(), again.state.to_string());
    assert_eq!(ended.lost, 0);
    // The whole state, scores to the last bit, as text.
    let show = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    assert_eq!(show(&ended.state), show(&state));
    let count = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["answer"]["p2p"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(first.iter().map(count).sum::<usize>(), emitted);
    // It was lively: what is to be told apart did happen.
    for outcome in [
        "grafting_successfully",
        "peer_backed_off",
        "grafting_peer_with_negative_score",
        "ignore_px_score_too_low",
        "noted_idontwant",
        "idontwant_from_unknown_peer",
    ] {
        let told = format!("\"out\":\"{outcome}\"");
        assert!(first.iter().any(|line| line.contains(&told)), "no {outcome}");
    }
}

/// A file that takes nothing until it is let go.
struct Slow {
    go: Receiver<()>,
    text: Arc<Mutex<Vec<u8>>>,
    gone: bool,
}

impl Slow {
    fn new() -> (Self, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let ((let_go, go), text) = (channel(), Arc::<Mutex<Vec<u8>>>::default());
        (Self { go, text: Arc::clone(&text), gone: false }, let_go, text)
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.gone {
            self.go.recv().map_err(io::Error::other)?;
            self.gone = true;
        }
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_finds_no_room_is_counted_and_its_place_is_marked() {
    let (slow, let_go, text) = Slow::new();
    run(async {
        let mut live = Live::start(TraceFile::to(slow, Plain::NETWORK, 20).unwrap());
        lively(&mut live, 10).await;
        live.worker().shutdown().await;
        let_go.send(()).unwrap();
        let recorded = live.trace.finish().unwrap();
        assert!(recorded.lost > 0, "{recorded:?}");
        let text = text.lock().unwrap().clone();
        let (lines, ended) = replayed(&text).await.unwrap();
        assert_eq!(ended.lost, recorded.lost);
        assert!(lines.iter().any(|line| line.contains("\"op\":\"gap\"")), "{lines:#?}");
    });
}

#[test]
fn a_file_that_takes_nothing_costs_the_recording_and_not_the_engine() {
    let (slow, let_go, _) = Slow::new();
    drop(let_go);
    run(async {
        let mut live = Live::start(TraceFile::to(slow, Plain::NETWORK, 20).unwrap());
        lively(&mut live, 100).await;
        live.trace.finish().unwrap_err();
        assert!(!live.worker().state().await.unwrap().connections.is_empty());
        live.worker().shutdown().await;
    });
}

#[test]
fn a_mistake_is_told_with_its_line_and_field() {
    let first = {
        let file = temporary("short.jsonl");
        run(async {
            let live = Live::start(TraceFile::create(&file, Plain::NETWORK).unwrap());
            live.worker().shutdown().await;
            live.trace.finish().unwrap();
        });
        fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned()
    };
    let graft = |peer: Value| {
        let said = json!({ "type": "graft", "topic": "a" });
        let input = json!({ "type": "in_message", "from_peer": peer, "p2p_message": said });
        json!({ "op": { "op": "p2p_input", "input": input } }).to_string()
    };
    let mut unknown: Value = serde_json::from_str(&graft(json!(1))).unwrap();
    unknown["op"]["input"]["p2p_message"]["loudly"] = json!(true);
    let mut limits: Value = serde_json::from_str(&first).unwrap();
    limits["op"]["limits"]["degree_low"] = json!("six");
    let mut network: Value = serde_json::from_str(&first).unwrap();
    network["op"]["network"] = json!("pigeons");
    let ok = graft(json!(1));
    let cases = [
        (vec![first.clone(), ok.clone(), graft(json!("one"))], "line 3: op.input.from_peer: invalid type"),
        (vec![first.clone(), graft(json!(null))], "line 2: op.input.from_peer: invalid type"),
        (vec![first.clone(), unknown.to_string()], "line 2: op.input.p2p_message.loudly: is not known here"),
        (vec![first.clone(), json!({ "op": { "op": "grraft" } }).to_string()], "line 2: op.op: `grraft`"),
        (vec![first.clone(), "{".to_owned()], "line 2: line: EOF"),
        (vec![limits.to_string()], "line 1: op.limits.degree_low: invalid type: string \"six\""),
        (vec![network.to_string()], "line 1: op.network: `pigeons` is not known here"),
        (vec![ok], "line 1: op.op: `p2p_input` is not known here"),
        (vec![], "line 1: the trace is empty"),
    ];
    for (lines, mistake) in cases {
        let error = run(replayed(lines.join("\n").as_bytes())).unwrap_err().to_string();
        assert!(error.starts_with(mistake), "{error} is not {mistake}");
    }
}
