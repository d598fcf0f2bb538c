//! An own `Network` and an own transport: two nodes in one process that gossip over TCP on loopback, one JSON object a
//! line.
//!
//! `cargo run --example own_transport`

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, AppOutputs, ConnectionInfo, FullMessage, Limits, LimitsConfig, Network, P2pInput, P2pMessage,
    P2pOutput, Started, Worker,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::mpsc,
};

const TOPIC: &str = "news";

/// Peers are names, ids are numbers, messages are texts.
struct ExampleNetwork;

impl Network for ExampleNetwork {
    type Peer = String;
    type Topic = String;
    type MessageId = u64;
    type Message = String;
    type Point = String;

    /// Ids do not name their topic, so the engine remembers it.
    fn topic_of(&self, _: &u64) -> Option<String> {
        None
    }

    fn topic_size(&self, topic: &String) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &u64) -> usize {
        size_of_val(id)
    }

    /// The heap memory of a message counts against the byte limits.
    fn message_size(&self, message: &String) -> usize {
        message.len()
    }
}

/// A line on the wire.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Hello { name: String },
    Subscribe { topic: String },
    Unsubscribe { topic: String },
    Graft { topic: String },
    Prune { topic: String, backoff_seconds: u64 },
    IHave { topic: String, ids: Vec<u64> },
    IWant { ids: Vec<u64> },
    Message { topic: String, id: u64, text: String },
    Ping,
}

impl Line {
    /// `None` for a message that this protocol does not carry.
    fn from_message(message: P2pMessage<ExampleNetwork>) -> Option<Self> {
        Some(match message {
            P2pMessage::Subscribe { topic, .. } => Self::Subscribe { topic },
            P2pMessage::Unsubscribe { topic } => Self::Unsubscribe { topic },
            P2pMessage::Graft { topic } => Self::Graft { topic },
            P2pMessage::Prune { topic, backoff, .. } => {
                Self::Prune { topic, backoff_seconds: backoff.as_secs() }
            }
            P2pMessage::IHave { topic, message_ids } => Self::IHave { topic, ids: message_ids },
            P2pMessage::IWant { message_ids } => Self::IWant { ids: message_ids },
            P2pMessage::FullMessage(full) => {
                let FullMessage { topic, message_id, message } = full.as_ref().clone();
                Self::Message { topic, id: message_id, text: message }
            }
            P2pMessage::Ping => Self::Ping,
            _ => return None,
        })
    }

    /// `None` for a line that is no gossipsub message.
    fn into_message(self) -> Option<P2pMessage<ExampleNetwork>> {
        Some(match self {
            Self::Hello { .. } => return None,
            Self::Subscribe { topic } => P2pMessage::subscribe(topic),
            Self::Unsubscribe { topic } => P2pMessage::Unsubscribe { topic },
            Self::Graft { topic } => P2pMessage::Graft { topic },
            Self::Prune { topic, backoff_seconds } => {
                P2pMessage::Prune { topic, px: Vec::new(), backoff: Duration::from_secs(backoff_seconds) }
            }
            Self::IHave { topic, ids } => P2pMessage::IHave { topic, message_ids: ids },
            Self::IWant { ids } => P2pMessage::IWant { message_ids: ids },
            Self::Message { topic, id, text } => {
                P2pMessage::FullMessage(Arc::new(FullMessage { topic, message_id: id, message: text }))
            }
            Self::Ping => P2pMessage::Ping,
        })
    }
}

/// A node: the engine and a task that writes its outputs to the connections.
struct ExampleNode {
    name: &'static str,
    worker: Worker<ExampleNetwork>,
    app: AppOutputs<ExampleNetwork>,
    connections: mpsc::UnboundedSender<(String, OwnedWriteHalf)>,
}

impl ExampleNode {
    fn start(name: &'static str) -> Result<Self, Box<dyn Error>> {
        let limits =
            LimitsConfig::default().with(|config| config.heartbeat_interval = Duration::from_millis(100));
        let limits = Limits::try_from(limits)?.map_topics(Ok::<String, std::convert::Infallible>)?;
        let Started { worker, mut p2p, app } =
            Worker::builder(ExampleNetwork, limits).self_peer(name.to_owned()).start([TOPIC.to_owned()])?;
        let (connections, mut new_connections) = mpsc::unbounded_channel();
        actix::spawn(async move {
            let mut writers: HashMap<String, OwnedWriteHalf> = HashMap::new();
            while let Some(output) = p2p.recv().await {
                while let Ok((peer, writer)) = new_connections.try_recv() {
                    writers.insert(peer, writer);
                }
                let P2pOutput::OutMessage { to_peer, message } = output else { continue };
                if let (Some(writer), Some(line)) = (writers.get_mut(&to_peer), Line::from_message(message))
                    && write(writer, &line).await.is_err()
                {
                    writers.remove(&to_peer);
                }
            }
        });
        Ok(Self { name, worker, app, connections })
    }

    /// Exchanges names, reports the connection to the engine, and reads lines until the connection closes.
    async fn run_connection(&self, stream: TcpStream, info: ConnectionInfo) -> Result<(), Box<dyn Error>> {
        let (reader, mut writer) = stream.into_split();
        write(&mut writer, &Line::Hello { name: self.name.to_owned() }).await?;
        let mut lines = BufReader::new(reader).lines();
        let hello = lines.next_line().await?.ok_or("closed before the hello")?;
        let Line::Hello { name: peer } = serde_json::from_str(&hello)? else {
            return Err("the first line is not a hello".into());
        };
        self.connections.send((peer.clone(), writer))?;
        self.worker.p2p_input(P2pInput::NewConnection { peer: peer.clone(), info })?;
        let worker = self.worker.clone();
        actix::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(line) = serde_json::from_str::<Line>(&line) else { break };
                let Some(message) = line.into_message() else { continue };
                // While the engine has no room, this task does not read from the peer.
                let input = P2pInput::message(peer.clone(), message);
                if worker.send_p2p_input(input).await.is_err() {
                    break;
                }
            }
            let _ = worker.p2p_input(P2pInput::Disconnection { peer });
        });
        Ok(())
    }
}

async fn write(writer: &mut OwnedWriteHalf, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (alice, mut bob) = (ExampleNode::start("alice")?, ExampleNode::start("bob")?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let dialled = TcpStream::connect(listener.local_addr()?).await?;
    let (accepted, address) = listener.accept().await?;
    let inbound = ConnectionInfo::inbound().remote_address(address);
    let outbound = ConnectionInfo::outbound().remote_address(listener.local_addr()?);
    let (first, second) =
        tokio::join!(alice.run_connection(accepted, inbound), bob.run_connection(dialled, outbound));
    first?;
    second?;

    // A heartbeat grafts the peers into each other's mesh.
    while alice.worker.mesh_of(&TOPIC.to_owned()).await?.is_none_or(|mesh| mesh.is_empty()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let message =
        FullMessage { topic: TOPIC.to_owned(), message_id: 1, message: "hello over TCP".to_owned() };
    alice.worker.app_input(AppInput::Publish(message))?;
    let received = tokio::time::timeout(Duration::from_secs(30), bob.app.recv()).await?;
    println!("bob received: {:?}", received.ok_or("the engine has ended")?.message);
    alice.worker.shutdown().await;
    bob.worker.shutdown().await;
    Ok(())
}
