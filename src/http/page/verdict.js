// The verdict: whether the node is healthy, why not, and since when it does not answer.

import { byId, clock, duration, element, row, setText } from './text.js';

// Where the page displays what a check measures. The most useful reasons come first.
const PLACES = {
  engine: 'verdict', topics: 'topics-section', peers: 'peers-section', heartbeat: 'rates', inputs: 'queues-title',
  p2p_stream: 'queues-title', app_stream: 'queues-title',
};
const ORDER = Object.keys(PLACES);
const WORDS = { up: 'Healthy', degraded: 'Degraded', down: 'Failing' };
const RESULTS = { ok: 'passes', ko: 'fails', down: 'down' };

let lastAnswer = null, firstRequest = null;

const failing = health => health.checks.filter(check => check.status !== 'ok')
  .sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));

function display(state, word, summary) {
  byId('verdict').dataset.state = state;
  document.body.classList.toggle('dead', state === 'dead');
  setText('health', word);
  setText('summary', summary);
  document.title = state === 'up' ? 'gossipsub' : `${word} – gossipsub`;
}

// The answer of the node. `onLink` is called with the name of the check whose link is followed.
export function showHealth(health, onLink) {
  const failed = failing(health), total = health.checks.length;
  const engineStopped = health.checks.some(check => check.name === 'engine' && check.status === 'down');
  if (!engineStopped || lastAnswer === null) lastAnswer = Date.now();
  const summary = failed.length ? `${failed.length} of ${total} checks ${failed.length === 1 ? 'fails' : 'fail'}.`
    : `All ${total} checks pass.`;
  if (engineStopped) showDead('The engine does not answer');
  else display(health.status, WORDS[health.status], summary);
  const lines = failed.map(check => {
    const link = element('a', check.message);
    link.href = '#' + (PLACES[check.name] ?? 'verdict');
    link.addEventListener('click', () => onLink(check.name));
    const line = element('li', `${check.name.replace('_', ' ')}: `);
    line.append(link);
    return line;
  });
  // A focused link keeps its position.
  if (byId('reasons').textContent !== lines.map(line => line.textContent).join('')) byId('reasons').replaceChildren(...lines);
  byId('checks').replaceChildren(...health.checks.map(check =>
    row([check.name.replace('_', ' ')], [RESULTS[check.status], check.status === 'ok' ? '' : 'bad'], [check.message])));
}

// The node did not answer.
export function showDead(what = 'The node does not answer') {
  firstRequest ??= Date.now();
  const since = lastAnswer ?? firstRequest;
  display('dead', 'No answer', `${what} since ${clock(since)}, for ${duration(Date.now() - since)}. ` +
    (lastAnswer === null ? '' : 'All values below are of that time.'));
  if (what.startsWith('The node')) byId('reasons').replaceChildren();
}

// The full addresses contain the peer id.
export function showIdentity({ peer_id: peer, addresses }) {
  byId('identity').hidden = peer === null && addresses.length === 0;
  setText('own-id', peer ?? 'not known');
  const lines = addresses.map(address => element('span', address));
  if (byId('own-addresses').textContent !== addresses.join('')) byId('own-addresses').replaceChildren(...lines);
}
