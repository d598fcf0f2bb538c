// The live page: asks the API beside it every two seconds and draws what it answers. Shows every name by
// textContent or on a canvas, never as markup; changes nothing on the node.
'use strict';

const PERIOD = 2000, HISTORY = 90;
// What is drawn and listed at most; what is left out is said.
const MAX_TOPICS = 60, MAX_PEERS = 200, MAX_ROWS = 200, MAX_EVENTS = 40;

const at = id => document.getElementById(id);
const text = name => typeof name === 'string' ? name : JSON.stringify(name);
const short = name => name.length > 12 ? '…' + name.slice(-8) : name;
const rounded = value => Math.abs(value) < 1e-9 ? '0' : Math.abs(value) < 1000 ? value.toFixed(2) : value.toFixed(0);
const count = value => Number(value).toLocaleString('en');

// Numbers too large to be exact are kept as they are written: some networks' peers are such numbers.
const exact = (_, value, context) =>
  typeof value === 'number' && context && /^-?\d+$/.test(context.source) && !Number.isSafeInteger(value)
    ? context.source : value;

async function ask(path) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const body = JSON.parse(await answer.text(), exact);
  if (!answer.ok && path !== 'health') throw new Error(body.message);
  return body;
}
const gossipsub = question => ask('p2p/gossipsub/' + question);

// Makes an element of plain text.
function element(tag, content, className) {
  const made = document.createElement(tag);
  if (content !== undefined) made.textContent = content;
  if (className) made.className = className;
  return made;
}

const state = {
  peers: [], topics: [], scores: new Map(), meshes: new Map(), since: 0, events: [], last: null,
  series: new Map(), places: [], chosen: 0, paused: false,
};

// === What is known ===

async function refresh() {
  const started = performance.now();
  const [health, stats, queues, mesh, connections, scores, decisions, events] = await Promise.allSettled([
    ask('health'), gossipsub('stats'), gossipsub('queues'), gossipsub('mesh?limit=10000'),
    gossipsub('connections?topics=false&limit=1000'), gossipsub('scores?limit=10000'), gossipsub('decisions'),
    gossipsub(`events?limit=1000&since=${state.since}`),
  ]);
  const known = (answer, use) => { if (answer.status === 'fulfilled') use(answer.value); };
  known(health, showHealth);
  if (health.status === 'rejected') showHealth({ status: 'down', checks: [{ name: 'page', status: 'down', message: 'no answer' }] });
  known(scores, list => { state.scores = new Map(list.map(one => [text(one.peer), one.score])); });
  known(mesh, learnMeshes);
  known(connections, learnPeers);
  known(stats, value => showStats(value, started));
  known(queues, showQueues);
  known(decisions, showRefused);
  known(events, learnEvents);
  await showMetrics();
  showPeers();
  showTopics();
  draw();
}

function learnMeshes(list) {
  state.topics = list.map(one => ({ name: text(one.topic), peers: one.peers.map(text) }));
  state.meshes = new Map();
  for (const topic of state.topics) {
    for (const peer of topic.peers) state.meshes.set(peer, (state.meshes.get(peer) || 0) + 1);
  }
}

function learnPeers(list) {
  state.peers = list.map(({ peer, connection }) => {
    const name = text(peer);
    return { name, ...connection, score: state.scores.get(name) ?? 0, meshes: state.meshes.get(name) || 0 };
  });
  state.peers.sort((a, b) => a.score - b.score || b.meshes - a.meshes);
}

function learnEvents({ next, events }) {
  // A node that was started anew counts anew.
  state.since = next;
  state.events = events.reverse().concat(state.events).slice(0, MAX_EVENTS);
  at('events').replaceChildren(...state.events.map(eventLine));
}

function eventLine(event) {
  const parts = [
    event.time.slice(11, 23), event.type, event.times > 1 ? `×${event.times}` : '', event.reason,
    event.peer === null ? '' : `peer ${text(event.peer)}`, event.topic === null ? '' : `topic ${text(event.topic)}`,
    event.score === null ? '' : `score ${rounded(event.score)}`,
  ];
  return element('li', parts.filter(Boolean).join('  '));
}

// === What is shown ===

function showHealth(health) {
  const wrong = health.checks.filter(check => check.status !== 'ok').map(check => `${check.name}: ${check.message}`);
  const said = [health.status, ...wrong].join(' · ');
  // Said again only when it changes: screen readers read it out.
  if (at('health').textContent !== said) at('health').textContent = said;
  at('health').className = `pill ${health.status}`;
  if (typeof health.answered_in === 'number') spark('engine answers in', health.answered_in * 1000, 'ms');
}

