// The RPC transport: the same functions over the Supabase API, for platforms without a Postgres connection.
// The client retries no rpc() and may answer an error without a body, a code or even JSON; so retries and
// judgement are ours, by code and status, never by message.
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { SqlCall, SqlCallOptions } from "../document/sql-call.ts";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";
import type { Database } from "./database.ts";
import { type Arguments, checkCall } from "./function-call.ts";
import { openGate } from "./gate.ts";
import { retrying } from "./retrying.ts";
import { failureFromFacts } from "./sqlstate.ts";
import { stageByCalls } from "./stage-by-calls.ts";

export type SupabaseOptions = {
  readonly url: string;
  /** Key of the service role, legacy or sb_secret_…. */
  readonly key: string;
  /** Longest wait for an answer, in seconds. The API itself ends a call after 60. */
  readonly callTimeoutSeconds?: number;
  /** How long after the start a missing function may be the API's stale schema cache, in seconds. */
  readonly schemaWaitSeconds?: number;
};

const CALL_SECONDS = 65;
const SCHEMA_WAIT_SECONDS = 60;
const SCHEMA_PAUSE_MS = 1000;
/** Secret keys are refused to anything that calls itself a browser. */
const USER_AGENT = "rag-ingestion-worker";

/** Opens without asking the server anything. Throws `config.invalid` for an address that cannot be read. */
export async function openSupabase(options: SupabaseOptions): Promise<Database> {
  const host = hostOf(options.url);
  const callMs = (options.callTimeoutSeconds ?? CALL_SECONDS) * 1000;
  const settledBy = Date.now() + (options.schemaWaitSeconds ?? SCHEMA_WAIT_SECONDS) * 1000;
  const client = createClient(options.url, options.key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { headers: { "User-Agent": USER_AGENT }, fetch: fetchPlainly },
  });
  const closing = new AbortController();
  const gate = openGate();

  const call = async (
    name: string,
    args: Arguments,
    { signal, once = false }: SqlCallOptions,
  ): Promise<unknown> => {
    const send = () => callOnce(client, name, args, callMs, signal);
    for (;;) {
      try {
        return await (once ? send() : retrying(send, signal));
      } catch (thrown) {
        const stale = thrown instanceof Failure && thrown.facts.sqlstate === "PGRST202";
        if (!stale || Date.now() + SCHEMA_PAUSE_MS > settledBy || closing.signal.aborted) throw thrown;
        await sleep(SCHEMA_PAUSE_MS, signal ? AbortSignal.any([signal, closing.signal]) : closing.signal);
      }
    }
  };

  const sqlCall: SqlCall = async (name, args, options = {}) => {
    const checked = checkCall(name, args);
    return gate.enter(() => call(name, checked, options));
  };
  return {
    transport: "supabase",
    describes: `supabase ${host}`,
    call: sqlCall,
    stageChunks: stageByCalls(sqlCall),
    close() {
      closing.abort();
      return gate.close(async () => {});
    },
  };
}

async function callOnce(
  client: SupabaseClient,
  name: string,
  args: Arguments,
  callMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), callMs);
  const stop = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
  try {
    const { data, error, status } = await client.rpc(name, args).abortSignal(stop);
    if (error === null) return data;
    signal?.throwIfAborted();
    if (limit.signal.aborted) throw new Failure("database.timeout", { facts: { limitMs: callMs } });
    throw failureFromAnswer(error, status);
  } finally {
    clearTimeout(timer);
  }
}

type Verdict = readonly [code: FailureCode, says?: string];

const byClass: Readonly<Record<number, Verdict>> = {
  2: ["database.unreachable", "SUPABASE_URL leads to something that is not a Supabase API."],
  3: ["database.unreachable", "SUPABASE_URL redirects elsewhere. Use the address it leads to."],
  5: ["database.unreachable"],
};

const byStatus: Readonly<Record<number, Verdict>> = {
  0: ["database.unreachable", "The Supabase API could not be reached (network)."],
  401: ["database.denied", "The Supabase API refused the key."],
  403: ["database.denied"],
  404: ["database.unreachable", "SUPABASE_URL leads to something that is not a Supabase API."],
  408: ["database.unreachable"],
  413: ["database.rejected", "The call was larger than a proxy in front of the API accepts."],
  425: ["database.unreachable"],
  429: ["database.unreachable", "The Supabase API asks for fewer calls."],
  504: ["database.timeout"],
  540: ["database.unreachable", "The Supabase project is paused. Restore it in the dashboard."],
};

/** `error` may be anything that a proxy put into the body; only a code in the known form counts. */
function failureFromAnswer(error: unknown, status: number): Failure {
  const known = Known.safeParse(error);
  if (known.success) return failureFromFacts({ ...known.data, status });
  const [failureCode, says] = byStatus[status] ?? byClass[Math.floor(status / 100)] ?? ["database.rejected"];
  return new Failure(failureCode, { says, facts: { status } });
}

const Known = z.object({
  code: z.string().regex(/^(PGRST\d{3}|[0-9A-Z]{5})$/),
  message: z.string().catch(""),
});

/**
 * The client takes an error whose body is empty, `null` or an array for success. So every error without a
 * JSON object gets one here, and a redirect is not followed, for a POST would arrive as a GET.
 */
async function fetchPlainly(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: "manual" });
  if (response.ok) return response;
  const body = await response.text();
  return new Response(isJsonObject(body) ? body : "{}", {
    status: response.status,
    headers: response.headers,
  });
}

function isJsonObject(body: string): boolean {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function hostOf(url: string): string {
  if (!URL.canParse(url)) throw new Failure("config.invalid", { says: "SUPABASE_URL cannot be read." });
  return new URL(url).host;
}
