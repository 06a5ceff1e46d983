// A small HTTP server that speaks OpenAI's files and batches dialect, beside its embeddings. A batch stays in
// progress until the test says how it ends; files, batches and what was asked for can be looked at.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { asBase64, vectorOf } from "./embedding-server-vectors.ts";

type Asked = { readonly custom_id: string; readonly body: { readonly input: string } };
export type StandInBatch = {
  readonly id: string;
  readonly input_file_id: string;
  readonly metadata: Readonly<Record<string, string>>;
  status: string;
  output_file_id: string | null;
  error_file_id: string | null;
  errors: { readonly data: readonly { readonly code: string }[] } | null;
};

export type BatchServer = {
  readonly baseUrl: string;
  readonly batches: readonly StandInBatch[];
  /** Files that are there, by id. */
  readonly files: ReadonlyMap<string, string>;
  /** Texts of every batch that was started, in order. */
  readonly texts: () => readonly string[];
  /** Ends the newest batch: an answer for each text, unless `answers` leaves it out (null) or refuses it. */
  end(
    status: "completed" | "expired" | "cancelled" | "failed",
    answers?: (text: string) => "ok" | "refused" | "overloaded" | null,
  ): void;
  /** The next batch is started, and then the connection is cut before the answer. */
  cutNextAnswer(): void;
  close(): Promise<void>;
};

export async function startBatchServer({
  dimensions,
}: {
  readonly dimensions: number;
}): Promise<BatchServer> {
  const files = new Map<string, string>();
  const batches: StandInBatch[] = [];
  const texts: string[] = [];
  let cuts = false;
  const server = createServer((request, response) => {
    route(request, response).catch(() => response.destroy());
  });

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").replace(/\?.*$/, "").replace(/^\/v1/, "");
    const body = await readBody(request);
    const [, room, id, act] = path.split("/");
    const send = (value: unknown, status = 200) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    if (room === "embeddings") return send(embeddingsOf(JSON.parse(body), dimensions));
    if (room === "files" && request.method === "POST") return send(keepFile(body));
    if (room === "files" && request.method === "DELETE") return send({ id, deleted: files.delete(id ?? "") });
    if (room === "files" && act === "content") return void response.end(files.get(id ?? "") ?? "");
    if (room === "batches" && request.method === "POST" && id === undefined) {
      const batch = startBatch(JSON.parse(body));
      if (!cuts) return send(batch);
      cuts = false;
      return void response.destroy();
    }
    const batch = batches.find((one) => one.id === id);
    if (room === "batches" && id === undefined)
      return send({ object: "list", data: [...batches].reverse(), has_more: false });
    if (batch === undefined)
      return send({ error: { message: "not found", type: "invalid_request_error" } }, 404);
    if (act === "cancel") batch.status = "cancelling";
    send(batch);
  }

  function keepFile(multipart: string) {
    const content = /\r\n\r\n(\{[\s\S]*?\n)\r\n--/.exec(multipart)?.[1] ?? "";
    const id = `file-${randomUUID()}`;
    files.set(id, content);
    return { id, object: "file", purpose: "batch" };
  }

  function startBatch(given: { input_file_id: string; metadata?: Record<string, string> }): StandInBatch {
    const batch: StandInBatch = {
      id: `batch-${randomUUID()}`,
      input_file_id: given.input_file_id,
      metadata: given.metadata ?? {},
      status: "in_progress",
      output_file_id: null,
      error_file_id: null,
      errors: null,
    };
    batches.push(batch);
    texts.push(...askedIn(batch).map((one) => one.body.input));
    return batch;
  }

  const askedIn = (batch: StandInBatch): readonly Asked[] =>
    (files.get(batch.input_file_id) ?? "")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Asked); // SAFETY: written by the client under test.

  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  // SAFETY: a TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    batches,
    files,
    texts: () => texts,
    end(status, answers = () => "ok") {
      const batch = batches.at(-1);
      if (batch === undefined) throw new Error("no batch was started");
      batch.status = status;
      if (status === "failed") {
        batch.errors = { data: [{ code: "token_limit_exceeded" }] };
        return;
      }
      const lines: Record<"output" | "error", string[]> = { output: [], error: [] };
      // Answers come in any order.
      for (const asked of [...askedIn(batch)].reverse()) {
        const answer = answers(asked.body.input);
        if (answer === "ok") lines.output.push(lineOf(asked, 200, embeddingsOf(asked.body, dimensions)));
        if (answer === "refused")
          lines.error.push(
            lineOf(asked, 400, { error: { code: "invalid_input", message: "quotes the text" } }),
          );
        if (answer === "overloaded")
          lines.error.push(lineOf(asked, 500, { error: { code: "server_error" } }));
      }
      for (const kind of ["output", "error"] as const) {
        if (lines[kind].length === 0) continue;
        const id = `file-${randomUUID()}`;
        files.set(id, `${lines[kind].join("\n")}\n`);
        batch[`${kind}_file_id`] = id;
      }
    },
    cutNextAnswer() {
      cuts = true;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function embeddingsOf(body: { input: string | string[] }, dimensions: number) {
  const input = [body.input].flat();
  const data = input.map((text, index) => ({ index, embedding: asBase64(vectorOf(text, dimensions)) }));
  const tokens = input.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
  return { object: "list", data, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

const lineOf = ({ custom_id }: Asked, status_code: number, body: object) =>
  JSON.stringify({ id: randomUUID(), custom_id, response: { status_code, body }, error: null });
