// What the stand-in for Claude says, and what that costs by its own count: answers made from the request alone, a cache
// that keeps prefixes, and money in whole picodollars, so that sums have no rounding.
import { createHash } from "node:crypto";

type TextBlock = {
  readonly type: "text";
  readonly text: string;
  readonly cache_control?: { readonly type: string; readonly ttl?: "5m" | "1h" };
};
export type MessageRequest = {
  readonly model: string;
  readonly max_tokens: number;
  readonly system: string;
  readonly stream?: boolean;
  readonly tools?: unknown;
  readonly messages: readonly { readonly role: string; readonly content: readonly TextBlock[] }[];
  readonly output_config: { readonly format: { readonly type: string; readonly schema: unknown } };
};

export type Usage = {
  readonly input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly output_tokens: number;
  readonly cache_creation: {
    readonly ephemeral_5m_input_tokens: number;
    readonly ephemeral_1h_input_tokens: number;
  };
};

/** Which segments a request asks about; null when it asks about the whole. */
export function segmentsAskedIn(request: MessageRequest): readonly [number, number] | null {
  const suffix = suffixOf(request);
  const range = /describe segments? \[(-?\d+)\](?: to \[(-?\d+)\])?/.exec(suffix);
  return range === null ? null : [Number(range[1]), Number(range[2] ?? range[1])];
}

export const prefixOf = (request: MessageRequest): string => request.messages[0]?.content[0]?.text ?? "";
export const suffixOf = (request: MessageRequest): string => request.messages[0]?.content[1]?.text ?? "";

/** As the shape that was asked for has it. */
export function answerTo(request: MessageRequest): string {
  const range = segmentsAskedIn(request);
  const code = createHash("sha256").update(prefixOf(request)).digest("hex").slice(0, 6);
  if (range === null)
    return JSON.stringify({
      answer: {
        of: "document",
        title: `Title ${code}`,
        summary: "All of it in one sentence.",
        language: "en",
        topics: ["billing", "refunds"],
      },
    });
  const lines = Number(/write exactly (\d+) lines/.exec(suffixOf(request))?.[1] ?? 0);
  const speakers = [
    ...new Set([...prefixOf(request).matchAll(/^\[\d+\] ([^:\n]{1,40}):/gm)].map(([, name]) => name)),
  ];
  return JSON.stringify({
    answer: {
      of: "group",
      summary: `Segments ${range[0]} to ${range[1]} in short.`,
      topics: ["billing", `topic ${range[0]}`],
      entities: [{ name: "Ada Lovelace", type: "person" }],
      key_points: [`Point of ${range[0]}.`],
      questions: [`What do ${range[0]} to ${range[1]} say?`],
      conversation:
        speakers.length === 0
          ? null
          : {
              decisions: ["Refund the order."],
              action_items: [{ task: "Send the form", owner: speakers[0], due: null }],
              sentiment: speakers.map((speaker) => ({ speaker, sentiment: "neutral", reason: "Calm." })),
            },
      chunk_contexts: Array.from({ length: lines }, (_, at) => `Zanzibar context ${range[0]}-${at}.`),
    },
  });
}

const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4);
// Haiku's, in picodollars a token.
const PICO = { input: 100_000, write5m: 125_000, write1h: 200_000, read: 10_000, output: 500_000 };
const SMALLEST_CACHED = 512;

/** Keeps prefixes as the provider does: whatever stands up to the mark, byte for byte, of at least 512 tokens. */
export class PromptCache {
  readonly #kept = new Set<string>();
  /** Nothing is ever found: as when a prefix differs in a byte. */
  broken = false;

  use(request: MessageRequest, answer: string): Usage {
    const [prefix, suffix] = request.messages[0]?.content ?? [];
    const schema = JSON.stringify(request.output_config.format.schema);
    const kept = request.system + schema + (prefix?.text ?? "");
    const tokens = tokensOf(kept);
    const isMarked = prefix?.cache_control !== undefined && tokens >= SMALLEST_CACHED;
    const isFound = isMarked && !this.broken && this.#kept.has(kept);
    if (isMarked) this.#kept.add(kept);
    const written = isMarked && !isFound ? tokens : 0;
    const isHour = prefix?.cache_control?.ttl === "1h";
    return {
      input_tokens: tokensOf(suffix?.text ?? "") + (isMarked ? 0 : tokens),
      cache_creation_input_tokens: written,
      cache_read_input_tokens: isFound ? tokens : 0,
      output_tokens: tokensOf(answer),
      cache_creation: {
        ephemeral_5m_input_tokens: isHour ? 0 : written,
        ephemeral_1h_input_tokens: isHour ? written : 0,
      },
    };
  }
}

export const picodollarsOf = (usage: Usage, share: 1 | 0.5): number =>
  share *
  (usage.input_tokens * PICO.input +
    usage.cache_creation.ephemeral_5m_input_tokens * PICO.write5m +
    usage.cache_creation.ephemeral_1h_input_tokens * PICO.write1h +
    usage.cache_read_input_tokens * PICO.read +
    usage.output_tokens * PICO.output);
