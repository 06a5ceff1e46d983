// One question as Claude's API takes it, and its message as a reply. Used for single requests and for those of a batch.
import type Anthropic from "@anthropic-ai/sdk";
import type { WriterPrice } from "../config/prices.ts";
import { NO_TOKENS, type TokenUse } from "../document/analysis.ts";
import type { FailureCode } from "../failure/catalogue.ts";
import type { Question, Reply } from "./analyst.ts";
import { answerFormat, readAnswer } from "./answer-shape.ts";
import { SYSTEM } from "./prompt.ts";

/** How long the provider is asked to keep a prefix: a batch takes longer than the usual five minutes. */
export type Keep = "5m" | "1h";

/**
 * The document stands before the only mark for the cache, so that everything up to there is the same for every question.
 * No tools: a document can cause nothing but words. Thinking is left to the model, with little effort.
 */
export function requestOf(
  model: string,
  { prefix, suffix, shared, maxTokens }: Question,
  keep: Keep,
): Anthropic.MessageCreateParamsNonStreaming {
  const cached = { cache_control: { type: "ephemeral" as const, ttl: keep } };
  return {
    model,
    max_tokens: maxTokens,
    system: SYSTEM,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: prefix, ...(shared && cached) },
          { type: "text", text: suffix },
        ],
      },
    ],
    output_config: { format: answerFormat, effort: "low" },
  };
}

/** `share`: of the price, 1 for a single request. A price that nobody knows costs nothing here. */
export function replyOf(
  message: Pick<Anthropic.Message, "content" | "stop_reason" | "usage">,
  question: Question,
  price: WriterPrice | null,
  share: number,
): Reply {
  const use = useOf(message.usage);
  const costUsd = price === null ? 0 : costOf(message.usage, price) * share;
  const code = stopCode(message.stop_reason);
  if (code !== null) return { said: null, code, use, costUsd };
  const text = message.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  const said = readAnswer(text, question);
  return { said, code: said === null ? "analyse.bad-answer" : null, use, costUsd };
}

export const failedReply = (code: FailureCode): Reply => ({ said: null, code, use: NO_TOKENS, costUsd: 0 });

function stopCode(reason: Anthropic.StopReason | null): FailureCode | null {
  if (reason === "refusal") return "analyse.refused";
  if (reason === "max_tokens") return "analyse.truncated";
  if (reason === "model_context_window_exceeded") return "analyse.too-long";
  return null;
}

const useOf = (usage: Anthropic.Usage): TokenUse => ({
  input: usage.input_tokens,
  cacheWrite: usage.cache_creation_input_tokens ?? 0,
  cacheRead: usage.cache_read_input_tokens ?? 0,
  output: usage.output_tokens,
});

/** In US dollars, by what the provider itself counted. */
export function costOf(usage: Anthropic.Usage, price: WriterPrice): number {
  const { input, cacheWrite, cacheRead, output } = useOf(usage);
  const hour = Math.min(usage.cache_creation?.ephemeral_1h_input_tokens ?? 0, cacheWrite);
  const read =
    input +
    (cacheWrite - hour) * price.cacheWrite +
    hour * price.cacheWriteHour +
    cacheRead * price.cacheRead;
  const isAbove = price.step !== null && input + cacheWrite + cacheRead > price.step.above;
  const times = isAbove ? (price.step?.times ?? 1) : 1;
  return ((read * price.input + output * price.output) * times) / 1_000_000;
}
