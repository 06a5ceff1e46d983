// A small HTTP server that speaks Claude's Messages API, streamed, and its Message Batches, and misbehaves on request.
// It counts what it answered to the end, and what that cost by its own count.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  answerTo,
  type MessageRequest,
  PromptCache,
  picodollarsOf,
  segmentsAskedIn,
  type Usage,
} from "./claude-answers.ts";
import { type ClaudeBatches, openClaudeBatches } from "./claude-batches.ts";

export type ClaudeMisbehaviour =
  | "rate-limited"
  | "rate-limited-long"
  | "overloaded"
  | "overloaded-mid-stream"
  | "refusal"
  | "truncated"
  | "context-exceeded"
  | "bad-json"
  | "wrong-shape"
  | "html"
  | "html-200"
  | "server-error"
  | "invalid-request"
  | "no-credit"
  | "model-missing"
  | "cut-mid-stream";

export type ClaudeServer = {
  readonly baseUrl: string;
  readonly requests: readonly MessageRequest[];
  /** How often each segment was in an answer that arrived whole, by its number. */
  readonly analysed: ReadonlyMap<number, number>;
  readonly cache: PromptCache;
  readonly batches: ClaudeBatches;
  /** What it answered cost, in US dollars. */
  costUsd(): number;
  /** Usage of every answer, in order. */
  readonly usage: readonly Usage[];
  /** Most requests in flight at once. */
  most(): number;
  inFlight(): number;
  /** The next `times` requests that `which` is true of go wrong in this way. */
  misbehave(mode: ClaudeMisbehaviour, times?: number, which?: (request: MessageRequest) => boolean): void;
  /** So many requests are answered from now on; others wait until `release`, and are dropped when nobody waits any more. */
  holdAfter(answers: number): void;
  release(): void;
  changeKey(key: string): void;
  close(): Promise<void>;
};

type Trouble = { mode: ClaudeMisbehaviour; times: number; which: (request: MessageRequest) => boolean };