function showStats(stats, now) {
  at('peers-count').textContent = count(stats.count_connections);
  at('topics-count').textContent = count(stats.count_topics);
  at('received-count').textContent = count(stats.count_recv_valid_app_messages);
  at('sent-count').textContent = count(stats.count_sent_app_messages);
  const last = state.last;
  if (last && now > last.now) {
    const rate = name => Math.max(0, (stats[name] - last.stats[name]) / (now - last.now) * 1000);
    spark('valid messages in', rate('count_recv_valid_app_messages'), '/s');
    spark('messages out', rate('count_sent_app_messages'), '/s');
    spark('grafts out', rate('count_sent_grafts'), '/s');
    spark('prunes out', rate('count_sent_prunes'), '/s');
  }
  state.last = { stats, now };
}

function showQueues(queues) {
  for (const { queue, depth } of queues) {
    if (queue !== 'input_bytes' && queue !== 'publication') spark(`queue ${queue}`, depth, '');
  }
}

// Latencies, if the application has a recorder: the mean of each histogram since the last look.
async function showMetrics() {
  if (state.noMetrics) return;
  const answer = await fetch('metrics', { cache: 'no-store', signal: AbortSignal.timeout(5000) }).catch(() => null);
  if (!answer || !answer.ok) {
    // Not asked again: it would be an error in the console each time.
    state.noMetrics = true;
    return;
  }
  const scrape = await answer.text(), sums = {};
  for (const [, name, kind, value] of scrape.matchAll(/^gossipsub_(\w+)_seconds_(sum|count)(?:\{[^}]*\})? (\S+)$/gm)) {
    const sum = sums[name] ??= { sum: 0, count: 0 };
    sum[kind] += Number(value);
  }
  for (const name of ['heartbeat_duration', 'validation_duration', 'queue_wait', 'delivery_latency']) {
    const now = sums[name], last = state.sums?.[name];
    if (now && last && now.count > last.count) {
      spark(name.replace('_', ' '), (now.sum - last.sum) / (now.count - last.count) * 1000, 'ms');
    }
  }
  state.sums = sums;
}

function showRefused(decisions) {
  const refused = decisions.filter(one => /^(REJECT_|PENALTY)/.test(one.type));
  refused.sort((a, b) => b.count - a.count);
  at('refused').replaceChildren(...refused.slice(0, 10).map(one =>
    row([one.type], [one.reason || ''], [count(one.count), 'number'])));
  at('refused-none').hidden = refused.length > 0;
}

function row(...cells) {
  const made = element('tr');
  for (const [content, className] of cells) {
    const cell = element('td', undefined, className);
    if (content instanceof Node) cell.append(content); else cell.textContent = content;
    made.append(cell);
  }
  return made;
}

const kind = peer => [peer.direct && 'direct', peer.bootstrap && 'bootstrap', peer.outbound ? 'outbound' : 'inbound']
  .filter(Boolean).join(', ');

function showPeers() {
  // Whoever is about to press a button finds it where it was.
  if (at('peers').contains(document.activeElement)) return;
  at('peers').replaceChildren(...state.peers.slice(0, MAX_ROWS).map(peer => {
    const button = element('button', peer.name);
    button.type = 'button';
    button.addEventListener('click', () => open(peer.name));
    return row([button], [kind(peer)], [String(peer.meshes), 'number'],
      [rounded(peer.score), peer.score < 0 ? 'number bad' : 'number']);
  }));
  const more = state.peers.length - MAX_ROWS;
  at('peers-more').textContent = more > 0 ? `${count(more)} more are not listed: those with the best scores.` : '';
}

function wanted() {
  const part = at('filter').value.trim();
  return state.topics.filter(topic => topic.name.includes(part));
}

function showTopics() {
  const topics = wanted();
  at('topics').replaceChildren(...topics.slice(0, MAX_ROWS).map(topic =>
    row([topic.name], [String(topic.peers.length), topic.peers.length ? 'number' : 'number bad'])));
  const more = topics.length - MAX_ROWS;
  at('topics-more').textContent = more > 0 ? `${count(more)} more are not listed: choose by name, above.` : '';
}

// === Sparklines ===

