// What is known of one peer or one topic, in a dialog: address, score by component, what the peer is refused and until when.
// The address of the page names what is open, so that it can be copied and loaded again, and Back leads to what was open before.

import { gossipsub, page, request } from './api.js';
import { eventLine } from './events.js';
import { connectionKind, topicState } from './lists.js';
import { byId, clock, count, duration, element, link, plural, round, row, shorten, shortenAll, text } from './text.js';

const MAX_TOPICS = 20, MAX_REFUSED = 20;

const settled = (result, otherwise) => result.status === 'fulfilled' ? result.value : otherwise;
const until = time => {
  if (time.startsWith('9999')) return 'for ever';
  return `until ${clock(time)}, for ${duration(new Date(time) - Date.now())}`;
};

// Whether the address of the page names this peer or topic. Another one may be opened while the answers are awaited.
const isNamed = (kind, name) => new URLSearchParams(location.hash.slice(1)).get(kind) === name;

async function openPeer(name) {
  const path = encodeURIComponent(name);
  const [score, explanation, transport, backoffs] = await Promise.allSettled([
    page(`scores/${path}`, 'limit=1000'), gossipsub(`explain/${path}`), request(`p2p/peers/${path}`), gossipsub(`backoffs?peer=${path}&limit=1000`),
  ]);
  if (!isNamed('peer', name)) return;
  const { items: breakdown, next } = settled(score, { items: null, next: null }), details = settled(transport, {});
  byId('peer-title').textContent = `Peer ${shorten(name)}`;
  byId('peer-id').textContent = name;
  showFacts(breakdown, details);
  showScore(breakdown, score.reason);
  showRefused(breakdown, details, settled(backoffs, []));
  showTopics(breakdown, next);
  const decisions = settled(explanation, { decisions: [] }).decisions.reverse();
  byId('peer-decisions').replaceChildren(...decisions.map(event => {
    const line = eventLine({ ...event, peer: null }, true);
    if (event.message) line.append(element('span', ` ${event.message}`, 'note'));
    return line;
  }));
  byId('decisions-filter').value = '';
  if (!byId('peer').open) byId('peer').showModal();
}

function filterDecisions() {
  const wanted = byId('decisions-filter').value.trim().toLowerCase();
  for (const line of byId('peer-decisions').children) line.hidden = !line.textContent.toLowerCase().includes(wanted);
}

function showFacts(breakdown, details) {
  const connection = breakdown?.connection;
  const facts = [
    ['address', details.address], ['agent', details.agent], ['protocol', details.protocol],
    ['direction', connection ? (connection.outbound ? 'outbound: we dialled it' : 'inbound: it dialled us') : null],
    ['connection', connection ? connectionKind(connection) : breakdown?.retained_until
      ? `disconnected; its score is remembered ${until(breakdown.retained_until)}` : 'disconnected'],
  ];
  byId('peer-facts').replaceChildren(...facts.map(([name, value]) => {
    const fact = element('div');
    fact.append(element('dt', name), element('dd', value ?? 'not known'));
    return fact;
  }));
}

// Each component with a sentence that explains its value.
function components(score) {
  const of = name => score.topics.reduce((sum, topic) => sum + topic[name], 0);
  const largest = [['P1', 'time in our meshes'], ['P2', 'messages delivered first'], ['P3', 'too few messages delivered in our meshes'],
    ['P3b', 'too few messages before it left our meshes'], ['P4', 'invalid messages']]
    .map(([label, meaning]) => [`${label} ${round(of(label.toLowerCase()))} for ${meaning}`, of(label.toLowerCase())])
    .filter(([, value]) => Math.abs(value) > 1e-9).map(([sentence]) => sentence);
  return [
    ['topics', score.topics_sum, largest.length ? `${largest.join(', ')}.` : 'No topic adds to it or takes from it.'],
    ['P5', score.p5, score.application_score === 0 ? 'The application has not rated it.' : `The application rates it ${round(score.application_score)}.`],
    ['P6', score.p6, score.p6 < 0 ? 'Too many peers share its IP address.' : 'It does not share its IP address with too many peers.'],
    ['P7', score.p7, score.behaviour_penalty === 0 ? 'It has broken no rule of the protocol lately.'
      : `It has broken rules of the protocol: its counter is ${round(score.behaviour_penalty)} and decays.`],
  ];
}

function showScore(score, error) {
  byId('peer-sum').textContent = score === null ? error.message
    : `Score ${round(score.score)} = ` + components(score).map(([label, value]) => `${label} ${round(value)}`).join(' + ');
  byId('peer-components').replaceChildren(...(score === null ? [] : components(score).map(([label, value, sentence]) =>
    row([label], [round(value), value < 0 ? 'number bad' : 'number'], [sentence]))));
}

