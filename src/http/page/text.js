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

// The names of one list, shortened so that distinct names stay distinct: as many characters as that takes.
export function shortenAll(names, length = 24) {
  const longest = Math.max(0, ...names.map(name => name.length)), distinct = new Set(names).size;
  for (let size = length; ; size = Math.ceil(size * 1.4)) {
    const short = names.map(name => shorten(name, size));
    if (size >= longest || new Set(short).size === distinct) return short;
  }
}

// Creates an element with plain text.
export function element(tag, content, className) {
  const created = document.createElement(tag);
  if (content !== undefined) created.textContent = content;
  if (className) created.className = className;
  return created;
}

// A button that opens something; `key` identifies it when its list is drawn again.
export function opener(short, name, open) {
  const button = element('button', short, 'link');
  button.type = 'button';
  button.title = name;
  button.dataset.key = name;
  button.addEventListener('click', () => open(name));
  return button;
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
