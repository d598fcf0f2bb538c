// The live page: requests the API below the same path every two seconds and displays the responses. Identifiers come
// from other nodes, so the page inserts them by textContent or on a canvas, as text and not as markup.
'use strict';

const PERIOD = 2000, HISTORY = 90;
// Upper bounds of the display. The page states how many items it leaves out.
const MAX_TOPICS = 60, MAX_PEERS = 200, MAX_ROWS = 200, MAX_EVENTS = 40;

const byId = id => document.getElementById(id);
const text = name => typeof name === 'string' ? name : JSON.stringify(name);
const shorten = name => name.length > 12 ? '…' + name.slice(-8) : name;
const round = value => Math.abs(value) < 1e-9 ? '0' : Math.abs(value) < 1000 ? value.toFixed(2) : value.toFixed(0);
const formatCount = value => Number(value).toLocaleString('en');

// Some networks identify peers by integers that a JavaScript number cannot represent. Their digits stay a string.
const parseExact = (_, value, context) =>
  typeof value === 'number' && context && /^-?\d+$/.test(context.source) && !Number.isSafeInteger(value)
    ? context.source : value;

async function request(path) {
  const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const body = JSON.parse(await response.text(), parseExact);
  if (!response.ok && path !== 'health') throw new Error(body.message);
  return body;
}
const gossipsub = path => request('p2p/gossipsub/' + path);

// Creates an element with plain text.
function element(tag, content, className) {
  const created = document.createElement(tag);
  if (content !== undefined) created.textContent = content;
  if (className) created.className = className;
  return created;
}

const state = {
  peers: [], topics: [], scores: new Map(), meshes: new Map(), since: 0, events: [], last: null,
  series: new Map(), nodes: [], selected: 0, paused: false,
};

// === Data ===

async function refresh() {
  const started = performance.now();
  const [health, identity, stats, queues, mesh, connections, scores, decisions, events] = await Promise.allSettled([
    request('health'), request('p2p/identity'), gossipsub('stats'), gossipsub('queues'), gossipsub('mesh?limit=10000'),
    gossipsub('connections?topics=false&limit=1000'), gossipsub('scores?limit=10000'), gossipsub('decisions'),
    gossipsub(`events?limit=1000&since=${state.since}`),
  ]);
  const onSuccess = (result, use) => { if (result.status === 'fulfilled') use(result.value); };
  onSuccess(health, showHealth);
  if (health.status === 'rejected') showHealth({ status: 'down', checks: [{ name: 'page', status: 'down', message: 'no response' }] });
  onSuccess(identity, showIdentity);
  onSuccess(scores, list => { state.scores = new Map(list.map(({ peer, score }) => [text(peer), score])); });
  onSuccess(mesh, updateMeshes);
  onSuccess(connections, updatePeers);
  onSuccess(stats, value => showStats(value, started));
  onSuccess(queues, showQueues);
  onSuccess(decisions, showRejections);
  onSuccess(events, updateEvents);
  await showMetrics();
  showPeers();
  showTopics();
  draw();
}

function updateMeshes(list) {
  state.topics = list.map(({ topic, peers }) => ({ name: text(topic), peers: peers.map(text) }));
  state.meshes = new Map();
  for (const topic of state.topics) {
    for (const peer of topic.peers) state.meshes.set(peer, (state.meshes.get(peer) || 0) + 1);
  }
}

function updatePeers(list) {
  state.peers = list.map(({ peer, connection }) => {
    const name = text(peer);
    return { name, ...connection, score: state.scores.get(name) ?? 0, meshes: state.meshes.get(name) || 0 };
  });
  state.peers.sort((a, b) => a.score - b.score || b.meshes - a.meshes);
}

function updateEvents({ next, events }) {
  // Taken from the response even if it is lower: a restarted node starts again at 1.
  state.since = next;
  state.events = events.reverse().concat(state.events).slice(0, MAX_EVENTS);
  byId('events').replaceChildren(...state.events.map(eventLine));
}

function eventLine(event) {
  const parts = [
    event.time.slice(11, 23), event.type, event.count > 1 ? `×${event.count}` : '', event.reason,
    event.peer === null ? '' : `peer ${text(event.peer)}`, event.topic === null ? '' : `topic ${text(event.topic)}`,
    event.score === null ? '' : `score ${round(event.score)}`,
  ];
  return element('li', parts.filter(Boolean).join('  '));
}

// === Display ===

function showHealth(health) {
  const failed = health.checks.filter(check => check.status !== 'ok').map(check => `${check.name}: ${check.message}`);
  const summary = [health.status, ...failed].join(' · ');
  // Set only when it changes, because screen readers announce every update.
  if (byId('health').textContent !== summary) byId('health').textContent = summary;
  byId('health').className = `pill ${health.status}`;
  if (typeof health.response_seconds === 'number') spark('response time', health.response_seconds * 1000, 'ms');
}

