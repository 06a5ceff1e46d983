import { afterEach, expect, test, vi } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { closeWorlds, openWorld } from "../testing/open-world.ts";
import { awayProvider } from "../testing/some-pacing.ts";
import type { Message } from "./channels.ts";
import { watchAlerts } from "./watch-alerts.ts";

afterEach(closeWorlds);

const due = [{ name: "provider", state: "firing", says: "away", since: null }];
const limits = { jobSeconds: 300, queueSeconds: 900, budgetUsd: null };

async function watch(
  send: (message: Message) => Promise<void>,
  answers: unknown[] = [due],
  { everyMs = 5, startsFor = 0 } = {},
) {
  let looks = 0;
  const calls: { name: string; args: Readonly<Record<string, unknown>> }[] = [];
  const call: SqlCall = async (name, args) => {
    calls.push({ name, args });
    return name === "rag_watch_alerts" ? (answers.shift() ?? []) : null;
  };
  const embedder = () => Promise.reject(new Error("nobody embeds here"));
  const world = await openWorld({
    searchable: { database: { call }, embedder },
    worker: { pacing: awayProvider },
  });
  const { someState } = await import("../testing/some-figures.ts");
  const lines: string[] = [];
  const { openLog } = await import("../../log/log.ts");
  const { Writable } = await import("node:stream");
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const watching = watchAlerts({
    call,
    log: openLog({ level: "info", terminal: false, secrets: [], destination }),
    state: () => {
      looks += 1;
      return { ...someState, pacing: awayProvider, ...(looks <= startsFor && { workerId: "" }) };
    },
    channels: [{ name: "slack", send }],
    limits,
    publicUrl: "https://rag.example.com",
    everyMs,
  });
  return { ...world, watching, calls, logged: () => lines.join("") };
}

test("what is due is sent with a link and confirmed, with what this replica sees of its provider", async () => {
  const sent: Message[] = [];
  const { watching, calls } = await watch(async (message) => void sent.push(message));

  await vi.waitFor(() => expect(calls.map(({ name }) => name)).toContain("rag_confirm_alerts"));
  await watching.stop();

  expect(sent).toEqual([
    { notices: [{ name: "provider", state: "firing", says: "away" }], link: "https://rag.example.com/" },
  ]);
  expect(calls[0]?.args).toMatchObject({
    p_worker: "host/1",
    p_seen: [{ name: "provider", says: expect.stringContaining("embed.circuit-open") }],
    p_limits: { job_seconds: 300, queue_seconds: 900, budget_usd: null },
  });
  expect(calls.find(({ name }) => name === "rag_confirm_alerts")?.args.p_sent).toBe(true);
});

test("what was not taken is told to the database and the log, and the watch goes on", async () => {
  const { watching, calls, logged } = await watch(() => Promise.reject(new Error("answered 500")));

  await vi.waitFor(() =>
    expect(calls.filter(({ name }) => name === "rag_watch_alerts").length).toBeGreaterThan(2),
  );
  await watching.stop();

  expect(calls.find(({ name }) => name === "rag_confirm_alerts")?.args.p_sent).toBe(false);
  expect(logged()).toContain("alert not sent");
});

test("a receiver that hangs holds up neither the pages nor the end", async () => {
  let asked = 0;
  const { watching, ask } = await watch(() => {
    asked += 1;
    return new Promise(() => {});
  });
  await vi.waitFor(() => expect(asked).toBe(1));

  expect((await ask("/live")).status).toBe(200);
  await watching.stop();
});

test("the first look follows on the start, for what fails before it is told to nobody", async () => {
  const { watching, calls } = await watch(async () => {}, [due], { everyMs: 3_600_000, startsFor: 1 });

  await vi.waitFor(() => expect(calls.map(({ name }) => name)).toContain("rag_confirm_alerts"), {
    timeout: 10_000,
  });
  await watching.stop();
});

test("a database that fails is a line in the log, and the watch goes on", async () => {
  const { watching, calls, logged } = await watch(async () => {}, ["no list", due]);

  await vi.waitFor(() => expect(calls.map(({ name }) => name)).toContain("rag_confirm_alerts"));
  await watching.stop();

  expect(logged()).toContain("alerts could not be watched");
});
