// The graph of the meshes of some topics, drawn on demand: peers on an outer ring, topics on an inner one.

import { gossipsub } from './api.js';
import { connectionKind } from './lists.js';
import { address, byId, clearCanvas, colour, count, round, shortenAll, text } from './text.js';

// Upper bounds of what is drawn and of the requests at a time. The page states how many it leaves out.
const MAX_PEERS = 200, REQUESTS = 4;

const state = { topics: [], peers: [], total: 0, nodes: [], selected: 0 };

// The drawn topics and peers, with the positions of the peers.
export const drawn = () => ({ topics: state.topics, nodes: state.nodes });

export const isOpen = () => byId('graph-details').open;

// Asks for the meshes of the topics. One whose request fails is drawn as before, if it was drawn.
export async function refreshGraph(names) {
  const topics = [];
  for (let start = 0; start < names.length; start += REQUESTS) {
    const some = names.slice(start, start + REQUESTS);
    const answers = await Promise.allSettled(some.map(name => gossipsub(`mesh?topic=${encodeURIComponent(name)}`)));
    answers.forEach(({ status, value }, index) => {
      const before = state.topics.find(topic => topic.name === some[index]);
      if (status === 'fulfilled') topics.push({ name: some[index], peers: value[0].peers.map(text) });
      else if (before) topics.push(before);
    });
  }
  const listed = await gossipsub(`peers/status?limit=${MAX_PEERS}`);
  const known = new Map(listed.map(peer => [text(peer.peer), { ...peer, name: text(peer.peer) }]));
  const inMesh = [...new Set(topics.flatMap(topic => topic.peers))].sort();
  // The scores of the best peers are not asked for if there are many.
  state.total = inMesh.length;
  state.peers = inMesh.slice(0, MAX_PEERS).map(name => known.get(name) ?? { name, score: 0, outbound: false, direct: false });
  state.topics = topics;
  draw();
}

export function draw() {
  if (!isOpen()) return;
  const { topics, peers } = state, { pen, width, height } = clearCanvas(byId('graph'));
  // Labels need room.
  const roomy = width > 600;
  const centre = [width / 2, height / 2], outer = [Math.max(20, width / 2 - (roomy ? 115 : 16)), Math.max(20, height / 2 - 26)];
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
    pen.globalAlpha = ofSelected ? 1 : Math.max(.25, Math.min(.8, 60 / (topics.length * 4 + 1)));
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
  const topicLabels = shortenAll(topics.map(topic => topic.name), 16), peerLabels = shortenAll(peers.map(peer => peer.name), 13);
  topics.forEach((topic, index) => drawTopic(pen, topic, topicPositions[index], roomy && topics.length <= 12 ? topicLabels[index] : ''));
  state.nodes.forEach(({ peer, position }, index) => {
    const labelled = roomy && peers.length <= 40 || peer.name === selected;
    drawPeer(pen, peer, position, labelled ? peerLabels[index] : '', peer.name === selected);
  });
  byId('graph-summary').textContent = `${count(topics.length)} topics and ${count(peers.length)} of ${count(state.total)} peers in their meshes are drawn.`;
}

function drawTopic(pen, topic, [x, y], label) {
  pen.fillStyle = colour(topic.peers.length ? '--topic' : '--bad');
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
  if (label) {
    pen.fillStyle = colour('--text');
    pen.textAlign = 'center';
    pen.fillText(label, x, y - 11);
  }
}

function drawPeer(pen, peer, [x, y, angle], label, selected) {
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
  if (label) {
    pen.fillStyle = colour('--text');
    pen.textAlign = Math.cos(angle) < -.3 ? 'right' : Math.cos(angle) > .3 ? 'left' : 'center';
    const side = pen.textAlign === 'right' ? -10 : pen.textAlign === 'left' ? 10 : 0;
    pen.fillText(label, x + side, side ? y : y + (y < 40 ? -14 : 16));
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
  if (peer) byId('graph').setAttribute('aria-label', `Graph of the meshes. Peer ${peer.name}, ${connectionKind(peer)}, score ${round(peer.score)}. Enter opens it.`);
  draw();
}

function open(index) {
  location.hash = address('peer', state.nodes[index].peer.name);
}

function onKey(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const total = state.nodes.length;
  if (step && total) select((state.selected + step + total) % total);
  else if (event.key === 'Enter' && state.nodes[state.selected]) open(state.selected);
  else return;
  event.preventDefault();
}

// `onOpen` is called when the graph is to be drawn.
export function setUpGraph(onOpen) {
  const graph = byId('graph');
  byId('graph-details').addEventListener('toggle', () => { if (isOpen()) onOpen(); });
  graph.addEventListener('click', event => {
    const index = nodeAt(event);
    if (index >= 0) { select(index); open(index); }
  });
  graph.addEventListener('keydown', onKey);
  graph.addEventListener('focus', () => select(state.selected));
  graph.addEventListener('blur', draw);
  window.addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
}