function showRefused(score, details, backoffs) {
  // Each is what is refused, and until when.
  const lines = (score?.thresholds ?? []).filter(threshold => threshold.below).map(threshold =>
    [threshold.name.replace('_', ' '), `: ${threshold.effect}, until its score is at least ${round(threshold.value)}`]);
  if (details.blocked_until) lines.unshift(['connections', ` ${until(details.blocked_until)}`]);
  // Expired entries stay in the list until their cleanup.
  const open = backoffs.filter(({ backoffs }) => backoffs.some(({ backoff }) => new Date(backoff) > Date.now()));
  lines.push(...open.slice(0, MAX_REFUSED).map(({ topic, backoffs }) => ['GRAFTs', ` on ${text(topic)} ${until(backoffs[0].backoff)}`]));
  if (open.length > MAX_REFUSED) lines.push(['GRAFTs', ` on ${plural(open.length - MAX_REFUSED, 'more topic')}`]);
  const passed = (score?.thresholds ?? []).filter(threshold => !threshold.below).map(threshold => `${threshold.name.replace('_', ' ')} (${round(threshold.value)})`);
  byId('peer-refused').replaceChildren(...lines.map(([what, how]) => {
    const line = element('li');
    line.append(element('strong', what, 'bad'), how);
    return line;
  }));
  if (!lines.length) byId('peer-refused').append(element('li', 'Nothing.'));
  if (passed.length) byId('peer-refused').append(element('li', `Its score is not below ${passed.join(', ')}.`));
}

function showTopics(score, next) {
  const topics = [...(score?.topics ?? [])].sort((a, b) => a.total - b.total), listed = topics.slice(0, MAX_TOPICS);
  const cells = topic => ['p1', 'p2', 'p3', 'p3b', 'p4', 'total'].map(name => [round(topic[name]), topic[name] < 0 ? 'number bad' : 'number']);
  const short = shortenAll(listed.map(topic => text(topic.topic)), 32);
  byId('peer-topics').replaceChildren(...listed.map((topic, index) => row([short[index]], ...cells(topic))));
  const more = topics.length - listed.length;
  byId('peer-topics').parentElement.hidden = listed.length === 0;
  byId('peer-topics-more').textContent = listed.length === 0 ? 'None has a part in its score.' : next !== null ? `The first ${count(topics.length)} topics by name are considered; there are more.`
    : more > 0 ? `${plural(more, 'more topic')} with higher scores.` : '';
}

async function openTopic(name) {
  const topic = encodeURIComponent(name);
  const [mesh, listed] = await Promise.allSettled([gossipsub(`mesh?topic=${topic}`), gossipsub(`topics/status?topic=${topic}`)]);
  if (!isNamed('topic', name)) return;
  const peers = settled(mesh, [{ peers: [] }])[0].peers.map(text), short = shortenAll(peers);
  const [status] = settled(listed, []);
  byId('topic-title').textContent = `Topic ${shorten(name)}`;
  byId('topic-name').textContent = name;
  byId('topic-state').textContent = status ? topicState(status) : mesh.status === 'rejected' ? mesh.reason.message : '';
  byId('topic-peers').replaceChildren(...peers.map((peer, index) => {
    const line = element('li');
    line.append(link('peer', short[index], peer));
    return line;
  }));
  if (peers.length === 0) byId('topic-peers').append(element('li', 'None.'));
  if (!byId('topic').open) byId('topic').showModal();
}

const DIALOGS = { topic: openTopic, peer: openPeer };

// Opens what the address names, and closes what it names no more. A peer is above the topic that it was opened from.
function followAddress() {
  const named = new URLSearchParams(location.hash.slice(1)), kind = Object.keys(DIALOGS).find(one => named.has(one));
  if (kind !== 'peer') byId('peer').close();
  if (kind === undefined) return byId('topic').close();
  byId(kind).dataset.address = location.hash;
  return DIALOGS[kind](named.get(kind));
}

// A dialog that is closed leaves the address to the one below it, unless the address names another one already.
function onClose(event) {
  if (!new URLSearchParams(location.hash.slice(1)).has(event.target.id)) return;
  const below = Object.keys(DIALOGS).map(byId).find(dialog => dialog.open);
  history.replaceState(null, '', below?.dataset.address ?? location.pathname + location.search);
}

export function setUpDetails() {
  byId('decisions-filter').addEventListener('input', filterDecisions);
  Object.keys(DIALOGS).forEach(kind => byId(kind).addEventListener('close', onClose));
  window.addEventListener('hashchange', followAddress);
  followAddress();
}
