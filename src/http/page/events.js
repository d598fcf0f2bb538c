// The recent events, and the numbers of refusals and penalties.

import { gossipsub } from './api.js';
import { byId, clock, count, element, round, row, shorten, text } from './text.js';

const MAX_EVENTS = 25, MAX_REFUSALS = 10, MINUTE = 60_000;
// Refusals that healthy nodes exchange all the time.
const NORMAL = { already_in_mesh: 'the peer is in the mesh already', mesh_full: 'the mesh is full' };

let since = 0, recent = [], samples = [];

// One event. Names are shortened unless `full` is true.
export function eventLine(event, full = false) {
  const name = value => full ? text(value) : shorten(text(value));
  const line = element('li');
  line.append(element('time', clock(event.time)), element('strong', event.type));
  const parts = [
    event.count > 1 ? `×${count(event.count)}` : '', event.reason?.replaceAll('_', ' '),
    event.peer === null ? '' : `peer ${name(event.peer)}`, event.topic === null ? '' : `topic ${name(event.topic)}`,
    event.score === null ? '' : `score ${round(event.score)}`,
  ];
  line.append(element('span', parts.filter(Boolean).join(' · ')));
  return line;
}

export async function refreshEvents() {
  const { next, events } = await gossipsub(`events?limit=1000&since=${since}`);
  // Taken from the response even if it is lower: a restarted node starts again at 1.
  since = next;
  if (events.length === 0) return;
  recent = events.reverse().concat(recent).slice(0, MAX_EVENTS);
  byId('events').replaceChildren(...recent.map(event => eventLine(event)));
}

export async function refreshRefusals() {
  const counts = await gossipsub('decisions'), now = Date.now();
  const refusals = counts.filter(({ type }) => /^(REJECT_|PENALTY)/.test(type));
  const key = ({ type, reason }) => `${type} ${reason}`;
  samples.push({ now, counts: new Map(refusals.map(one => [key(one), one.count])) });
  while (samples.length > 2 && samples[1].now <= now - MINUTE) samples.shift();
  const lastMinute = one => Math.max(0, one.count - (samples[0].counts.get(key(one)) ?? 0));
  const unusual = refusals.filter(({ reason }) => !(reason in NORMAL));
  unusual.sort((a, b) => lastMinute(b) - lastMinute(a) || b.count - a.count);
  byId('refusals').replaceChildren(...unusual.slice(0, MAX_REFUSALS).map(one => {
    const latest = lastMinute(one);
    return row([one.type], [(one.reason ?? '').replaceAll('_', ' ')], [count(latest), latest ? 'number bad' : 'number'], [count(one.count), 'number']);
  }));
  byId('refusals-none').hidden = unusual.length > 0;
  byId('refusals').parentElement.hidden = unusual.length === 0;
  const usual = refusals.filter(({ reason, count }) => reason in NORMAL && count > 0);
  byId('normal-refusals').textContent = usual.length === 0 ? ''
    : 'Normal, and not listed: ' + usual.map(one => `${count(one.count)} ${one.type} because ${NORMAL[one.reason]}`).join(', ') + '.';
}
