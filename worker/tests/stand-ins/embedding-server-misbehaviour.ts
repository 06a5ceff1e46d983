// How the stand-in misbehaves, by name: each is something a real provider, proxy or server has been seen to do.
import type { ServerResponse } from "node:http";
import { vectorOf } from "./embedding-server-vectors.ts";

/** Wrong answers of status 200: each changes the items of a right answer. */
const spoilers = {
  "wrong-count": (items: Item[]) => items.slice(1),
  "out-of-order": (items: Item[]) => items.toReversed(),
  unnumbered: (items: Item[]) => items.map(({ vector }) => ({ vector })),
  "twice-the-same-index": (items: Item[]) => items.map((item) => ({ ...item, index: 0 })),
  "wrong-dimension": (items: Item[]) =>
    items.map((item, at) => ({ ...item, vector: vectorOf(String(at), item.vector.length + 1) })),
  "zero-vector": (items: Item[]) =>
    items.map((item) => ({ ...item, vector: new Float32Array(item.vector.length) })),
  nan: (items: Item[]) => items.map((item) => ({ ...item, vector: spoilt(item.vector) })),
  /** JSON cannot say NaN: a float answer holds null instead. */
  "null-number": (items: Item[]) => items.map((item) => ({ ...item, vector: spoilt(item.vector) })),
} as const;

type Reply = { readonly status: number; readonly headers?: Record<string, string>; readonly body: unknown };

const fail = (status: number, code: string, type: string, headers: Record<string, string> = {}): Reply => ({
  status,
  headers,
  // OpenAI repeats parts of the key in this message: nobody may log it.
  body: { error: { message: `${code}: sk-secret-in-the-message`, type, param: null, code } },
});

/** Refusals: a status instead of an answer. */
const replies = {
  "rate-limited": fail(429, "rate_limit_exceeded", "requests", { "retry-after-ms": "1500" }),
  "rate-limited-seconds": fail(429, "rate_limit_exceeded", "requests", { "retry-after": "7" }),
  "rate-limited-window": fail(429, "rate_limit_exceeded", "tokens", {
    "x-ratelimit-remaining-requests": "12",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "1m2.5s",
  }),
  "rate-limited-no-hint": fail(429, "rate_limit_exceeded", "requests"),
  "quota-spent": fail(429, "insufficient_quota", "insufficient_quota"),
  denied: fail(401, "invalid_api_key", "invalid_request_error"),
  forbidden: fail(403, "unsupported_country_region_territory", "request_forbidden"),
  "model-missing": fail(404, "model_not_found", "invalid_request_error"),
  "request-timeout": fail(408, "timeout", "server_error"),
  "server-error": fail(500, "internal_error", "server_error"),
  overloaded: fail(503, "overloaded", "server_error", { "retry-after": "3" }),
  "bad-dimensions": {
    status: 400,
    body: { error: { message: "too many", type: "invalid_request_error", param: "dimensions", code: null } },
  },
  /** llama-server while its model is read. */
  "loading-model": {
    status: 503,
    body: { error: { message: "Loading model", type: "unavailable_error", code: 503 } },
  },
  html: {
    status: 200,
    headers: { "content-type": "text/html" },
    body: "<html>Welcome to the network</html>",
  },
  "html-error": {
    status: 502,
    headers: { "content-type": "text/html" },
    body: "<html>502 Bad Gateway</html>",
  },
  "html-bad-request": { status: 400, headers: { "content-type": "text/html" }, body: "<html>400</html>" },
  "not-json": { status: 200, body: '{"data": [' },
  "other-shape": { status: 200, body: { ok: true } },
} as const satisfies Record<string, Reply>;

/** Broken connections. */
const breaks = {
  /** Never answers; ended when the server closes. */
  hang: (_response: ServerResponse) => {},
  "hang-in-body": (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"data": [');
  },
  "cut-body": (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100000" });
    response.write('{"data": [', () => response.destroy());
  },
  reset: (response: ServerResponse) => response.destroy(),
} as const;

export type Item = { readonly index?: number; readonly vector: Float32Array };
export type Misbehaviour = keyof typeof spoilers | keyof typeof replies | keyof typeof breaks;

export function spoil(mode: Misbehaviour, items: Item[]): Item[] {
  return isKey(spoilers, mode) ? spoilers[mode](items) : items;
}

/** Answers instead of the server where the mode says so; false when a right answer has to be spoilt instead. */
export function misbehave(mode: Misbehaviour, response: ServerResponse): boolean {
  if (isKey(breaks, mode)) {
    breaks[mode](response);
    return true;
  }
  if (!isKey(replies, mode)) return false;
  sendReply(response, replies[mode]);
  return true;
}

export function sendReply(response: ServerResponse, reply: Reply): void {
  const body = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
  response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end(body);
}

function spoilt(vector: Float32Array): Float32Array {
  const copy = vector.slice();
  copy[Math.floor(copy.length / 2)] = Number.NaN;
  return copy;
}

function isKey<Of extends object>(table: Of, key: PropertyKey): key is keyof Of {
  return key in table;
}
