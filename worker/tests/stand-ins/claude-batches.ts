// The Message Batches of the stand-in for Claude. A batch stays in progress until the test ends it.
import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { answerTo, type MessageRequest, type PromptCache, type Usage } from "./claude-answers.ts";

type Asked = { readonly custom_id: string; readonly params: MessageRequest };
export type StandInMessageBatch = {
  readonly id: string;
  readonly asked: readonly Asked[];
  readonly createdAt: string;
  state: "in_progress" | "canceling" | "ended";
  readonly results: string[];
};

/** How one request of a batch ends; null leaves it out, as a batch that expired does. */
export type BatchEnd = "succeeded" | "refusal" | "bad-json" | "invalid" | "overloaded" | "expired" | null;

export type ClaudeBatches = {
  readonly all: readonly StandInMessageBatch[];
  /** Ends the newest batch, with its answers in another order than it was asked in. */
  end(how?: (request: MessageRequest, at: number) => BatchEnd): void;
  /** The next batch is started, and its answer never comes. */
  swallowNextAnswer(): void;
  serve(path: string, method: string, body: string, response: ServerResponse): void;
};

export function openClaudeBatches({
  cache,
  bill,
}: {
  readonly cache: PromptCache;
  readonly bill: (request: MessageRequest, usage: Usage, share: 0.5) => void;
}): ClaudeBatches {
  const all: StandInMessageBatch[] = [];
  let swallows = false;

  function start(body: string): StandInMessageBatch {
    const { requests } = JSON.parse(body) as { requests: readonly Asked[] }; // SAFETY: the client's under test.
    const createdAt = new Date().toISOString();
    const batch: StandInMessageBatch = {
      id: `msgbatch_${randomUUID()}`,
      asked: requests,
      createdAt,
      state: "in_progress",
      results: [],
    };
    all.push(batch);
    return batch;
  }

  function resultOf({ custom_id, params }: Asked, how: Exclude<BatchEnd, null>): string {
    const line = (result: object) => JSON.stringify({ custom_id, result });
    const failed = (type: string) =>
      line({ type: "errored", error: { type: "error", error: { type, message: "quotes the prompt" } } });
    if (how === "expired") return line({ type: "expired" });
    if (how === "invalid") return failed("invalid_request_error");
    if (how === "overloaded") return failed("overloaded_error");
    const text = how === "bad-json" ? "{" : how === "refusal" ? "" : answerTo(params);
    const usage = cache.use(params, text);
    bill(how === "succeeded" ? params : { ...params, messages: [] }, usage, 0.5);
    const message = {
      id: `msg_${randomUUID()}`,
      type: "message",
      role: "assistant",
      model: params.model,
      content: text === "" ? [] : [{ type: "text", text, citations: null }],
      stop_reason: how === "refusal" ? "refusal" : "end_turn",
      stop_sequence: null,
      usage,
    };
    return line({ type: "succeeded", message });
  }

  return {
    all,
    end(how = () => "succeeded") {
      const batch = all.findLast(({ state }) => state !== "ended");
      if (batch === undefined) throw new Error("no batch is open");
      for (const [at, asked] of batch.asked.entries()) {
        const end = how(asked.params, at);
        if (end !== null) batch.results.unshift(resultOf(asked, end));
      }
      batch.state = "ended";
    },
    swallowNextAnswer() {
      swallows = true;
    },
    serve(path, method, body, response) {
      const [, , , id, act] = path.split("/");
      const send = (value: unknown, status = 200) =>
        void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
      if (id === undefined && method === "POST") {
        const batch = start(body);
        // Until whoever asked is gone.
        if (!swallows) return send(described(batch));
        swallows = false;
        return;
      }
      if (id === undefined)
        return send({
          data: [...all].reverse().map(described),
          has_more: false,
          first_id: null,
          last_id: null,
        });
      const batch = all.find((one) => one.id === id);
      if (batch === undefined)
        return send({ type: "error", error: { type: "not_found_error", message: "no" } }, 404);
      if (act === "results")
        return void response
          .writeHead(200, { "content-type": "application/x-jsonl" })
          .end(batch.results.map((line) => `${line}\n`).join(""));
      if (act === "cancel") batch.state = "canceling";
      if (method === "DELETE") {
        batch.results.splice(0);
        return send({ id, type: "message_batch_deleted" });
      }
      send(described(batch));
    },
  };
}

function described({ id, asked, createdAt, state }: StandInMessageBatch) {
  return {
    id,
    type: "message_batch",
    processing_status: state,
    request_counts: {
      processing: state === "ended" ? 0 : asked.length,
      succeeded: state === "ended" ? asked.length : 0,
      errored: 0,
      canceled: 0,
      expired: 0,
    },
    created_at: createdAt,
    ended_at: state === "ended" ? createdAt : null,
    expires_at: createdAt,
    archived_at: null,
    cancel_initiated_at: null,
    results_url: state !== "ended" ? null : `/v1/messages/batches/${id}/results`,
  };
}
