// Rates, latencies and queue depths of the last three minutes as sparklines, each with its unit and its time axis.

import { metrics } from './api.js';
import { byId, clearCanvas, colour, count, element } from './text.js';

const WINDOW = 180_000;
// A longer time between two values is a gap: the page was paused, hidden or without an answer.
const GAP = 15_000;

const series = new Map();
let lastStats = null, lastSums = null;

// A line that is added at once has its place before the first value is known.
function line(group, name, unit) {
  const found = series.get(name);
  if (found) return found;
  const made = { name, unit, points: [], canvas: element('canvas'), value: element('strong', '–'), top: element('span') };
  made.canvas.setAttribute('role', 'img');
  made.canvas.setAttribute('aria-label', `${name}: no value yet`);
  const [head, axis, figure] = [element('p', undefined, 'spark-head'), element('p', undefined, 'axis'), element('div', undefined, 'spark')];
  head.append(element('span', name), made.value);
  axis.append(element('span', '−3 min'), made.top, element('span', 'now'));
  figure.append(head, made.canvas, axis);
  byId(group).append(figure);
  series.set(name, made);
  return made;
}

// Three digits are enough to read a rate.
const brief = value => value < 1e-9 ? '0' : value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(Math.round(value));
const amount = (value, unit) => `${unit === 'items' ? count(value) : brief(value)} ${unit}`;

export function record(group, name, value, unit, now = Date.now()) {
  const { points, ...spark } = line(group, name, unit);
  points.push({ time: now, value });
  while (points[0].time < now - WINDOW) points.shift();
  const maximum = Math.max(...points.map(point => point.value));
  spark.value.textContent = amount(value, unit);
  spark.top.textContent = `max ${unit === 'items' ? count(maximum) : brief(maximum)}`;
  spark.canvas.setAttribute('aria-label', `${name}: now ${amount(value, unit)}, maximum of the last 3 minutes ${amount(maximum, unit)}`);
}

export function drawRates(now = Date.now()) {
  const [ink, grid] = [colour('--spark'), colour('--line')];
  for (const { canvas, points } of series.values()) {
    const { pen, width, height } = clearCanvas(canvas);
    const maximum = Math.max(...points.map(point => point.value), 1e-9);
    const x = time => (time - now + WINDOW) / WINDOW * width;
    const y = value => height - 1.5 - value / maximum * (height - 4);
    pen.strokeStyle = grid;
    pen.beginPath();
    for (let minute = 0; minute <= 3; minute++) {
      pen.moveTo(Math.min(width - .5, Math.max(.5, minute / 3 * width)), height - 4);
      pen.lineTo(Math.min(width - .5, Math.max(.5, minute / 3 * width)), height);
    }
    pen.moveTo(0, height - .5);
    pen.lineTo(width, height - .5);
    pen.stroke();
    pen.strokeStyle = ink;
    pen.lineWidth = 1.5;
    pen.lineJoin = 'round';
    pen.beginPath();
    points.forEach(({ time, value }, index) => {
      if (index > 0 && time - points[index - 1].time < GAP) pen.lineTo(x(time), y(value));
      else pen.moveTo(x(time) - 3, y(value)), pen.lineTo(x(time), y(value));
    });
    pen.stroke();
  }
}

export function showStats(stats, now = Date.now()) {
  byId('peers-count').textContent = count(stats.count_connections);
  byId('topics-count').textContent = count(stats.count_topics);
  byId('received-count').textContent = count(stats.count_recv_valid_app_messages);
  byId('sent-count').textContent = count(stats.count_sent_app_messages);
  const rates = [
    ['valid messages', 'count_recv_valid_app_messages'], ['messages sent', 'count_sent_app_messages'],
    ['GRAFTs received', 'count_recv_grafts'], ['PRUNEs received', 'count_recv_prunes'],
    ['IHAVEs received', 'count_recv_ihaves'], ['IWANTs received', 'count_recv_iwants'],
  ];
  for (const [name, counter] of rates) {
    line('traffic', name, '/s');
    // A lower value is that of a node that has restarted.
    const more = lastStats === null ? -1 : stats[counter] - lastStats.stats[counter];
    if (more >= 0) record('traffic', name, more / Math.max(now - lastStats.now, 1) * 1000, '/s', now);
  }
  lastStats = { stats, now };
}

export function showQueues(queues) {
  for (const { queue, depth } of queues) {
    if (!queue.endsWith('_bytes')) record('queues', queue.replace('_', ' '), depth, 'items');
  }
}

export function showResponse(seconds) {
  if (typeof seconds === 'number') record('latency', 'supervisor answers', seconds * 1000, 'ms');
}

// The mean of each histogram since the last call. Returns false if the application exports no metrics.
export async function showMetrics() {
  const scrape = await metrics();
  if (scrape === null) return false;
  const sums = {};
  for (const [, name, kind, value] of scrape.matchAll(/^gossipsub_(heartbeat_duration|validation_duration|queue_wait)_seconds_(sum|count)(?:\{[^}]*\})? (\S+)$/gm)) {
    const sum = sums[name] ??= { sum: 0, count: 0 };
    sum[kind] += Number(value);
  }
  for (const name of Object.keys(sums)) {
    const now = sums[name], last = lastSums?.[name];
    if (last && now.count > last.count) {
      record('latency', name.replace('_', ' '), (now.sum - last.sum) / (now.count - last.count) * 1000, 'ms');
    }
  }
  lastSums = sums;
  return true;
}
