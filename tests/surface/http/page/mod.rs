//! These tests open the live page in a real browser. It must display what the API returns, by mouse and by keyboard, in
//! both colour schemes, at all sizes, with many topics and with hostile identifiers.

mod accessibility;
mod cost;
mod layout;
mod lists;
mod values;
mod verdict;

use actix_gossipsub::{AppInput, ConnectionInfo, P2pInput};
use fantoccini::{Locator, key::Key};

use super::{
    browser::Browser,
    support::{Engine, Server, graft, limits, network, publish, quiet, subscribed},
};

/// Twelve engines on eight topics. The first has two more peers: one with a negative score and one direct.
async fn workers_on_eight_topics() -> Vec<Engine> {
    let limits = limits(|config| config.score.app_specific_weight = 1.0);
    let topics = ["blocks", "votes", "slot 0", "slot 1", "slot 2", "slot 3", "news", "idle"];
    let workers = network(12, &topics, &limits).await;
    let first = &workers[0];
    let info = ConnectionInfo::outbound().direct().trusted();
    let direct = P2pInput::NewConnection { peer: 40, info };
    first.p2p_input(direct).unwrap();
    first.p2p_input(P2pInput::connected(77)).unwrap();
    for (peer, score) in [(77, -12.5), (3, 4.0), (5, 2.5)] {
        first.app_input(AppInput::SetApplicationScore { peer, score }).unwrap();
    }
    first.settle().await;
    for topic in &topics[..4] {
        subscribed(first, 77, topic);
        subscribed(first, 40, topic);
        graft(first, 77, topic);
    }
    for worker in &workers {
        worker.tick().await;
    }
    quiet(&workers).await;
    for number in 0..5 {
        publish(&workers[1], "blocks", number);
    }
    quiet(&workers).await;
    workers
}

impl Browser {
    /// Opens the page of a server, and waits for its first values.
    async fn open(&self, server: &Server) {
        self.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        self.until("return document.getElementById('peers-count').textContent !== '–'").await;
        self.until("return document.getElementById('topics-range').textContent !== ''").await;
        self.until("return document.getElementById('peers-range').textContent !== ''").await;
    }

    async fn click(&self, id: &str) {
        self.client.find(Locator::Id(id)).await.unwrap().click().await.unwrap();
    }

    /// Replaces the text of the search.
    async fn search(&self, text: &str) {
        let field = self.client.find(Locator::Id("search")).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses a key where the focus is.
    async fn press(&self, key: Key) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(&char::from(key).to_string()).await.unwrap();
    }

    /// Draws the graph, and waits for it.
    async fn open_graph(&self) {
        self.run("document.getElementById('graph-details').open = true").await;
        self.until("return document.getElementById('graph-summary').textContent !== ''").await;
    }

    /// The texts of the cells of a table's body, by row.
    async fn cells(&self, body: &str) -> Vec<Vec<String>> {
        let script = format!(
            "return [...document.querySelectorAll('#{body} tr')].map(row => [...row.cells].map(cell => cell.innerText))"
        );
        serde_json::from_value(self.run(&script).await).expect("texts")
    }

    /// The first cell of each row of a table's body.
    async fn names(&self, body: &str) -> Vec<String> {
        self.cells(body).await.into_iter().map(|mut row| row.remove(0)).collect()
    }
}
