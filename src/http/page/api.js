// Requests to the API below the page's own path. Lists come in pages: `next` is the query of the following one.

const TIMEOUT = 5000;

// Some networks identify peers by integers that a JavaScript number cannot represent. Their digits stay a string.
const parseExact = (_, value, context) =>
  typeof value === 'number' && context && /^-?\d+$/.test(context.source) && !Number.isSafeInteger(value)
    ? context.source : value;

async function send(path) {
  const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT) });
  return { response, body: JSON.parse(await response.text(), parseExact) };
}

// The JSON body. Throws the message of an error response.
export async function request(path) {
  const { response, body } = await send(path);
  if (!response.ok) throw new Error(body.message);
  return body;
}

// A node that is down answers with 503 and the same body.
export async function health() {
  return (await send('health')).body;
}

export const gossipsub = path => request('p2p/gossipsub/' + path);

// One page of a list, and the query of the next one or null.
export async function page(path, query) {
  const { response, body } = await send(`p2p/gossipsub/${path}?${query}`);
  if (!response.ok) throw new Error(body.message);
  const next = /^<\?(.*)>; rel="next"$/.exec(response.headers.get('Link') ?? '');
  return { items: body, next: next ? next[1] : null };
}

// The metrics as text; null if the application exports none.
export async function metrics() {
  const response = await fetch('metrics', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT) });
  return response.ok ? response.text() : null;
}
