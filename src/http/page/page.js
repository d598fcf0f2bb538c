// The live page: asks the node every two seconds, and displays the answers until it is paused or hidden.

import { gossipsub, health, request } from './api.js';
import { setUpDetails } from './details.js';
import { refreshEvents, refreshRefusals } from './events.js';
import { draw, isOpen, refreshGraph, setUpGraph } from './graph.js';
import { makePeers, makeTopics } from './lists.js';
import { drawRates, showMetrics, showQueues, showResponse, showStats } from './rates.js';
import { byId, clock, setText, text } from './text.js';
import { showDead, showHealth, showIdentity } from './verdict.js';

const PERIOD = 2000;
// The identity changes rarely, and the metrics are long: they are asked for every so many rounds.
const SLOW = 5;
// Typing is over after this time without a key.
const TYPING = 250;

const topics = makeTopics(), peers = makePeers();
let paused = false, round = 0, exportsMetrics = true, typing = 0;

async function refresh() {
  const answer = await health().catch(() => null);
  if (answer === null) return showDead();
  showHealth(answer, onReason);
  if (answer.checks.some(check => check.name === 'engine' && check.status === 'down')) return;
  showResponse(answer.response_seconds);
  const parts = [
    gossipsub('stats').then(stats => showStats(stats)), gossipsub('queues').then(showQueues), topics.refresh(), peers.refresh(),
    refreshRefusals(), refreshEvents(),
  ];
  if (round % SLOW === 0) {
    parts.push(request('p2p/identity').then(showIdentity));
    // Not asked for again without an answer, because the browser logs an error for every failed request.
    if (exportsMetrics) parts.push(showMetrics().then(exported => { exportsMetrics = exported; }));
  }
  round += 1;
  // A part that fails is displayed as before: the next answer about the health says whether the node is dead.
  await Promise.allSettled(parts);
  if (isOpen()) await refreshGraph(topics.items.map(item => text(item.topic))).catch(() => {});
  drawRates();
}

async function refreshLoop() {
  if (!paused && !document.hidden) await refresh().catch(() => {});
  setTimeout(refreshLoop, PERIOD);
}

function search() {
  const contains = byId('search').value.trim();
  topics.search(contains, byId('only-problems').checked ? '&problems' : '');
  peers.search(contains);
  return Promise.allSettled([topics.refresh(), peers.refresh()]);
}

// A link of the verdict: the list begins with what it is about.
function onReason(check) {
  if (check !== 'topics' && check !== 'peers') return;
  byId('search').value = '';
  byId('only-problems').checked = check === 'topics';
  search();
}

byId('pause').addEventListener('click', () => {
  paused = !paused;
  byId('pause').textContent = paused ? 'Resume' : 'Pause';
  document.body.classList.toggle('paused', paused);
  setText('paused', paused ? `Paused at ${clock(Date.now())}: the values are of that time.` : '');
});
byId('search').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING);
});
byId('only-problems').addEventListener('change', search);
window.addEventListener('resize', () => drawRates());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawRates());
setUpDetails();
setUpGraph(() => refreshGraph(topics.items.map(item => text(item.topic))).catch(draw));
refreshLoop();
