// Claude by single requests. Answers are streamed, so that a long one is no silent connection; the SDK's own retries
// are off: the queue decides what is tried again, and when.
import Anthropic from "@anthropic-ai/sdk";
import type { Activity } from "../activity/activity.ts";
import type { WriterPrice } from "../config/prices.ts";
import { Failure } from "../failure/failure.ts";
import type { Analyst, Question, Reply } from "./analyst.ts";
import { failureOfRequest, isOfTheQuestion } from "./claude-failure.ts";
import { failedReply, replyOf, requestOf } from "./claude-request.ts";
import { openPace, type Pace } from "./pace.ts";
import { documentPrefix, documentQuestion, PROMPT_VERSION } from "./prompt.ts";

export type ClaudeOptions = {
  readonly apiKey: string;
  readonly baseUrl: string | null;
  readonly model: string;
  /** Requests in flight, over all calls. */
  readonly concurrency: number;
  readonly price: WriterPrice | null;
  readonly activity: Activity;
};

const ANTHROPIC_URL = "https://api.anthropic.com";
// 8,000 tokens take half a minute; one that thinks for long is given ten times that.
const TIMEOUT_MS = 300_000;

/** A client that reads nothing from the environment. Throws `analyse.denied` for a key no header can carry. */
export function openClient({ apiKey, baseUrl }: Pick<ClaudeOptions, "apiKey" | "baseUrl">): Anthropic {
  // Node repeats a header's value in its error; a key with a line break must not come so far.
  if (!/^[\x21-\x7e]+$/.test(apiKey))
    throw new Failure("analyse.denied", {
      says: "ANTHROPIC_API_KEY holds a character no key has (a space or a line break).",
    });
  return new Anthropic({
    apiKey,
    authToken: null,
    webhookKey: null,
    baseURL: baseUrl ?? ANTHROPIC_URL,
    timeout: TIMEOUT_MS,
    maxRetries: 0,
    logLevel: "off",
    openTelemetry: false,
  });
}

export const planOf = (model: string): string => `${model}/${PROMPT_VERSION}`;

export function openClaude(options: ClaudeOptions): Analyst {
  const client = openClient(options);
  const { model, price, activity } = options;
  const pace = openPace(options.concurrency);
  return {
    provider: "claude",
    model,
    plan: planOf(model),
    isPriced: price !== null,
    ask: (question, signal) =>
      pace.run(signal, async () => {
        const startedAt = performance.now();
        const durationMs = () => Math.round(performance.now() - startedAt);
        try {
          const reply = replyOf(await send(client, model, question, signal), question, price, 1);
          sayAnswered(activity, model, reply, durationMs());
          return reply;
        } catch (thrown) {
          // What we ended ourselves says nothing about the provider.
          signal.throwIfAborted();
          const failure = failureOfRequest(thrown);
          const { code } = failure;
          activity.say("analysis.failed", { provider: "claude", code, durationMs: durationMs() });
          if (isOfTheQuestion(failure)) return failedReply(code);
          throw failure;
        }
      }),
    check: (signal) => checkAccess(client, model, pace, signal),
  };
}

/** `durationMs` null: it came with a batch. */
export function sayAnswered(
  activity: Activity,
  model: string,
  { use, code, costUsd }: Reply,
  durationMs: number | null,
): void {
  activity.say("analysis.answered", {
    provider: "claude",
    model,
    code: code ?? "",
    batch: durationMs === null,
    inputTokens: use.input,
    cacheWriteTokens: use.cacheWrite,
    cacheReadTokens: use.cacheRead,
    outputTokens: use.output,
    costUsd,
    durationMs: durationMs ?? 0,
  });
}

async function send(
  client: Anthropic,
  model: string,
  question: Question,
  signal: AbortSignal,
): Promise<Anthropic.Message> {
  // Neither AbortSignal.timeout nor the SDK's limit: the one holds on to each request until the time is over, the
  // other ends at the headers.
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, TIMEOUT_MS);
  signal.addEventListener("abort", end, { once: true });
  try {
    signal.throwIfAborted();
    return await client.messages
      .stream(requestOf(model, question, "5m"), { signal: ending.signal })
      .finalMessage();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** Counting tokens is free, and is refused for all that a real request would be refused for. */
async function checkAccess(client: Anthropic, model: string, pace: Pace, signal: AbortSignal): Promise<void> {
  const canary = documentQuestion(documentPrefix(null, []), false);
  const { max_tokens: _, ...request } = requestOf(model, canary, "5m");
  await pace.run(signal, async () => {
    try {
      await client.messages.countTokens(request, { signal });
    } catch (thrown) {
      signal.throwIfAborted();
      throw failureOfRequest(thrown);
    }
  });
}