function spark(name, value, unit) {
  let line = state.series.get(name);
  if (!line) {
    line = { values: [], canvas: element('canvas'), output: element('output') };
    const made = element('div', undefined, 'spark');
    line.canvas.setAttribute('role', 'img');
    made.append(element('span', name), line.canvas, line.output);
    line.output.setAttribute('aria-label', name);
    at('sparklines').append(made);
    state.series.set(name, line);
  }
  line.values.push(value);
  if (line.values.length > HISTORY) line.values.shift();
  line.output.textContent = `${rounded(value)} ${unit}`.trim();
  line.canvas.setAttribute('aria-label', `${name}: now ${rounded(value)} ${unit}, at most ${rounded(Math.max(...line.values))}`);
  const { pen, width, height } = sheet(line.canvas);
  const most = Math.max(...line.values, 1e-9), step = width / (Math.max(line.values.length, 30) - 1);
  pen.strokeStyle = colour('--spark');
  pen.lineWidth = 1.5;
  pen.beginPath();
  line.values.forEach((one, index) => pen.lineTo(index * step, height - 2 - one / most * (height - 4)));
  pen.stroke();
}

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A canvas of the size at which it is shown, empty.
function sheet(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}

// === The graph ===

// Topics with the largest meshes, and the peers in them before others.
function drawn() {
  const topics = [...wanted()].sort((a, b) => b.peers.length - a.peers.length || (a.name < b.name ? -1 : 1)).slice(0, MAX_TOPICS);
  const inside = new Set(topics.flatMap(topic => topic.peers));
  const order = [...state.peers].sort((a, b) => inside.has(b.name) - inside.has(a.name) || (a.name < b.name ? -1 : 1));
  const peers = order.slice(0, MAX_PEERS).sort((a, b) => a.name < b.name ? -1 : 1);
  return { topics, peers, of: wanted().length };
}

function draw() {
  const { topics, peers, of } = drawn(), { pen, width, height } = sheet(at('graph'));
  const centre = [width / 2, height / 2], outer = [width / 2 - 46, height / 2 - 26];
  const on = (index, total, share) => {
    const angle = index / Math.max(total, 1) * 2 * Math.PI - Math.PI / 2;
    return [centre[0] + Math.cos(angle) * outer[0] * share, centre[1] + Math.sin(angle) * outer[1] * share, angle];
  };
  state.places = peers.map((peer, index) => ({ peer, place: on(index, peers.length, 1) }));
  const places = new Map(state.places.map(({ peer, place }) => [peer.name, place]));
  const focused = document.activeElement === at('graph');
  const chosen = focused ? state.places[state.chosen]?.peer.name : undefined;
  const centres = topics.map((_, index) => on(index, topics.length, topics.length > 1 ? .5 : 0));
  const lines = strong => {
    pen.strokeStyle = colour(strong ? '--focus' : '--edge');
    pen.globalAlpha = strong ? 1 : Math.max(.12, Math.min(.8, 60 / (topics.length * 4 + 1)));
    pen.lineWidth = strong ? 1.6 : 1;
    pen.beginPath();
    topics.forEach((topic, index) => topic.peers.forEach(peer => {
      const place = places.get(peer);
      if (place && (peer === chosen) === strong) { pen.moveTo(...centres[index].slice(0, 2)); pen.lineTo(place[0], place[1]); }
    }));
    pen.stroke();
    pen.globalAlpha = 1;
  };
  lines(false);
  if (focused) lines(true);
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  topics.forEach((topic, index) => drawTopic(pen, topic, centres[index], topics.length <= 24));
  state.places.forEach(({ peer, place }) => drawPeer(pen, peer, place, peers.length <= 40, peer.name === chosen));
  at('shown').textContent = `${topics.length} of ${count(of)} topics and ${peers.length} of ${count(state.peers.length)} peers are drawn.` +
    (topics.length < of ? ' Those with the largest meshes are: choose others by name.' : '');
}

function drawTopic(pen, topic, [x, y], named) {
  pen.fillStyle = colour(topic.peers.length ? '--topic' : '--bad');
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
  if (named) {
    pen.fillStyle = colour('--text');
    pen.textAlign = 'center';
    pen.fillText(short(topic.name), x, y - 11);
  }
}