export async function startClaudeServer({
  apiKey = "sk-ant-test",
}: {
  readonly apiKey?: string;
} = {}): Promise<ClaudeServer> {
  let key = apiKey;
  const requests: MessageRequest[] = [];
  const usage: Usage[] = [];
  const analysed = new Map<number, number>();
  const cache = new PromptCache();
  const troubles: Trouble[] = [];
  let paid = 0;
  let flying = 0;
  let most = 0;
  let allowed = Number.POSITIVE_INFINITY;
  let gate = Promise.withResolvers<void>();

  const bill = (request: MessageRequest, used: Usage, share: 1 | 0.5) => {
    usage.push(used);
    paid += picodollarsOf(used, share);
    const range = segmentsAskedIn(request);
    if (range !== null)
      for (let at = range[0]; at <= range[1]; at += 1) analysed.set(at, (analysed.get(at) ?? 0) + 1);
  };
  const batches = openClaudeBatches({ cache, bill });

  const server = createServer((request, response) => {
    route(request, response).catch(() => response.destroy());
  });

  async function route(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (incoming.url ?? "").replace(/\?.*$/, "").replace(/^\/v1/, "");
    const body = await readBody(incoming);
    // The SDK sends its key as a bearer token since version 1; older clients and gateways in a header of its own.
    const given = incoming.headers.authorization ?? `Bearer ${incoming.headers["x-api-key"]}`;
    if (given !== `Bearer ${key}`) return sendError(response, 401, "authentication_error");
    if (path === "/messages/count_tokens") return countTokens(JSON.parse(body), response);
    if (path.startsWith("/messages/batches"))
      return batches.serve(path, incoming.method ?? "", body, response);
    if (path !== "/messages") return sendError(response, 404, "not_found_error");
    const request = JSON.parse(body) as MessageRequest; // SAFETY: written by the client under test.
    requests.push(request);
    flying += 1;
    most = Math.max(most, flying);
    response.once("close", () => {
      flying -= 1;
    });
    await answer(request, response);
  }

  function countTokens(request: MessageRequest, response: ServerResponse): void {
    const trouble = takeTrouble(request, (mode) => mode === "model-missing" || mode === "invalid-request");
    if (trouble === "model-missing") sendError(response, 404, "not_found_error");
    else if (trouble === "invalid-request") sendError(response, 400, "invalid_request_error");
    else sendJson(response, 200, { input_tokens: 12 });
  }

  function takeTrouble(request: MessageRequest, fits: (mode: ClaudeMisbehaviour) => boolean = () => true) {
    const trouble = troubles.find((one) => one.times > 0 && fits(one.mode) && one.which(request));
    if (trouble !== undefined) trouble.times -= 1;
    return trouble?.mode;
  }

  async function answer(request: MessageRequest, response: ServerResponse): Promise<void> {
    allowed -= 1;
    if (allowed < 0) await gate.promise;
    // Whoever asked has gone: nothing is written, and nothing is paid.
    if (response.destroyed || response.socket?.destroyed) return;
    const mode = takeTrouble(request);
    if (mode !== undefined && (await sendTrouble(mode, response))) return;
    const text =
      mode === "bad-json" ? '{"answer": {"of": ' : mode === "wrong-shape" ? "{}" : answerTo(request);
    const stop = mode === undefined ? "end_turn" : (stops[mode] ?? "end_turn");
    const said = stop === "end_turn" ? text : text.slice(0, 20);
    const used = cache.use(request, said);
    const isWhole = await stream(request, said, stop, used, response, mode);
    if (isWhole)
      bill(
        stop === "end_turn" && said === answerTo(request) ? request : { ...request, messages: [] },
        used,
        1,
      );
  }

  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  // SAFETY: a TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    requests,
    analysed,
    cache,
    batches,
    usage,
    costUsd: () => paid / 1e12,
    most: () => most,
    inFlight: () => flying,
    misbehave(mode, times = 1, which = () => true) {
      troubles.push({ mode, times, which });
    },
    holdAfter(answers) {
      allowed = answers;
    },
    release() {
      allowed = Number.POSITIVE_INFINITY;
      gate.resolve();
      gate = Promise.withResolvers<void>();
    },
    changeKey(next) {
      key = next;
    },
    async close() {
      gate.resolve();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const stops: Partial<Record<ClaudeMisbehaviour, string>> = {
  refusal: "refusal",
  truncated: "max_tokens",
  "context-exceeded": "model_context_window_exceeded",
};

/** Whether the request is done with. */
async function sendTrouble(mode: ClaudeMisbehaviour, response: ServerResponse): Promise<boolean> {
  const page = "<!doctype html><title>Sign in to the network</title>";
  switch (mode) {
    case "rate-limited":
      sendError(response, 429, "rate_limit_error", { "retry-after": "0.05" });
      return true;
    case "rate-limited-long":
      sendError(response, 429, "rate_limit_error", { "retry-after": "1200" });
      return true;
    case "overloaded":
      sendError(response, 529, "overloaded_error", { "retry-after-ms": "20" });
      return true;
    case "server-error":
      sendError(response, 500, "api_error");
      return true;
    case "invalid-request":
      sendError(response, 400, "invalid_request_error");
      return true;
    case "no-credit":
      sendError(response, 402, "billing_error");
      return true;
    case "model-missing":
      sendError(response, 404, "not_found_error");
      return true;
    case "html":
      response.writeHead(502, { "content-type": "text/html" }).end(page);
      return true;
    case "html-200":
      response.writeHead(200, { "content-type": "text/html" }).end(page);
      return true;
    default:
      return false;
  }
}

/** As server-sent events. Whether all of it arrived. */
async function stream(
  request: MessageRequest,
  text: string,
  stop: string,
  usage: Usage,
  response: ServerResponse,
  mode: ClaudeMisbehaviour | undefined,
): Promise<boolean> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const say = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  const message = {
    id: `msg_${randomUUID()}`,
    type: "message",
    role: "assistant",
    model: request.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    usage: { ...usage, output_tokens: 1 },
  };
  say("message_start", { message });
  // A model that thinks does so first; none of it is shown.
  say("content_block_start", { index: 0, content_block: { type: "thinking", thinking: "", signature: "" } });
  say("content_block_stop", { index: 0 });
  say("content_block_start", { index: 1, content_block: { type: "text", text: "", citations: null } });
  const half = Math.ceil(text.length / 2);
  say("content_block_delta", { index: 1, delta: { type: "text_delta", text: text.slice(0, half) } });
  if (mode === "overloaded-mid-stream") {
    say("error", { error: { type: "overloaded_error", message: "Overloaded" } });
    response.end();
    return false;
  }
  if (mode === "cut-mid-stream") {
    response.destroy();
    return false;
  }
  say("ping", {});
  say("content_block_delta", { index: 1, delta: { type: "text_delta", text: text.slice(half) } });
  say("content_block_stop", { index: 1 });
  const delta = { stop_reason: stop, stop_sequence: null, stop_details: null };
  say("message_delta", { delta, usage: { ...usage } });
  say("message_stop", {});
  response.end();
  await once(response, "close");
  return response.writableFinished;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function sendJson(response: ServerResponse, status: number, value: unknown, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, status: number, type: string, headers = {}): void {
  const error = { type, message: "It quotes the prompt: secret words of the document." };
  sendJson(response, status, { type: "error", error, request_id: "req_1" }, headers);
}
