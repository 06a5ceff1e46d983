// A provider of fixed latency that shares no event loop with who measures: a real one does not wait until the
// bench has looked at the worker's memory.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { z } from "zod";
import type { EmbeddingServerOptions } from "../../worker/tests/stand-ins/embedding-server.ts";

export type Provider = {
  readonly baseUrl: string;
  seen(): Promise<{ readonly requests: number; readonly texts: number }>;
  close(): Promise<void>;
};

const Seen = z.object({ requests: z.number(), texts: z.number() });
const Started = z.object({ baseUrl: z.string() });

/** Throws when the process ends before it listens. */
export async function startProvider(options: EmbeddingServerOptions): Promise<Provider> {
  const child = fork(new URL("./ingest-provider-child.ts", import.meta.url), [JSON.stringify(options)]);
  const { baseUrl } = Started.parse(await nextMessage(child));
  return {
    baseUrl,
    async seen() {
      child.send("seen");
      return Seen.parse(await nextMessage(child));
    },
    async close() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const waited = new AbortController();
  const { signal } = waited;
  const ended = once(child, "exit", { signal }).then(() => {
    throw new Error("The stand-in provider ended.");
  });
  try {
    const [message] = await Promise.race([once(child, "message", { signal }), ended]);
    return message;
  } finally {
    ended.catch(() => {});
    waited.abort();
  }
}
