// A small HTTP server that speaks OpenAI's embeddings dialect, and llama-server's, and misbehaves on request.
// For tests and benches: vectors are made from a hash of the text, latency is what you ask for, everything is counted.
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { type Limiter, openLimiter, type RateLimit } from "./embedding-server-limit.ts";
import {
  type Item,
  type Misbehaviour,
  misbehave,
  sendReply,
  spoil,
} from "./embedding-server-misbehaviour.ts";
import { asBase64, vectorOf } from "./embedding-server-vectors.ts";

export type { Misbehaviour } from "./embedding-server-misbehaviour.ts";

export type EmbeddingServerOptions = {
  /** llama-server: /health, /props, its model list; `dimensions` ignored; HTTP 500 for long inputs. */
  readonly dialect?: "openai" | "llama-server";
  readonly dimensions?: number;
  /** What llama-server says it serves. */
  readonly model?: string;
  /** llama-server says that its vocabulary is that of uncased BERT models. Default true. */
  readonly bert?: boolean;
  /** When set, any other key is refused with 401. */
  readonly apiKey?: string;
  /** A provider's round trip is about 25 ms and 0.2 ms an input. */
  readonly latencyMs?: number;
  readonly latencyPerInputMs?: number;
  /** A request with a text that contains this is refused as a whole with 400, as OpenAI does. */
  readonly poison?: string;
  /** Instead of refusing it, the server goes wrong in this way whenever a text contains `poison`. */
  readonly poisonMode?: Misbehaviour;
  /** Requests above it are refused with 429. */
  readonly limit?: RateLimit;
  /** A request with a text of more words is refused as a whole: 400, or llama-server's 500. */
  readonly maxWords?: number;
  /** Answers arrays of numbers although base64 was asked for, as many other servers do. */
  readonly floatsOnly?: boolean;
  /** 0 picks a free one. */
  readonly port?: number;
};

export type EmbeddingServer = {
  /** `http://127.0.0.1:PORT`, as LLAMA_SERVER_URL wants it. */
  readonly url: string;
  /** The same with `/v1`, as OPENAI_BASE_URL wants it. */
  readonly baseUrl: string;
  /** What came in, refused requests included. */
  readonly seen: { requests: number; texts: number; readonly distinct: Set<string>; most: number };
  /** Texts of answers that were right. */
  readonly embedded: ReadonlySet<string>;
  readonly limiter: Limiter | null;
  /** From now on another key is right. */
  changeKey(apiKey: string): void;
  /** Body of the last embeddings request. */
  lastBody(): Readonly<Record<string, unknown>> | null;
  lastHeaders(): IncomingHttpHeaders | null;
  /** Resolves when the next embeddings request has arrived. */
  nextRequest(): Promise<void>;
  /** The next `times` requests (default: all from now on) go wrong in this way; "well" ends it. */
  misbehave(mode: Misbehaviour | "well", times?: number): void;
  /** Changes what llama-server says it serves, as a restart with another model would. */
  serveModel(model: string): void;
  close(): Promise<void>;
};

type Body = { input: string[]; model: string; encoding_format?: string; dimensions?: number };
type Served = {
  model: string;
  apiKey: string | undefined;
  mode: Misbehaviour | "well";
  times: number;
  last: { readonly body: Body; readonly headers: IncomingHttpHeaders } | null;
};

