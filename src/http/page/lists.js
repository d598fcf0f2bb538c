// The lists of topics and peers: a page each, what needs attention first, searched in the node and not here.

import { page } from './api.js';
import { byId, count, element, link, round, row, shortenAll, text } from './text.js';

// The items of a page.
export const PAGE = 20;
// The characters of a name, more if names are alike.
const NAME = 28, PEER_NAME = 21;

const PROBLEMS = { no_peers: 'no peers', below_d_low: 'below D_low', no_scores: 'no score parameters' };

export const connectionKind = peer =>
  [peer.direct && 'direct', peer.bootstrap && 'bootstrap', peer.floodsub && 'floodsub', peer.outbound ? 'outbound' : 'inbound', peer.connected === false && 'disconnected']
    .filter(Boolean).join(', ');

// A list with its pages. `name` is the prefix of its elements, `draw` makes the rows of the items of a page.
class List {
  constructor(name, path, draw) {
    Object.assign(this, { name, path, draw, items: [], drawn: '' });
    this.search('');
    byId(`${name}-next`).addEventListener('click', () => this.move(1));
    byId(`${name}-previous`).addEventListener('click', () => this.move(-1));
  }

  // Shows the first page of the items that contain this text. `filter` is added to the query.
  search(contains, filter = '') {
    const query = `limit=${PAGE}` + (contains ? `&contains=${encodeURIComponent(contains)}` : '') + filter;
    Object.assign(this, { queries: [query], next: null, filtered: contains !== '' || filter !== '' });
  }

  async move(step) {
    if (step > 0 && this.next !== null) this.queries.push(this.next);
    else if (step < 0 && this.queries.length > 1) this.queries.pop();
    await this.refresh();
  }

  async refresh() {
    const query = this.queries.at(-1), { items, next } = await page(this.path, query);
    // Another page was asked for meanwhile.
    if (query !== this.queries.at(-1)) return;
    if (items.length === 0 && this.queries.length > 1) {
      this.queries.pop();
      return this.refresh();
    }
    Object.assign(this, { items, next });
    this.show();
  }

  show() {
    const body = byId(this.name), drawn = JSON.stringify(this.items);
    const first = (this.queries.length - 1) * PAGE + 1;
    byId(`${this.name}-previous`).disabled = this.queries.length === 1;
    byId(`${this.name}-next`).disabled = this.next === null;
    byId(`${this.name}-range`).textContent = this.items.length === 0 ? (this.filtered ? 'Nothing is found.' : 'None.')
      : `${count(first)} to ${count(first + this.items.length - 1)}` + (this.next === null ? '' : ' of more');
    if (drawn === this.drawn) return;
    // The focus stays on its item. An item that is listed no more keeps the list as it is, until the focus leaves it.
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const rows = this.draw(this.items);
    const again = rows.flatMap(one => [...one.querySelectorAll('a')]).find(one => one.dataset.key === focused);
    if (focused !== undefined && !again) return;
    this.drawn = drawn;
    body.replaceChildren(...rows);
    again?.focus({ preventScroll: true });
  }
}

// The size of the mesh, from 0 to D_high, with a mark at D_low.
function gauge({ mesh, degree_low: low, degree_high: high, problem }) {
  const picture = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  picture.setAttribute('viewBox', '0 0 60 10');
  picture.setAttribute('class', problem === 'no_peers' || problem === 'below_d_low' ? 'gauge below' : 'gauge');
  picture.setAttribute('aria-hidden', 'true');
  const part = (kind, x, width) => {
    const bar = document.createElementNS(picture.namespaceURI, 'rect');
    for (const [name, value] of Object.entries({ class: kind, x, y: kind === 'mark' ? 0 : 2, width, height: kind === 'mark' ? 10 : 6 })) bar.setAttribute(name, value);
    picture.append(bar);
  };
  const scale = 60 / Math.max(high, mesh, 1);
  part('track', 0, 60);
  part('fill', 0, mesh * scale);
  part('mark', Math.max(0, low * scale - 1), 1.5);
  return picture;
}

function topicRows(items) {
  const names = items.map(item => text(item.topic)), short = shortenAll(names, NAME);
  return items.map((item, index) => {
    const mesh = element('span', undefined, 'mesh');
    mesh.append(gauge(item), element('span', `${item.mesh} of ${item.degree_low}–${item.degree_high}`));
    if (item.problem) mesh.append(element('strong', PROBLEMS[item.problem] ?? item.problem, item.problem === 'no_scores' ? 'odd' : 'bad'));
    return row([link('topic', short[index], names[index])], [mesh], [count(item.subscribers), 'number']);
  });
}

function peerRows(items) {
  const names = items.map(item => text(item.peer)), short = shortenAll(names, PEER_NAME);
  return items.map((item, index) => {
    const kind = element('span', connectionKind(item));
    // A usual score is below accept_px_threshold, which only few peers are to pass.
    const below = item.below.filter(name => name !== 'accept_px');
    if (below.length) kind.append(element('span', `below ${below.join(', ')}`, 'bad below'));
    return row([link('peer', short[index], names[index])], [kind], [round(item.score), item.score < 0 ? 'number bad' : 'number']);
  });
}

export const makeTopics = () => new List('topics', 'topics/status', topicRows);
export const makePeers = () => new List('peers', 'peers/status', peerRows);

// What a topic's state means, in words.
export function topicState({ mesh, outbound_mesh: outbound, subscribers, degree_low: low, degree_high: high, problem }) {
  const facts = `The mesh has ${mesh} of the ${low} to ${high} peers that it is to have (D_low to D_high); we dialled ${outbound} of them. ` +
    `${count(subscribers)} connected peers subscribe to the topic.`;
  const meaning = {
    no_peers: ' No connected peer subscribes to it: nothing is sent or received. Dial peers that do, or check the name of the topic.',
    below_d_low: ' The mesh is too small: peers refuse GRAFTs, their scores are negative, or too few subscribe.',
    no_scores: ' Other topics have score parameters of their own and this one has none.',
  }[problem] ?? '';
  return facts + meaning;
}
