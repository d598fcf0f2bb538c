// Numbers, times and names as text, and elements with that text. Identifiers come from other nodes, so they are inserted by
// textContent, as text and not as markup.

export const byId = id => document.getElementById(id);
export const text = name => typeof name === 'string' ? name : JSON.stringify(name);
export const count = value => Number(value).toLocaleString('en');
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
export const round = value => {
  const size = Math.abs(value);
  return size < 1e-9 ? '0' : size < 1000 ? value.toFixed(2) : count(Math.round(value));
};
export const clock = time => new Date(time).toTimeString().slice(0, 8);

// A duration in milliseconds, such as `2 min 5 s`.
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${count(Math.floor(seconds / 86400))} days`;
}

// A long name without its middle. Characters are whole code points.
export function shorten(name, length = 24) {
  const letters = [...name];
  if (letters.length <= length) return name;
  const end = Math.floor((length - 1) / 2);
  return letters.slice(0, length - 1 - end).join('') + '…' + letters.slice(letters.length - end).join('');
}

// A long name around what distinguishes it from others, which begin with the same `same` characters and end with the same `end`.
function around(name, same, end) {
  const letters = [...name], first = Math.min(8, same), from = Math.max(first, same - 4);
  const last = letters.length - 8, to = Math.min(last, Math.max(letters.length - end, same) + 4, from + 18);
  if (to <= from) return name;
  return [letters.slice(0, first), from > first ? '…' : '', letters.slice(from, to), to < last ? '…' : '', letters.slice(Math.max(to, last))]
    .flat().join('');
}

// The number of characters that all names have in common, from the begin.
function common(names) {
  let same = 0;
  while (names[0][same] !== undefined && names.every(name => name[same] === names[0][same])) same++;
  return same;
}

// The names of one list, shortened so that distinct names stay distinct.
export function shortenAll(names, length = 24) {
  const alike = new Map();
  for (const name of names) {
    const short = shorten(name, length);
    alike.set(short, (alike.get(short) ?? new Set()).add(name));
  }
  const short = new Map();
  for (const [first, group] of alike) {
    if (group.size === 1) { short.set([...group][0], first); continue; }
    const letters = [...group].map(name => [...name]);
    const same = common(letters), end = common(letters.map(name => name.toReversed()));
    for (const name of group) short.set(name, around(name, same, end));
  }
  const distinct = new Set(short.values()).size === short.size;
  // Names that differ in more than one place are displayed whole.
  return names.map(name => distinct ? short.get(name) : name);
}

// Creates an element with plain text.
export function element(tag, content, className) {
  const created = document.createElement(tag);
  if (content !== undefined) created.textContent = content;
  if (className) created.className = className;
  return created;
}

// The part of the page's address that opens a `peer` or a `topic`.
export const address = (kind, name) => '#' + new URLSearchParams({ [kind]: name });

// A link that opens a `peer` or a `topic`; `key` identifies it when its list is drawn again.
export function link(kind, short, name) {
  const created = element('a', short, 'link');
  created.href = address(kind, name);
  created.title = name;
  created.dataset.key = name;
  return created;
}

// A table row. A cell is [content, class]; its content is text or a node.
export function row(...cells) {
  const created = element('tr');
  for (const [content, className] of cells) {
    const cell = element('td', undefined, className);
    if (content instanceof Node) cell.append(content); else cell.textContent = content;
    created.append(cell);
  }
  return created;
}

// Sets a text only when it changes, because screen readers announce every update of a status.
export function setText(id, value) {
  if (byId(id).textContent !== value) byId(id).textContent = value;
}

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Clears a canvas and sets its resolution to the size at which it is displayed.
export function clearCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}
