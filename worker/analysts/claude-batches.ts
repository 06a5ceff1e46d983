// Claude's Message Batches: many requests, answers within a day in any order, at half the price; kept for 29 days.
// Source: https://platform.claude.com/docs/en/build-with-claude/batch-processing
// Nothing is remembered here: who calls keeps the ids. A batch carries no name of ours, but each of its requests does.
import type Anthropic from "@anthropic-ai/sdk";
import { APIError } from "@anthropic-ai/sdk";
import { MESSAGE_BATCH_SHARE } from "../config/prices.ts";
import type { Question, Reply } from "./analyst.ts";
import { type ClaudeOptions, openClient } from "./claude.ts";
import { failureOfRequest } from "./claude-failure.ts";
import { failedReply, replyOf, requestOf } from "./claude-request.ts";

export type BatchQuestion = { readonly id: string; readonly question: Question };

export type StartedBatch = {
  readonly id: string;
  readonly inputs: number;
  readonly isEnded: boolean;
  /** Milliseconds ago, by the provider's clock and ours. */
  readonly ageMs: number;
};

export type MessageBatchApi = {
  /** Answers the provider's id. */
  submit(questions: readonly BatchQuestion[]): Promise<string>;
  /** The account's newest batches, whoever started them. */
  newest(): Promise<readonly StartedBatch[]>;
  isEnded(id: string): Promise<boolean>;
  /** What came back, of which only the id is known to be one of ours; `message` null where it was not processed. */
  results(id: string): AsyncIterable<BatchAnswer>;
  reply(answer: BatchAnswer, question: Question): Reply | null;
  cancel(id: string): Promise<void>;
  /** The provider keeps prompts and answers for 29 days otherwise; never throws. */
  forget(id: string): Promise<void>;
};

export type BatchAnswer = {
  readonly customId: string;
  readonly result: Anthropic.Messages.MessageBatchResult;
};

const NEWEST = 100;

/** Every call throws Failure `analyse.*`. */
export function openMessageBatches(
  options: Omit<ClaudeOptions, "concurrency" | "activity">,
): MessageBatchApi {
  const client = openClient(options);
  const { model, price } = options;
  const asked = async <Value>(ask: () => Promise<Value>): Promise<Value> => {
    try {
      return await ask();
    } catch (thrown) {
      throw failureOfRequest(thrown);
    }
  };
  return {
    submit: (questions) =>
      asked(async () => {
        const requests = questions.map(({ id, question }) => ({
          custom_id: id,
          params: requestOf(model, question, "1h"),
        }));
        return (await client.messages.batches.create({ requests })).id;
      }),
    newest: () =>
      asked(async () => {
        const { data } = await client.messages.batches.list({ limit: NEWEST });
        return data.map((batch) => ({
          id: batch.id,
          inputs: Object.values(batch.request_counts).reduce((sum, count) => sum + count, 0),
          isEnded: batch.processing_status === "ended",
          ageMs: Date.now() - Date.parse(batch.created_at),
        }));
      }),
    isEnded: (id) =>
      asked(async () => (await client.messages.batches.retrieve(id)).processing_status === "ended"),
    async *results(id) {
      const lines = await asked(() => client.messages.batches.results(id));
      try {
        for await (const line of lines) yield { customId: line.custom_id, result: line.result };
      } catch (thrown) {
        throw failureOfRequest(thrown);
      }
    },
    reply({ result }, question) {
      if (result.type === "succeeded") return replyOf(result.message, question, price, MESSAGE_BATCH_SHARE);
      // The request's own fault; anything else (expired, cancelled, 5xx) is tried again.
      const isOwnFault = result.type === "errored" && result.error.error.type === "invalid_request_error";
      return isOwnFault ? failedReply("analyse.input-rejected") : null;
    },
    cancel: (id) =>
      asked(async () => {
        try {
          await client.messages.batches.cancel(id);
        } catch (thrown) {
          // It has ended in the meantime.
          if (!(thrown instanceof APIError && (thrown.status === 409 || thrown.status === 400))) throw thrown;
        }
      }),
    async forget(id) {
      await client.messages.batches.delete(id).catch(() => {});
    },
  };
}
