import postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { postgresLines } from "../database/postgres-line.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../tests/services.ts";
import { type BusKind, closeWatched, testWakeBus, untilLive, watch } from "./contract.ts";
import { TIMES } from "./stay-connected.ts";
import { commandOf, fileFor, freePort, ownServer } from "./testing/own-server.ts";

// A name that has to be quoted.
const CHANNEL = 'Rag "jobs"; unlisten *';

const listenAt = (url: string): ReturnType<BusKind["options"]> => ({
  wakeBus: "auto",
  listenChannel: CHANNEL,
  redisUrl: null,
  natsUrl: null,
  openLine: postgresLines(url),
});

afterEach(closeWatched);

describeWith(["postgres", "pgbouncer"], "hints over LISTEN", () => {
  let database: FreshDatabase;
  let sql: postgres.Sql;
  beforeAll(async () => {
    database = await freshDatabase();
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql.end({ timeout: 5 });
    await database.drop();
  });

  testWakeBus(() => ({
    url: database.url,
    options: listenAt,
    async publish(...payloads) {
      await sql`select pg_notify(${CHANNEL}, payload) from unnest(${payloads}::text[]) payload`;
    },
  }));

  const sessions = () => sql<{ pid: number; query: string }[]>`
    select pid, query from pg_stat_activity
    where datname = current_database() and application_name = 'rag-worker'`;

  test("a session that an administrator ends is made again, and hints arrive again", async () => {
    const watched = await watch(listenAt(database.url));
    await untilLive(watched);

    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'rag-worker'`;

    await vi.waitFor(() => expect(watched.told.at(-1)).toBe("bus.regained"));
    await untilLive(watched);
    await sql`select pg_notify(${CHANNEL}, '{}')`;
    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    expect(watched.told).toEqual(["bus.connected", "bus.lost wake.unreachable", "bus.regained"]);
  });

  test("it names the channel while it listens there, and holds one session", async () => {
    const watched = await watch(listenAt(database.url));
    await untilLive(watched);

    expect(watched.bus.listens()).toBe(CHANNEL);
    await vi.waitFor(async () => expect(await sessions()).toHaveLength(1));
    await watched.bus.close();
    await vi.waitFor(async () => expect(await sessions()).toHaveLength(0));
  });

  test("a notification without a payload wakes; one on another channel does not", async () => {
    const watched = await watch(listenAt(database.url));
    await untilLive(watched);

    await sql`select pg_notify('rag_jobs', '{}'), pg_notify(${CHANNEL}, '')`;

    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    expect(watched.bus.counters().received).toBe(1);
  });

  test("behind a pooler in transaction mode it is silent, and says why", async () => {
    const { bus, told, woken } = await watch({ ...listenAt(database.pgbouncerUrl), times: TIMES });

    await vi.waitFor(() => expect(bus.state()).toBe("silent"), { timeout: 20_000 });

    expect(told).toEqual(["bus.deaf wake.deaf"]);
    expect(bus.advice()).toContain("pooler in transaction mode");
    expect(bus.listens()).toBeNull();
    await sql`select pg_notify(${CHANNEL}, '{}')`;
    expect(bus.counters().received).toBe(0);
    expect(woken).not.toHaveBeenCalled();
  });

  test("a wrong password is told without the password", async () => {
    const url = new URL(database.url);
    url.password = "hunter2";

    const { bus, told } = await watch(listenAt(url.href));

    await vi.waitFor(() => expect(told).toEqual(["bus.lost database.denied"]));
    expect(bus.advice()).not.toContain("hunter2");
  });

  test.skipIf(commandOf("pgbouncer") === null)(
    "a pooler in session mode delivers, so it is used [pgbouncer]",
    async () => {
      const url = new URL(database.url);
      const users = fileFor("pgbouncer", `"${url.username}" "${url.password}"\n`);
      const port = await freePort();
      const settings = fileFor("pgbouncer", sessionPooler(url, port, users.path));
      onTestFinished(() => {
        users.remove();
        settings.remove();
      });
      await using _pooler = await ownServer("pgbouncer", () => [settings.path], port);
      url.port = String(port);
      const watched = await watch(listenAt(url.href));

      await untilLive(watched);
      await sql`select pg_notify(${CHANNEL}, '{}')`;

      await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    },
  );
});

const sessionPooler = (server: URL, port: number, users: string) => `[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = session
`;