// The full addresses contain the peer id.
function showIdentity({ peer_id: peer, addresses }) {
  const summary = addresses.length ? `listening on ${addresses.join(', ')}` : peer ?? '';
  if (byId('identity').textContent !== summary) byId('identity').textContent = summary;
}

function showStats(stats, now) {
  byId('peers-count').textContent = formatCount(stats.count_connections);
  byId('topics-count').textContent = formatCount(stats.count_topics);
  byId('received-count').textContent = formatCount(stats.count_recv_valid_app_messages);
  byId('sent-count').textContent = formatCount(stats.count_sent_app_messages);
  const last = state.last;
  if (last && now > last.now) {
    const rate = name => Math.max(0, (stats[name] - last.stats[name]) / (now - last.now) * 1000);
    spark('valid messages', rate('count_recv_valid_app_messages'), '/s');
    spark('messages sent', rate('count_sent_app_messages'), '/s');
    spark('GRAFTs sent', rate('count_sent_grafts'), '/s');
    spark('PRUNEs sent', rate('count_sent_prunes'), '/s');
  }
  state.last = { stats, now };
}

function showQueues(queues) {
  for (const { queue, depth } of queues) {
    if (queue !== 'input_bytes' && queue !== 'publication') spark(`queue ${queue}`, depth, '');
  }
}

// Latencies, if the application exports metrics: the mean of each histogram since the last refresh.
async function showMetrics() {
  if (state.noMetrics) return;
  const response = await fetch('metrics', { cache: 'no-store', signal: AbortSignal.timeout(5000) }).catch(() => null);
  if (!response || !response.ok) {
    // Not requested again, because the browser logs an error for every failed request.
    state.noMetrics = true;
    return;
  }
  const scrape = await response.text(), sums = {};
  for (const [, name, kind, value] of scrape.matchAll(/^gossipsub_(\w+)_seconds_(sum|count)(?:\{[^}]*\})? (\S+)$/gm)) {
    const sum = sums[name] ??= { sum: 0, count: 0 };
    sum[kind] += Number(value);
  }
  for (const name of ['heartbeat_duration', 'validation_duration', 'queue_wait']) {
    const now = sums[name], last = state.sums?.[name];
    if (now && last && now.count > last.count) {
      spark(name.replace('_', ' '), (now.sum - last.sum) / (now.count - last.count) * 1000, 'ms');
    }
  }
  state.sums = sums;
}

function showRejections(decisions) {
  const rejections = decisions.filter(({ type }) => /^(REJECT_|PENALTY)/.test(type));
  rejections.sort((a, b) => b.count - a.count);
  byId('rejections').replaceChildren(...rejections.slice(0, 10).map(({ type, reason, count }) =>
    row([type], [reason || ''], [formatCount(count), 'number'])));
  byId('rejections-none').hidden = rejections.length > 0;
}

function row(...cells) {
  const created = element('tr');
  for (const [content, className] of cells) {
    const cell = element('td', undefined, className);
    if (content instanceof Node) cell.append(content); else cell.textContent = content;
    created.append(cell);
  }
  return created;
}

const connectionKind = peer => [peer.direct && 'direct', peer.bootstrap && 'bootstrap', peer.floodsub && 'floodsub', peer.outbound ? 'outbound' : 'inbound']
  .filter(Boolean).join(', ');

function showPeers() {
  // A focused button keeps its position, so the list waits until the focus leaves it.
  if (byId('peers').contains(document.activeElement)) return;
  byId('peers').replaceChildren(...state.peers.slice(0, MAX_ROWS).map(peer => {
    const button = element('button', peer.name);
    button.type = 'button';
    button.addEventListener('click', () => openPeer(peer.name));
    return row([button], [connectionKind(peer)], [String(peer.meshes), 'number'],
      [round(peer.score), peer.score < 0 ? 'number bad' : 'number']);
  }));
  const more = state.peers.length - MAX_ROWS;
  byId('peers-more').textContent = more > 0 ? `${formatCount(more)} more are not listed. They have the highest scores.` : '';
}

function filteredTopics() {
  const part = byId('filter').value.trim();
  return state.topics.filter(topic => topic.name.includes(part));
}

function showTopics() {
  const topics = filteredTopics();
  byId('topics').replaceChildren(...topics.slice(0, MAX_ROWS).map(topic =>
    row([topic.name], [String(topic.peers.length), topic.peers.length ? 'number' : 'number bad'])));
  const more = topics.length - MAX_ROWS;
  byId('topics-more').textContent = more > 0 ? `${formatCount(more)} more are not listed. Use the filter above to find them.` : '';
}

// === Sparklines ===

