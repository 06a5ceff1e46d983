// Messages over a real NATS server of the test's own, killed and started again in mid-flow, into a real database.
import { rm } from "node:fs/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { type Leg, openLeg } from "../tests/contracts/open-databases.ts";
import { describeWith } from "../tests/services.ts";
import { type OwnServer, ownServer } from "../wake-buses/testing/own-server.ts";
import { ADVISORY_SUBJECT, type NatsMessages, openNatsMessages } from "./nats-messages.ts";

const QUICK = { connectMs: 3000, probeMs: 1000, answerMs: 1000, againMs: () => 50 };
const PATIENCE = { timeout: 30_000, interval: 50 };
vi.setConfig({ testTimeout: 90_000 });

const ways = [
  ["with JetStream", true],
  ["without JetStream", false],
] as const;

for (const [title, streams] of ways) {
  describeWith(["postgres", "pgbouncer", "nats"], `messages over NATS ${title}`, () => {
    let leg: Leg;
    let folder: string;
    let server: OwnServer;
    let sender: NatsConnection;
    const opened: NatsMessages[] = [];

    beforeAll(async () => {
      leg = await openLeg("postgres");
    });
    afterAll(() => leg?.close());
    beforeEach(async () => {
      // Below /tmp, which the server sees wherever it runs.
      folder = `/tmp/rag-jetstream-${process.pid}-${Math.random().toString(36).slice(2)}`;
      server = await ownServer("nats-server", (port) => [
        ...["--addr", "127.0.0.1", "--port", String(port)],
        ...(streams ? ["--jetstream", "--store_dir", folder] : []),
      ]);
      sender = await connect({ port: server.port, reconnectTimeWait: 100, maxReconnectAttempts: -1 });
      for (const table of ["rag_ingestion_queue", "rag_documents", "rag_dead_letters"])
        await leg.sql.query(`delete from public.${table}`);
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((one) => one.close()));
      await sender.close();
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    });

    async function open(call: SqlCall = leg.database.call, wake: (jobId: string) => void = () => {}) {
      const activity = openActivity();
      const said: string[] = [];
      activity.listen((name) => void said.push(name));
      const url = `nats://127.0.0.1:${server.port}`;
      const messages = openNatsMessages({
        url,
        call,
        activity,
        wake,
        streams: true,
        times: QUICK,
        ackWaitMs: 2000,
      });
      opened.push(messages);
      await vi.waitFor(() => expect(said).toContain("ingress.connected"), PATIENCE);
      return { messages, said };
    }
    const task = (id: string, content = `Task ${id}`, message_id = `m-${id}`) =>
      JSON.stringify({ message_id, source: "test", data: { entity_id: id, entity_type: "task", content } });
    const publish = (subject: string, payload: string) =>
      streams
        ? jetstream(sender).publish(subject, payload)
        : sender.request(subject, payload, { timeout: 10_000 });
    const jobs = () =>
      leg.sql.query(
        "select kind, status, document_id, dedupe_key from public.rag_ingestion_queue order by kind, dedupe_key",
      );
    const letters = () =>
      leg.sql.query(
        "select id, way, subject, message_id, code, payload from public.rag_dead_letters order by code",
      );

    test("one message of an entity gives a job that indexes it and one that relates it", async () => {
      const woken: string[] = [];
      await open(undefined, (jobId) => void woken.push(jobId));

      await publish("mcp.task.created", task("1"));

      await vi.waitFor(async () => expect(await jobs()).toHaveLength(2), PATIENCE);
      const [index, relate] = await jobs();
      expect([index?.kind, relate?.kind]).toEqual(["document", "relationships"]);
      expect(index?.document_id).toBe(relate?.document_id);
      const documents = await leg.sql.query("select external_id, collection, kind from public.rag_documents");
      expect(documents).toEqual([{ external_id: "1", collection: "kanban_tasks", kind: "entity" }]);
      await vi.waitFor(() => expect(woken.length).toBeGreaterThan(0));
    });

    test("a request for a sync gives a job of that kind", async () => {
      await open();

      await publish(
        "data.sync.request",
        JSON.stringify({ message_id: "s1", data: { sync_type: "incremental_sync", entity_ids: ["task:1"] } }),
      );

      await vi.waitFor(
        async () => expect((await jobs()).map(({ kind }) => kind)).toEqual(["sync"]),
        PATIENCE,
      );
    });

    test("a message that comes twice, and to two replicas, is one job", async () => {
      await open();
      await open();

      for (let times = 0; times < 3; times += 1) await publish("vector.index.request", task("1"));
      await publish("vector.index.request", task("2"));

      await vi.waitFor(async () => expect(await jobs()).toHaveLength(2), PATIENCE);
      expect((await jobs()).map(({ dedupe_key }) => dedupe_key)).toEqual(["m-1:document", "m-2:document"]);
    });

    test("what cannot be a job is buried, said, and does not keep the next one waiting", async () => {
      const advised: Record<string, unknown>[] = [];
      sender.subscribe(ADVISORY_SUBJECT, {
        callback: (_, message) => void advised.push(message.json<Record<string, unknown>>()),
      });
      await sender.flush();
      await open();

      for (const poison of ["{", "[]", task("", "no id"), JSON.stringify({ message_id: "m", data: {} })])
        await publish("vector.index.request", poison);
      await publish("vector.index.request", task("good"));

      await vi.waitFor(async () => expect(await letters()).toHaveLength(4), PATIENCE);
      await vi.waitFor(() => expect(advised).toHaveLength(4), PATIENCE);
      await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), PATIENCE);
      const buried = await letters();
      expect(new Set(buried.map(({ code }) => code))).toEqual(new Set(["ingress.malformed"]));
      expect(advised.map(({ id }) => id).toSorted()).toEqual(buried.map(({ id }) => id).toSorted());
    });

    test("a user id that is SQL is a user id", async () => {
      await open();
      const evil = "'; drop table public.rag_documents; --";

      await publish(
        "vector.index.request",
        JSON.stringify({
          message_id: "m",
          data: { entity_id: evil, entity_type: "task", content: "x", user_id: evil, metadata: { a: evil } },
        }),
      );

      await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), PATIENCE);
      const [document] = await leg.sql.query("select user_id, external_id from public.rag_documents");
      expect(document).toEqual({ user_id: evil, external_id: evil });
    });

    test("a message whose database is away waits, and is one job when it is back", async () => {
      let isAway = true;
      let asked = 0;
      const call: SqlCall = async (name, args) => {
        asked += 1;
        if (isAway) throw new Failure("database.unreachable");
        return await leg.database.call(name, args);
      };
      await open(call);

      const sent = publish("vector.index.request", task("1"));
      sent.catch(() => {});
      await vi.waitFor(() => expect(asked).toBeGreaterThan(0), PATIENCE);
      isAway = false;

      await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), PATIENCE);
      expect(await letters()).toEqual([]);
    });

    test("messages that are under way when we stop become jobs, or are somebody else's", async () => {
      const { messages } = await open();
      const count = 100;
      const sent = Array.from({ length: count }, (_, one) =>
        publish("vector.index.request", task(String(one))),
      );
      const answers = Promise.allSettled(sent);
      await vi.waitFor(async () => expect((await jobs()).length).toBeGreaterThan(0), PATIENCE);

      await Promise.all([messages.close(), messages.close(), open()]);

      await answers;
      // Without a stream nobody keeps what was never asked for: those requests were refused, and are sent again.
      if (!streams)
        for (let one = 0; one < count; one += 1) await publish("vector.index.request", task(String(one)));
      await vi.waitFor(async () => expect(await jobs()).toHaveLength(count), PATIENCE);
    });

    if (streams) {
      test("a server that is killed in mid-flow loses nothing that it has accepted, and doubles nothing", async () => {
        const { said } = await open();
        const accepted = new Set<string>();
        let killed = false;
        const count = 300;
        for (let one = 0; one < count; one += 1) {
          const id = String(one);
          await publish(one % 2 === 0 ? "mcp.task.created" : "vector.index.request", task(id)).then(
            () => accepted.add(id),
            () => {},
          );
          if (one === 100 && !killed) {
            killed = true;
            await server.kill();
            await server.start();
            await vi.waitFor(() => expect(sender.isClosed()).toBe(false));
          }
        }

        await vi.waitFor(async () => {
          const indexed = (await jobs()).filter(({ kind }) => kind === "document");
          expect(indexed.length).toBeGreaterThanOrEqual(accepted.size);
        }, PATIENCE);
        const keys = (await jobs()).map(({ dedupe_key }) => String(dedupe_key));
        expect(new Set(keys).size).toBe(keys.length);
        for (const id of accepted) expect(keys).toContain(`m-${id}:document`);
        expect(accepted.size).toBeGreaterThan(count / 2);
        expect(said).toContain("ingress.regained");
        expect(await letters()).toEqual([]);
      });

      test("messages of a time without any worker are taken when one comes", async () => {
        const { messages } = await open();
        await messages.close();
        for (let one = 0; one < 10; one += 1) await publish("vector.index.request", task(String(one)));

        await open();

        await vi.waitFor(async () => expect(await jobs()).toHaveLength(10), PATIENCE);
      });

      test("a stream of somebody else's that keeps our subjects is used as it is", async () => {
        const manager = await jetstreamManager(sender);
        await manager.streams.add({ name: "theirs", subjects: ["vector.>", "mcp.>"] });
        await open();

        await publish("mcp.task.created", task("1"));

        await vi.waitFor(async () => expect(await jobs()).toHaveLength(2), PATIENCE);
        const ours = await manager.streams.info("rag_messages");
        expect(ours.config.subjects?.toSorted()).toEqual([
          "data.sync.request",
          "data.validate.request",
          "relationship.analyze.request",
        ]);
      });

      test("a part of a subject that is in another stream is listened to without one", async () => {
        const manager = await jetstreamManager(sender);
        await manager.streams.add({ name: "theirs", subjects: ["mcp.task.created"] });
        await open();

        await publish("mcp.task.created", task("1"));
        sender.publish("vector.index.request", task("2"));

        await vi.waitFor(async () => expect(await jobs()).toHaveLength(3), PATIENCE);
      });
    } else {
      test("whoever asks is answered when the job is committed, or told why there is none", async () => {
        await open();

        const good = (await sender.request("vector.index.request", task("1"))).json();
        const bad = (await sender.request("vector.index.request", "{")).json();

        const [job] = await leg.sql.query("select id, document_id from public.rag_ingestion_queue");
        expect(good).toEqual({ state: "accepted", job_id: job?.id, document_id: job?.document_id });
        expect(bad).toMatchObject({ error: { code: "ingress.malformed" } });
      });

      test("with more held than there is room for, the next member of the group gets them", async () => {
        const away: SqlCall = async () => {
          throw new Failure("database.unreachable");
        };
        await open(away);
        for (let one = 0; one < 300; one += 1) sender.publish("vector.index.request", task(`held-${one}`));
        await sender.flush();
        await vi.waitFor(
          () =>
            expect(sender.request("vector.index.request", task("refused"), { timeout: 200 })).rejects.toThrow(
              /responders/,
            ),
          PATIENCE,
        );

        await open();
        await sender.request("vector.index.request", task("taken"), { timeout: 5000 });

        expect((await jobs()).map(({ dedupe_key }) => dedupe_key)).toContain("m-taken:document");
      });
    }
  });
}

test("an address that cannot be read is a matter of the configuration", () => {
  const activity = openActivity();
  const call: SqlCall = async () => null;
  expect(() =>
    openNatsMessages({ url: "nats://user%:word@host", call, activity, wake: () => {}, streams: true }),
  ).toThrow(/NATS_URL/);
});