function drawPeer(pen, peer, [x, y, angle], named, chosen) {
  pen.fillStyle = colour(peer.score < -1e-9 ? '--bad' : peer.score > 1e-9 ? '--good' : '--mid');
  pen.beginPath();
  if (peer.direct) { pen.moveTo(x, y - 7); pen.lineTo(x + 7, y); pen.lineTo(x, y + 7); pen.lineTo(x - 7, y); }
  else if (peer.outbound) pen.rect(x - 5, y - 5, 10, 10);
  else pen.arc(x, y, 5, 0, 2 * Math.PI);
  pen.fill();
  if (peer.score < 0) { pen.fillStyle = colour('--card'); pen.fillRect(x - 3, y - 1, 6, 2); }
  if (chosen) {
    pen.strokeStyle = colour('--focus');
    pen.lineWidth = 2.5;
    pen.strokeRect(x - 10, y - 10, 20, 20);
  }
  if (named || chosen) {
    pen.fillStyle = colour('--text');
    pen.textAlign = Math.cos(angle) < -.3 ? 'right' : Math.cos(angle) > .3 ? 'left' : 'center';
    const side = pen.textAlign === 'right' ? -10 : pen.textAlign === 'left' ? 10 : 0;
    pen.fillText(short(peer.name), x + side, side ? y : y + (y < 40 ? -14 : 16));
  }
}

function near(event) {
  const frame = at('graph').getBoundingClientRect();
  const distance = ({ place }) => Math.hypot(place[0] - event.clientX + frame.left, place[1] - event.clientY + frame.top);
  let best = -1;
  state.places.forEach((one, index) => { if (distance(one) < 14 && (best < 0 || distance(one) < distance(state.places[best]))) best = index; });
  return best;
}

function choose(index) {
  state.chosen = index;
  const peer = state.places[index]?.peer;
  if (peer) at('graph').setAttribute('aria-label', `Graph of the meshes. Peer ${peer.name}, ${kind(peer)}, score ${rounded(peer.score)}, in ${peer.meshes} meshes. Enter explains its score.`);
  draw();
}

function key(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const total = state.places.length;
  if (step && total) choose((state.chosen + step + total) % total);
  else if (event.key === 'Enter' && state.places[state.chosen]) open(state.places[state.chosen].peer.name);
  else return;
  event.preventDefault();
}

// === One peer ===

async function open(name) {
  const path = encodeURIComponent(name);
  const [score, explanation] = await Promise.allSettled([gossipsub(`scores/${path}`), gossipsub(`explain/${path}`)]);
  at('peer-title').textContent = `Peer ${name}`;
  if (score.status === 'fulfilled') showScore(score.value);
  else {
    at('peer-sum').textContent = score.reason.message;
    at('peer-thresholds').replaceChildren();
    at('peer-topics').replaceChildren();
  }
  const decisions = explanation.status === 'fulfilled' ? explanation.value.decisions.reverse() : [];
  at('peer-decisions').replaceChildren(...decisions.map(event => {
    const line = eventLine({ ...event, peer: null });
    if (event.message) line.append(element('span', ` (${event.message})`, 'note'));
    return line;
  }));
  if (!at('peer').open) at('peer').showModal();
}

function showScore(score) {
  const parts = [['topics', 'topics_sum'], ['P5', 'p5'], ['P6', 'p6'], ['P7', 'p7']];
  at('peer-sum').textContent = `Score ${rounded(score.score)} = ` + parts.map(([label, name]) => `${label} ${rounded(score[name])}`).join(' + ');
  at('peer-thresholds').replaceChildren(...score.thresholds.map(threshold =>
    element('li', `${threshold.name} (${rounded(threshold.value)}): ${threshold.refused ? 'refused: ' + threshold.refusal : 'passed'}`,
      threshold.refused ? 'bad' : '')));
  const cells = topic => ['p1', 'p2', 'p3', 'p3b', 'p4', 'total'].map(name => [rounded(topic[name]), topic[name] < 0 ? 'number bad' : 'number']);
  const topics = [...score.topics].sort((a, b) => a.total - b.total).slice(0, MAX_ROWS);
  at('peer-topics').replaceChildren(...topics.map(topic => row([text(topic.topic)], ...cells(topic))));
}

// === Life ===

async function live() {
  if (!state.paused && !document.hidden) await refresh().catch(() => {});
  setTimeout(live, PERIOD);
}

at('pause').addEventListener('click', () => {
  state.paused = !state.paused;
  at('pause').setAttribute('aria-pressed', String(state.paused));
});
at('filter').addEventListener('input', () => { showTopics(); draw(); });
at('graph').addEventListener('click', event => { const index = near(event); if (index >= 0) { choose(index); open(state.places[index].peer.name); } });
at('graph').addEventListener('keydown', key);
at('graph').addEventListener('focus', () => choose(state.chosen));
at('graph').addEventListener('blur', draw);
window.addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
live();