function spark(name, value, unit) {
  let line = state.series.get(name);
  if (!line) {
    line = { values: [], canvas: element('canvas'), output: element('output') };
    const container = element('div', undefined, 'spark');
    line.canvas.setAttribute('role', 'img');
    container.append(element('span', name), line.canvas, line.output);
    line.output.setAttribute('aria-label', name);
    byId('sparklines').append(container);
    state.series.set(name, line);
  }
  line.values.push(value);
  if (line.values.length > HISTORY) line.values.shift();
  line.output.textContent = `${round(value)} ${unit}`.trim();
  line.canvas.setAttribute('aria-label', `${name}: now ${round(value)} ${unit}, maximum ${round(Math.max(...line.values))}`);
  const { pen, width, height } = clearCanvas(line.canvas);
  const maximum = Math.max(...line.values, 1e-9), step = width / (Math.max(line.values.length, 30) - 1);
  pen.strokeStyle = colour('--spark');
  pen.lineWidth = 1.5;
  pen.beginPath();
  line.values.forEach((one, index) => pen.lineTo(index * step, height - 2 - one / maximum * (height - 4)));
  pen.stroke();
}

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Clears a canvas and sets its resolution to the size at which it is displayed.
function clearCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}

// === The graph ===

// The topics with the largest meshes, and their mesh peers before other peers.
function graphContent() {
  const topics = [...filteredTopics()].sort((a, b) => b.peers.length - a.peers.length || (a.name < b.name ? -1 : 1)).slice(0, MAX_TOPICS);
  const inMesh = new Set(topics.flatMap(topic => topic.peers));
  const sorted = [...state.peers].sort((a, b) => inMesh.has(b.name) - inMesh.has(a.name) || (a.name < b.name ? -1 : 1));
  const peers = sorted.slice(0, MAX_PEERS).sort((a, b) => a.name < b.name ? -1 : 1);
  return { topics, peers, topicCount: filteredTopics().length };
}

function draw() {
  const { topics, peers, topicCount } = graphContent(), { pen, width, height } = clearCanvas(byId('graph'));
  const centre = [width / 2, height / 2], outer = [width / 2 - 46, height / 2 - 26];
  const onRing = (index, total, scale) => {
    const angle = index / Math.max(total, 1) * 2 * Math.PI - Math.PI / 2;
    return [centre[0] + Math.cos(angle) * outer[0] * scale, centre[1] + Math.sin(angle) * outer[1] * scale, angle];
  };
  state.nodes = peers.map((peer, index) => ({ peer, position: onRing(index, peers.length, 1) }));
  const positions = new Map(state.nodes.map(({ peer, position }) => [peer.name, position]));
  const focused = document.activeElement === byId('graph');
  const selected = focused ? state.nodes[state.selected]?.peer.name : undefined;
  const topicPositions = topics.map((_, index) => onRing(index, topics.length, topics.length > 1 ? .5 : 0));
  // Draws the edges of the selected peer, or those of all others.
  const drawEdges = ofSelected => {
    pen.strokeStyle = colour(ofSelected ? '--focus' : '--edge');
    pen.globalAlpha = ofSelected ? 1 : Math.max(.12, Math.min(.8, 60 / (topics.length * 4 + 1)));
    pen.lineWidth = ofSelected ? 1.6 : 1;
    pen.beginPath();
    topics.forEach((topic, index) => topic.peers.forEach(peer => {
      const position = positions.get(peer);
      if (!position || (peer === selected) !== ofSelected) return;
      pen.moveTo(...topicPositions[index].slice(0, 2));
      pen.lineTo(position[0], position[1]);
    }));
    pen.stroke();
    pen.globalAlpha = 1;
  };
  drawEdges(false);
  if (focused) drawEdges(true);
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  topics.forEach((topic, index) => drawTopic(pen, topic, topicPositions[index], topics.length <= 24));
  state.nodes.forEach(({ peer, position }) => drawPeer(pen, peer, position, peers.length <= 40, peer.name === selected));
  byId('graph-summary').textContent = `${topics.length} of ${formatCount(topicCount)} topics and ${peers.length} of ${formatCount(state.peers.length)} peers are drawn.` +
    (topics.length < topicCount ? ' The drawn topics have the largest meshes. Use the filter to draw others.' : '');
}

function drawTopic(pen, topic, [x, y], labelled) {
  pen.fillStyle = colour(topic.peers.length ? '--topic' : '--bad');
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
  if (labelled) {
    pen.fillStyle = colour('--text');
    pen.textAlign = 'center';
    pen.fillText(shorten(topic.name), x, y - 11);
  }
}

