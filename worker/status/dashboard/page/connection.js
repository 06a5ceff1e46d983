// Asking the server. The token is kept for this tab alone (sessionStorage) and travels in a header: a cookie would be
// sent by other pages' requests as well, and to every other service on this host, whatever its port.
const KEY = "rag-token";
let token = sessionStorage.getItem(KEY);

export const hasToken = () => token !== null;

export function keepToken(given) {
  token = given;
  if (given === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, given);
}

const authorised = () => (token === null ? {} : { authorization: `Bearer ${token}` });

/** A refusal, with the server's own sentence. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function refusalOf(response) {
  const body = await response.json().catch(() => null);
  return new Refused(
    response.status,
    body?.error?.code ?? `http.${response.status}`,
    body?.error?.message ?? `The server answered ${response.status}.`,
  );
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...authorised(), ...options.headers } });
  } catch (thrown) {
    if (options.signal?.aborted) throw thrown;
    throw new Refused(0, "http.unreachable", "The worker cannot be reached. Is it running?");
  }
  if (!response.ok) throw await refusalOf(response);
  return await response.json();
}

export const read = (path, signal) => ask(path, { signal });

export const send = (path, body, signal) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

const AGAIN_MS = 2000;
const SILENT_MS = 15_000;

/**
 * Reads /events for as long as the page is looked at: `tell(overview)` for each, `lost(refused)` when the stream
 * ends. A refusal for want of a token ends it; listen again after signing in. Answers the function that stops. Not
 * EventSource, which sends no header.
 */
export function listen(tell, lost) {
  let stream = null;
  let stopped = false;
  const open = async () => {
    const own = new AbortController();
    stream = own;
    try {
      await readStream(own, tell);
      throw new Refused(0, "http.ended", "The connection ended.");
    } catch (thrown) {
      if (stream !== own) return;
      stream = null;
      const refused =
        thrown instanceof Refused
          ? thrown
          : new Refused(0, "http.unreachable", "The worker cannot be reached.");
      lost(refused);
      if (refused.status !== 401)
        setTimeout(() => {
          if (stream === null && !stopped && !document.hidden) void open();
        }, AGAIN_MS);
    }
  };
  const pause = () => {
    const own = stream;
    stream = null;
    own?.abort();
  };
  const onVisibility = () => {
    if (document.hidden) pause();
    else if (stream === null) void open();
  };
  document.addEventListener("visibilitychange", onVisibility);
  void open();
  return () => {
    stopped = true;
    document.removeEventListener("visibilitychange", onVisibility);
    pause();
  };
}

async function readStream(own, tell) {
  let timer = setTimeout(() => own.abort(), SILENT_MS);
  try {
    const response = await fetch("/events", { headers: authorised(), signal: own.signal, cache: "no-store" });
    if (!response.ok) throw await refusalOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => own.abort(), SILENT_MS);
      text += value;
      const messages = text.split("\n\n");
      text = messages.pop();
      for (const message of messages) {
        const data = message.split("\n").find((line) => line.startsWith("data: "));
        if (data) tell(JSON.parse(data.slice(6)));
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