export async function startEmbeddingServer(options: EmbeddingServerOptions = {}): Promise<EmbeddingServer> {
  const served: Served = {
    model: options.model ?? "stand-in",
    apiKey: options.apiKey,
    mode: "well",
    times: 0,
    last: null,
  };
  const limiter = options.limit === undefined ? null : openLimiter(options.limit);
  const embedded = new Set<string>();
  const arrivals = new EventEmitter();
  const seen = { requests: 0, texts: 0, distinct: new Set<string>(), inFlight: 0, most: 0 };
  const server = createServer((request, response) => {
    route(request, response).catch(() => response.destroy());
  });

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").replace(/\?.*$/, "");
    if (request.method !== "POST" || !path.endsWith("/embeddings"))
      return describeServer(path, request, response);
    seen.inFlight += 1;
    seen.most = Math.max(seen.most, seen.inFlight);
    response.once("close", () => {
      seen.inFlight -= 1;
    });
    await embeddings(request, response);
  }

  function describeServer(path: string, request: IncomingMessage, response: ServerResponse): void {
    const { mode, apiKey } = served;
    const asleep = mode === "loading-model" || mode === "hang";
    if (asleep && misbehave(mode, response)) return;
    const pages: Record<string, unknown> =
      options.dialect === "llama-server" ? llamaPages(served.model, options) : {};
    // With --api-key the pages of health and models stay open to everybody.
    const isRefused =
      path === "/props" && apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`;
    if (isRefused) sendReply(response, { status: 401, body: { error: { message: "Invalid API Key" } } });
    else sendReply(response, path in pages ? { status: 200, body: pages[path] } : notFound);
  }

  async function embeddings(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const body = await readJson(request);
    served.last = { body, headers: request.headers };
    seen.requests += 1;
    seen.texts += body.input.length;
    for (const text of body.input) seen.distinct.add(text);
    const poisoned = isPoisoned(body, options);
    const mode = poisoned ? (options.poisonMode ?? takeMode(served)) : takeMode(served);
    arrivals.emit("request");
    const admitted = limiter?.admit(countWords(body)) ?? { refused: false, headers: {} };
    const refusal = admitted.refused ? tooFast : refuse(body, request.headers.authorization, served, options);
    const reply = {
      ...(refusal ?? { status: 200, body: answer(body, mode, options) }),
      headers: admitted.headers,
    };
    if (refusal === null && mode === "well") for (const text of body.input) embedded.add(text);
    // What we compute ourselves is part of the latency asked for, not an addition to it.
    const latencyMs = (options.latencyMs ?? 0) + (options.latencyPerInputMs ?? 0) * body.input.length;
    await after(Math.max(0, latencyMs - (performance.now() - startedAt)));
    if (mode !== "well" && misbehave(mode, response)) return;
    sendReply(response, reply);
  }

  await new Promise<void>((listening) => server.listen(options.port ?? 0, "127.0.0.1", listening));
  // SAFETY: a TCP server that listens has an AddressInfo.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    baseUrl: `${url}/v1`,
    seen,
    embedded,
    limiter,
    changeKey(apiKey) {
      served.apiKey = apiKey;
    },
    lastBody: () => served.last?.body ?? null,
    lastHeaders: () => served.last?.headers ?? null,
    async nextRequest() {
      await once(arrivals, "request");
    },
    misbehave(mode, times = Number.POSITIVE_INFINITY) {
      served.mode = mode;
      served.times = times;
    },
    serveModel(model) {
      served.model = model;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections(); // After close(), or one that came in between would keep it open.
      await closed;
    },
  };
}

const notFound = {
  status: 404,
  body: { error: { message: "not found", type: "not_found_error", code: 404 } },
};

const tooFast = {
  status: 429,
  body: {
    error: { message: "Rate limit reached", type: "requests", param: null, code: "rate_limit_exceeded" },
  },
};

const isPoisoned = (body: Body, { poison }: EmbeddingServerOptions) =>
  poison !== undefined && body.input.some((text) => text.includes(poison));

const countWords = (body: Body) => body.input.reduce((sum, text) => sum + text.split(/\s+/).length, 0);

function takeMode(served: Served): Misbehaviour | "well" {
  if (served.mode === "well") return "well";
  const { mode } = served;
  served.times -= 1;
  if (served.times <= 0) served.mode = "well";
  return mode;
}

async function readJson(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const body = JSON.parse(Buffer.concat(parts).toString("utf8")) as Body; // SAFETY: our own clients wrote it.
  return { ...body, input: [body.input].flat() };
}

function refuse(
  body: Body,
  authorization: string | undefined,
  served: Served,
  options: EmbeddingServerOptions,
) {
  const error = (status: number, message: string, type: string) => ({
    status,
    body: { error: { message, type, param: null, code: null } },
  });
  if (served.apiKey !== undefined && authorization !== `Bearer ${served.apiKey}`)
    return error(401, `Incorrect API key provided: ${authorization}`, "invalid_request_error");
  const { maxWords = Number.POSITIVE_INFINITY } = options;
  if (isPoisoned(body, options) && options.poisonMode === undefined)
    return error(400, "'$.input' is invalid", "invalid_request_error");
  const words = Math.max(...body.input.map((text) => text.split(/\s+/).length));
  if (words <= maxWords) return null;
  if (options.dialect !== "llama-server")
    return error(
      400,
      `maximum context length is ${maxWords} tokens, you requested ${words}`,
      "invalid_request_error",
    );
  const grow = `increase the physical batch size (current batch size: ${maxWords})`;
  return error(500, `input (${words} tokens) is too large to process. ${grow}`, "server_error");
}

function answer(body: Body, mode: Misbehaviour | "well", options: EmbeddingServerOptions) {
  const own = options.dimensions ?? 1536;
  const dimensions = options.dialect === "llama-server" ? own : (body.dimensions ?? own);
  const right: Item[] = body.input.map((text, index) => ({ index, vector: vectorOf(text, dimensions) }));
  const items = mode === "well" ? right : spoilWhatIsBad(mode, right, body, options);
  const floats = body.encoding_format !== "base64" || options.floatsOnly === true || mode === "null-number";
  const tokens = countWords(body);
  return {
    object: "list",
    data: items.map(({ index, vector }) => ({
      object: "embedding",
      index,
      embedding: floats ? [...vector] : asBase64(vector),
    })),
    model: body.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** Everything; where a poison is what makes it go wrong, its own vector alone if the mode is about vectors. */
function spoilWhatIsBad(
  mode: Misbehaviour,
  right: Item[],
  body: Body,
  options: EmbeddingServerOptions,
): Item[] {
  const spoilt = spoil(mode, right);
  const { poison, poisonMode } = options;
  if (poison === undefined || poisonMode !== mode || spoilt.length !== right.length) return spoilt;
  return right.map((item, at) => (body.input[at]?.includes(poison) ? (spoilt[at] ?? item) : item));
}

function llamaPages(model: string, options: EmbeddingServerOptions): Record<string, unknown> {
  const context = options.maxWords ?? 512;
  const meta = {
    vocab_type: options.bert === false ? 4 : 3,
    n_vocab: 30522,
    n_ctx_train: 512,
    n_embd: options.dimensions ?? 1536,
  };
  return {
    "/health": { status: "ok" },
    "/props": { default_generation_settings: { n_ctx: context }, total_slots: 1, model_path: model },
    "/v1/models": { object: "list", data: [{ id: model, object: "model", owned_by: "llamacpp", meta }] },
  };
}