function drawPeer(pen, peer, [x, y, angle], labelled, selected) {
  pen.fillStyle = colour(peer.score < -1e-9 ? '--bad' : peer.score > 1e-9 ? '--good' : '--mid');
  pen.beginPath();
  if (peer.direct) { pen.moveTo(x, y - 7); pen.lineTo(x + 7, y); pen.lineTo(x, y + 7); pen.lineTo(x - 7, y); }
  else if (peer.outbound) pen.rect(x - 5, y - 5, 10, 10);
  else pen.arc(x, y, 5, 0, 2 * Math.PI);
  pen.fill();
  if (peer.score < 0) { pen.fillStyle = colour('--card'); pen.fillRect(x - 3, y - 1, 6, 2); }
  if (selected) {
    pen.strokeStyle = colour('--focus');
    pen.lineWidth = 2.5;
    pen.strokeRect(x - 10, y - 10, 20, 20);
  }
  if (labelled || selected) {
    pen.fillStyle = colour('--text');
    pen.textAlign = Math.cos(angle) < -.3 ? 'right' : Math.cos(angle) > .3 ? 'left' : 'center';
    const side = pen.textAlign === 'right' ? -10 : pen.textAlign === 'left' ? 10 : 0;
    pen.fillText(shorten(peer.name), x + side, side ? y : y + (y < 40 ? -14 : 16));
  }
}

// The index of the node within 14 pixels of the pointer that is nearest to it, or -1.
function nodeAt(event) {
  const frame = byId('graph').getBoundingClientRect();
  const distance = ({ position: [x, y] }) => Math.hypot(x - event.clientX + frame.left, y - event.clientY + frame.top);
  let nearest = -1;
  state.nodes.forEach((node, index) => { if (distance(node) < 14 && (nearest < 0 || distance(node) < distance(state.nodes[nearest]))) nearest = index; });
  return nearest;
}

function select(index) {
  state.selected = index;
  const peer = state.nodes[index]?.peer;
  if (peer) byId('graph').setAttribute('aria-label', `Graph of the meshes. Peer ${peer.name}, ${connectionKind(peer)}, score ${round(peer.score)}, in ${peer.meshes} meshes. Enter opens its score.`);
  draw();
}

function onKey(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const total = state.nodes.length;
  if (step && total) select((state.selected + step + total) % total);
  else if (event.key === 'Enter' && state.nodes[state.selected]) openPeer(state.nodes[state.selected].peer.name);
  else return;
  event.preventDefault();
}

// === Peer dialog ===

async function openPeer(name) {
  const path = encodeURIComponent(name);
  const [score, explanation] = await Promise.allSettled([gossipsub(`scores/${path}`), gossipsub(`explain/${path}`)]);
  byId('peer-title').textContent = `Peer ${name}`;
  if (score.status === 'fulfilled') showScore(score.value);
  else {
    byId('peer-sum').textContent = score.reason.message;
    byId('peer-thresholds').replaceChildren();
    byId('peer-topics').replaceChildren();
  }
  const decisions = explanation.status === 'fulfilled' ? explanation.value.decisions.reverse() : [];
  byId('peer-decisions').replaceChildren(...decisions.map(event => {
    const line = eventLine({ ...event, peer: null });
    if (event.message) line.append(element('span', ` (${event.message})`, 'note'));
    return line;
  }));
  if (!byId('peer').open) byId('peer').showModal();
}

function showScore(score) {
  const parts = [['topics', 'topics_sum'], ['P5', 'p5'], ['P6', 'p6'], ['P7', 'p7']];
  byId('peer-sum').textContent = `Score ${round(score.score)} = ` + parts.map(([label, name]) => `${label} ${round(score[name])}`).join(' + ');
  byId('peer-thresholds').replaceChildren(...score.thresholds.map(threshold =>
    element('li', `${threshold.name} (${round(threshold.value)}): ${threshold.below ? 'below: ' + threshold.effect : 'passed'}`,
      threshold.below ? 'bad' : '')));
  const cells = topic => ['p1', 'p2', 'p3', 'p3b', 'p4', 'total'].map(name => [round(topic[name]), topic[name] < 0 ? 'number bad' : 'number']);
  const topics = [...score.topics].sort((a, b) => a.total - b.total).slice(0, MAX_ROWS);
  byId('peer-topics').replaceChildren(...topics.map(topic => row([text(topic.topic)], ...cells(topic))));
}

// === Refresh and controls ===

async function refreshLoop() {
  if (!state.paused && !document.hidden) await refresh().catch(() => {});
  setTimeout(refreshLoop, PERIOD);
}

byId('pause').addEventListener('click', () => {
  state.paused = !state.paused;
  byId('pause').setAttribute('aria-pressed', String(state.paused));
});
byId('filter').addEventListener('input', () => { showTopics(); draw(); });
byId('graph').addEventListener('click', event => { const index = nodeAt(event); if (index >= 0) { select(index); openPeer(state.nodes[index].peer.name); } });
byId('graph').addEventListener('keydown', onKey);
byId('graph').addEventListener('focus', () => select(state.selected));
byId('graph').addEventListener('blur', draw);
window.addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
refreshLoop();
