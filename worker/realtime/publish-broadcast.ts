// Events out on Supabase Realtime: broadcast to private topics over its HTTP endpoint, for browsers that hold a
// channel of their own. Who may listen to a topic is said by policies on realtime.messages
// (supabase/recipes/realtime_topics.sql). The endpoint takes many messages in one request.
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { backoffMs } from "../timing/backoff.ts";
import { sleep, within } from "../timing/durations.ts";
import type { LinkNews } from "./link-news.ts";
import { type Outgoing, openOutbox } from "./outbox.ts";
import type { Publisher } from "./publisher.ts";

export type BroadcastAccess = {
  /** SUPABASE_URL. */
  readonly url: string;
  /** Key of the service role, legacy or sb_secret_…. */
  readonly key: string;
  /** Other than usual, for tests. */
  readonly again?: { readonly firstMs: number; readonly mostMs: number };
};

const MOST_IN_REQUEST = 50;
// Between two requests: what is said meanwhile shares the next one.
const GATHER_MS = 250;
const ANSWER_MS = 5000;
const AGAIN = { firstMs: 1000, mostMs: 30_000 };
const FLUSH_MS = 1000;

export function publishToSupabase(access: BroadcastAccess, news: LinkNews): Publisher {
  const closing = new AbortController();
  let sending: Promise<void> | null = null;
  let refused = 0;
  const outbox = openOutbox(() => send());

  const send = () => {
    sending ??= sendAll().finally(() => {
      sending = null;
      if (outbox.size() > 0 && !closing.signal.aborted) send();
    });
  };
  const sendAll = async () => {
    await sleep(
      refused === 0 ? GATHER_MS : backoffMs(refused, access.again ?? AGAIN) + GATHER_MS,
      closing.signal,
    );
    const events = outbox.take(MOST_IN_REQUEST);
    try {
      await broadcast(access, events);
      refused = 0;
      news.connected();
    } catch (thrown) {
      refused += 1;
      const failure = failureFromUnknown(thrown);
      news.failed(failure);
      // A message that is refused as it is would be refused for ever.
      if (failure.kind !== "permanent") outbox.putBack(events);
    }
  };
  return {
    publish: outbox.put,
    dropped: outbox.dropped,
    async close() {
      closing.abort();
      const rest = async () => {
        await sending;
        while (outbox.size() > 0) await broadcast(access, outbox.take(MOST_IN_REQUEST));
      };
      await within(FLUSH_MS, rest());
    },
  };
}

/** Throws `realtime.unreachable`, `realtime.denied` or `realtime.refused`. */
async function broadcast({ url, key }: BroadcastAccess, events: readonly Outgoing[]): Promise<void> {
  const messages = events.flatMap(({ user_id, type, payload, jobId }) =>
    [`rag:user:${user_id}`, `rag:job:${jobId}`].map((topic) => ({
      topic,
      event: type,
      payload: { user_id, type, payload },
      private: true,
    })),
  );
  const answer = await fetch(`${url.replace(/\/+$/, "")}/realtime/v1/api/broadcast`, {
    method: "POST",
    headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ messages }),
    redirect: "error",
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((thrown: unknown) => {
    throw new Failure("realtime.unreachable", { cause: thrown });
  });
  await answer.body?.cancel();
  if (answer.ok) return;
  const facts = { status: answer.status };
  if (answer.status === 401 || answer.status === 403) throw new Failure("realtime.denied", { facts });
  const passes = answer.status === 429 || answer.status === 408 || answer.status >= 500;
  throw new Failure(passes ? "realtime.unreachable" : "realtime.refused", { facts });
}
