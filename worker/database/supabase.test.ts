import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../tests/services.ts";
import { type Misbehaviour, type PostgrestStandIn, startPostgrest } from "../tests/stand-ins/postgrest.ts";
import type { Database } from "./database.ts";
import { openPostgresSession } from "./postgres-session.ts";
import { openSupabase } from "./supabase.ts";

const FUNCTIONS = `
  create table public.rag_test_notes (note text primary key, times integer not null default 1);
  grant all on public.rag_test_notes to service_role;
  create function public.rag_test_note(p_note text) returns text language sql as $$
    insert into public.rag_test_notes (note) values (p_note)
      on conflict (note) do update set times = rag_test_notes.times + 1;
    select 'noted' $$;
  create function public.rag_test_twin(p_a integer) returns text language sql as $$ select 'integer' $$;
  create function public.rag_test_twin(p_a text) returns text language sql as $$ select 'text' $$;`;

const failure = async (call: Promise<unknown>): Promise<Failure> => {
  const thrown = await call.catch((reason: unknown) => reason);
  if (!(thrown instanceof Failure)) throw new Error(`not a Failure: ${String(thrown)}`);
  return thrown;
};

describeWith(["postgres", "pgbouncer"], "the Supabase transport", () => {
  let fresh: FreshDatabase;
  let api: PostgrestStandIn;
  let database: Database;

  beforeAll(async () => {
    fresh = await freshDatabase();
    const session = await openPostgresSession({ url: fresh.url });
    await session.script(FUNCTIONS);
    await session.close();
  });
  beforeEach(async () => {
    api = await startPostgrest(fresh.url);
    database = await openSupabase({
      url: api.url,
      key: api.key,
      callTimeoutSeconds: 1,
      schemaWaitSeconds: 5,
    });
    return async () => {
      await database.close();
      await api.close();
    };
  });
  afterAll(() => fresh.drop());

  const note = (text: string) => database.call("rag_test_note", { p_note: text });

  test.each<Misbehaviour>([
    "html-502",
    "html-200",
    "empty-404",
    "null-500",
    "unavailable-503",
    "cut-before",
  ])("gets over one answer that is %s", async (kind) => {
    api.misbehaveNext(kind);

    expect(await note(kind)).toBe("noted");
    expect(api.calls).toHaveLength(2);
  });

  test("sends a call again whose answer was cut after it was executed", async () => {
    api.misbehaveNext("cut-after");

    expect(await note("cut")).toBe("noted");
    expect(api.calls).toHaveLength(2);
  });

  test.each<[Misbehaviour, Failure["code"], number]>([
    ["html-502", "database.unreachable", 4],
    ["empty-404", "database.unreachable", 4],
    ["redirect-301", "database.unreachable", 4],
    ["empty-401", "database.denied", 1],
    ["silent", "database.timeout", 1],
  ])("gives up on %s with %s after %i", async (kind, code, times) => {
    api.misbehaveNext(...Array.from({ length: 8 }, () => kind));

    const thrown = await failure(note("never"));

    expect([thrown.code, api.calls.length]).toStrictEqual([code, times]);
  });

  test("takes a missing function for a stale schema cache soon after the start", async () => {
    api.misbehaveNext("stale-schema", "stale-schema");

    expect(await note("stale")).toBe("noted");
  });

  test("takes a missing function for a missing migration later on", async () => {
    const patient = await openSupabase({ url: api.url, key: api.key, schemaWaitSeconds: 0 });

    expect((await failure(patient.call("rag_test_nowhere", {}))).code).toBe("database.not-migrated");
    expect(api.calls).toHaveLength(1);
    await patient.close();
  });

  test("stops waiting for the schema cache when it is closed", async () => {
    const call = failure(database.call("rag_test_nowhere", {}));
    await database.close();

    expect((await call).code).toBe("database.not-migrated");
  });

  test("names an overloaded function as our fault, not as an outage", async () => {
    expect((await failure(database.call("rag_test_twin", { p_a: "1" }))).code).toBe("database.rejected");
    expect(api.calls).toHaveLength(1);
  });

  test("names a wrong key, and repeats it nowhere", async () => {
    const stranger = await openSupabase({ url: api.url, key: "wrong-secret-key" });

    const thrown = await failure(stranger.call("rag_test_note", { p_note: "x" }));

    expect(thrown.code).toBe("database.denied");
    expect(JSON.stringify([thrown.message, thrown.facts, String(thrown.cause)])).not.toContain(
      "wrong-secret-key",
    );
    await stranger.close();
  });

  test("names a server that is not there", async () => {
    await api.close();

    expect((await failure(note("nobody"))).code).toBe("database.unreachable");
  });

  test("does not call itself a browser, for which secret keys are refused", async () => {
    await note("agent");

    expect(api.lastAgent()).toBe("rag-ingestion-worker");
  });

  test("ends with the signal's reason while the server is silent", async () => {
    api.misbehaveNext("silent");
    const stop = new AbortController();
    const call = database.call("rag_test_note", { p_note: "stopped" }, { signal: stop.signal });
    const reason = new Failure("worker.stopping");

    stop.abort(reason);

    await expect(call).rejects.toBe(reason);
  });

  test("refuses calls after it was closed, and closes twice", async () => {
    await database.close();
    await database.close();

    expect((await failure(note("late"))).code).toBe("worker.stopping");
  });
});

test("an address that cannot be read is a wrong setting", async () => {
  const thrown = await failure(openSupabase({ url: "not an address", key: "k" }));

  expect(thrown.code).toBe("config.invalid");
});
