//! These tests check that a request of the admin scope gets an answer though the engine or the transport gives none.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_gossipsub::{
    P2pInput, Started, Validity, Worker,
    http::{self, Messages},
    plain::PlainNetwork,
};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    admin::TestTransport,
    messages::Texts,
    support::{Answer, Engine, Server, guard, limits, manual, message, run, start_alone, subscribed, until},
};

/// The time limit of each answer.
const LIMIT: Duration = Duration::from_secs(30);

async fn send(server: &Server, method: &str, path: &str, body: Option<Value>) -> Answer {
    let path = format!("/admin/p2p/{path}");
    timeout(LIMIT, server.send(method, &path, body))
        .await
        .unwrap_or_else(|_| panic!("{method} {path}: no answer"))
}

/// Status and error.
fn outcome(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json()["error"].clone())
}

/// An engine whose validator of topic "a" blocks until the sender is dropped, with a peer that is subscribed.
async fn blocked_topic() -> (Engine, mpsc::Sender<()>) {
    let (release, blocked) = mpsc::channel::<()>();
    let (blocked, (begun, begins)) = (Mutex::new(blocked), mpsc::channel());
    let network = PlainNetwork::with_validator(move |_| {
        begun.send(()).expect("the test waits");
        // Returns when the test drops the sender, or fails.
        let _ = blocked.lock().unwrap().recv();
        Validity::Valid
    });
    let builder = Worker::builder(network, limits(|_| {})).manual().arbiters(1).seed(1);
    let Started { worker, mut p2p, mut app } = builder.start(["a".to_owned()]).expect("it starts");
    actix::spawn(async move { while p2p.recv().await.is_some() {} });
    actix::spawn(async move { while app.recv().await.is_some() {} });
    worker.p2p_input(P2pInput::connected(7)).unwrap();
    subscribed(&worker, 7, "a");
    worker.settle().await;
    message(&worker, 7, "a", 1_000);
    until(async || begins.try_recv().is_ok()).await;
    (worker, release)
}

#[test]
fn a_publication_on_a_blocked_topic_is_answered_and_leaves_room_for_others() {
    run(async {
        let (worker, release) = blocked_topic().await;
        let (transport, messages) = (TestTransport::new(&worker), Messages::new(Texts::default()));
        let server = Server::serving(move || {
            let scope = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            http::serve_messages(scope, messages.clone())
        });
        let publish =
            async || send(&server, "POST", "gossipsub/topics/a/messages", Some(json!({ "data": "x" }))).await;
        // As many as are read and routed at the same time.
        let answers = join_all((0..16).map(|_| publish())).await;
        for answer in &answers {
            assert_eq!(outcome(answer), (503, json!("timeout")), "{}", answer.text);
            assert!(answer.text.contains("may still be published"), "{}", answer.text);
        }
        assert_eq!(outcome(&publish().await), (503, json!("timeout")), "there is room again");
        drop(release);
        until(async || publish().await.status == 202).await;
        server.end().await;
    });
}

#[test]
fn a_transport_that_does_not_answer_is_a_problem() {
    run(async {
        let worker = start_alone(manual(limits(|config| config.score.app_specific_weight = 1.0)), &["a"]);
        // The transport does not answer about this one.
        worker.p2p_input(P2pInput::connected(99)).unwrap();
        worker.settle().await;
        let transport = TestTransport::new(&worker);
        let server =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        let requests = [
            ("POST", "connect", Some(json!({ "point": 99 }))),
            ("DELETE", "peers/disconnect/99", None),
            ("PATCH", "peers/by-id/99", Some(json!({ "acl": "open" }))),
            ("PATCH", "peers/by-id/99", Some(json!({ "acl": "ban" }))),
        ];
        let answers = join_all(requests.map(|(method, path, body)| send(&server, method, path, body))).await;
        for answer in &answers {
            assert_eq!(outcome(answer), (503, json!("transport")), "{}", answer.text);
            assert!(answer.retry_after.is_some());
        }
        server.end().await;
    });
}

/// What the transport is asked to is asked last, so that a request that fails has changed nothing.
#[test]
fn a_ban_stays_if_the_engine_does_not_answer() {
    run(async {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        let builder =
            manual(limits(|config| config.score.app_specific_weight = 1.0)).observer(move |event| {
                if matches!(event, actix_gossipsub::protocol::Event::SlowPeer { .. }) {
                    // Returns when the test drops the sender, or fails.
                    let _ = blocked.lock().unwrap().recv();
                }
            });
        let worker = start_alone(builder, &["a"]);
        worker.settle().await;
        let transport = TestTransport::new(&worker);
        let banned = Arc::clone(&transport.banned);
        banned.lock().unwrap().insert(9);
        let server =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        worker.report_slow_peer(&1);
        let open = async || send(&server, "PATCH", "peers/by-id/9", Some(json!({ "acl": "open" }))).await;
        assert_eq!(outcome(&open().await), (503, json!("timeout")));
        assert!(banned.lock().unwrap().contains(&9));
        drop(release);
        worker.settle().await;
        assert_eq!(open().await.status, 200);
        assert!(!banned.lock().unwrap().contains(&9));
        server.end().await;
    });
}
