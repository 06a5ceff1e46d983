import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../tests/services.ts";
import { openPostgres } from "./postgres.ts";
import { openPostgresSession } from "./postgres-session.ts";
import type { OpenSqlSession } from "./sql-session.ts";

const failure = async (call: Promise<unknown>): Promise<Failure> => {
  const thrown = await call.catch((reason: unknown) => reason);
  if (!(thrown instanceof Failure)) throw new Error(`not a Failure: ${String(thrown)}`);
  return thrown;
};

/** A server that does to each connection what it is told; answers its port and how many came. */
async function serverThat(act: (socket: Socket) => void): Promise<{ port: number; visits: () => number }> {
  let visits = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    visits += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    act(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, visits: () => visits };
}

const databaseAt = async (url: string, more: { callTimeoutSeconds?: number; poolMax?: number } = {}) => {
  const database = await openPostgres({ url, poolMax: 2, poolTimeoutSeconds: 1, ...more });
  onTestFinished(() => database.close());
  return database;
};

test("a server that hangs up without a word is unreachable, and not asked without end", async () => {
  const server = await serverThat((socket) => socket.end());
  const database = await databaseAt(`postgres://u:p@127.0.0.1:${server.port}/d`);

  expect((await failure(database.call("rag_reap", {}))).code).toBe("database.unreachable");
  expect(server.visits()).toBe(4);
});

test("a server that accepts and never answers is unreachable once the wait is over", async () => {
  const server = await serverThat(() => {});
  const database = await databaseAt(`postgres://u:p@127.0.0.1:${server.port}/d`);

  expect((await failure(database.call("rag_reap", {}))).code).toBe("database.unreachable");
  expect(server.visits()).toBe(1);
});

test("a server that is back again is used again by every connection of the pool", async () => {
  const down = await serverThat((socket) => socket.end());
  const database = await databaseAt(`postgres://u:p@127.0.0.1:${down.port}/d`);
  await Promise.all([1, 2, 3, 4].map(() => failure(database.call("rag_reap", {}))));

  const before = down.visits();
  await Promise.all([1, 2].map(() => failure(database.call("rag_reap", {}))));

  expect(down.visits()).toBeGreaterThan(before);
});

test.each([
  ["postgres://u:hunter2@127.0.0.1:1/d", "database.unreachable"],
  ["postgres://u:hunter2@no-such-host.invalid/d", "database.unreachable"],
])("%s is unreachable, and the password is in no message", async (url, code) => {
  const thrown = await failure((await databaseAt(url)).call("rag_reap", {}));

  expect(thrown.code).toBe(code);
  expect(JSON.stringify([thrown.message, thrown.facts, String(thrown.cause)])).not.toContain("hunter2");
});

describeWith(["postgres", "pgbouncer"], "the Postgres transport", () => {
  let fresh: FreshDatabase;
  let sql: OpenSqlSession;

  beforeAll(async () => {
    fresh = await freshDatabase();
    sql = await openPostgresSession({ url: fresh.url });
    await sql.script(`
      create function public.rag_test_nap(p_seconds double precision) returns text language sql as $$
        select pg_sleep(p_seconds); select 'rested' $$;
      create function public.rag_test_ping() returns text language sql as $$ select 'pong' $$;
      create function public.rag_test_changing(p_a integer) returns text language sql as $$ select 'old' $$;`);
  });
  afterAll(async () => {
    await sql.close();
    await fresh.drop();
  });

  test("a wrong password and an unknown database are denied, not tried again", async () => {
    const wrong = new URL(fresh.url);
    wrong.password = "hunter2";
    const elsewhere = new URL(fresh.url);
    elsewhere.pathname = "/no_such_database";

    const refused = await failure((await databaseAt(wrong.href)).call("rag_test_ping", {}));
    const unknown = await failure((await databaseAt(elsewhere.href)).call("rag_test_ping", {}));

    expect([refused.code, unknown.code]).toStrictEqual(["database.denied", "database.denied"]);
    expect(JSON.stringify([refused.message, refused.facts, String(refused.cause)])).not.toContain("hunter2");
  });

  test("parameters that other tools put into the address do no harm", async () => {
    const database = await databaseAt(
      `${fresh.pgbouncerUrl}?pgbouncer=true&connection_limit=1&schema=public`,
    );

    expect(await database.call("rag_test_ping", {})).toBe("pong");
  });

  test("a call leaves nothing behind for the pooler's next client", async () => {
    const database = await databaseAt(fresh.pgbouncerUrl, { callTimeoutSeconds: 7 });
    const pooled = await openPostgresSession({ url: fresh.pgbouncerUrl });

    expect(await database.call("rag_test_ping", {})).toBe("pong");
    expect(await pooled.query("show statement_timeout")).toMatchObject([{ statement_timeout: "0" }]);
    await pooled.close();
  });

  test("who finds no free connection in time is told so, and who waits is served in turn", async () => {
    const database = await databaseAt(fresh.url, { poolMax: 1 });
    const napping = database.call("rag_test_nap", { p_seconds: 1.5 });
    await vi.waitFor(async () =>
      expect(
        await sql.query(
          "select 1 from pg_stat_activity where query ~ 'rag_test_nap' and state = 'active' and pid <> pg_backend_pid()",
        ),
      ).toHaveLength(1),
    );

    const late = await failure(database.call("rag_test_ping", {}));

    expect(late.message).toBe("No database connection became free within 1 s.");
    expect(await napping).toBe("rested");
    expect(await database.call("rag_test_ping", {})).toBe("pong");
  });

  test("a signal ends the wait for a connection", async () => {
    const database = await databaseAt(fresh.url, { poolMax: 1 });
    const napping = database.call("rag_test_nap", { p_seconds: 0.5 });
    const stop = new AbortController();
    const waiting = database.call("rag_test_ping", {}, { signal: stop.signal });
    const reason = new Failure("worker.stopping");

    stop.abort(reason);

    await expect(waiting).rejects.toBe(reason);
    expect(await napping).toBe("rested");
  });

  test("a statement that runs too long is cancelled, once", async () => {
    const database = await databaseAt(fresh.url, { callTimeoutSeconds: 1 });

    expect((await failure(database.call("rag_test_nap", { p_seconds: 30 }))).code).toBe("database.timeout");
    expect(await database.call("rag_test_ping", {})).toBe("pong");
  });

  test("a function whose arguments changed is looked up again", async () => {
    const database = await databaseAt(fresh.url);
    expect(await database.call("rag_test_changing", { p_a: 1 })).toBe("old");
    await sql.script(`drop function public.rag_test_changing;
      create function public.rag_test_changing(p_b text[]) returns text language sql as $$ select p_b[1] $$;`);

    const first = await failure(database.call("rag_test_changing", { p_b: ["new"] }));

    expect(first.code).toBe("database.not-migrated");
    expect(await database.call("rag_test_changing", { p_b: ["new"] })).toBe("new");
  });

  test("close waits for the call under way and refuses the next", async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 2, poolTimeoutSeconds: 5 });
    const napping = database.call("rag_test_nap", { p_seconds: 0.3 });

    const closing = database.close();

    expect((await failure(database.call("rag_test_ping", {}))).code).toBe("worker.stopping");
    expect(await napping).toBe("rested");
    await closing;
    await database.close();
  });

  test.each([
    ["a call", "rag_test_ping"],
    ["the first look at what functions there are", "pg_proc"],
  ])("a network that goes dead in the middle of %s does not hold it for ever", async (_what, sent) => {
    const target = new URL(fresh.url);
    const there = { port: Number(target.port), host: target.hostname };
    let dead = false;
    let armed = sent === "pg_proc";
    const proxy = await serverThat((socket) => {
      const upstream = connect(there);
      upstream.on("error", () => {});
      socket.on("data", (data) => {
        if (armed && data.includes(sent)) dead = true;
        if (!dead) upstream.write(data);
      });
      upstream.on("data", (data) => dead || socket.write(data));
      socket.on("close", () => upstream.destroy());
    });
    target.port = String(proxy.port);
    target.hostname = "127.0.0.1";
    const database = await databaseAt(target.href, { callTimeoutSeconds: 1 });
    if (!armed) await database.call("rag_test_ping", {});
    armed = true;

    const stuck = await failure(database.call("rag_test_ping", {}));
    armed = false;
    dead = false;

    expect(stuck.code).toBe("database.timeout");
    expect(await database.call("rag_test_ping", {})).toBe("pong");
  });

  test("TLS works over our own socket, and verifies when asked to", async () => {
    const { key, cert, path } = certificate();
    const target = new URL(fresh.url);
    const there = { port: Number(target.port), host: target.hostname };
    const proxy = await serverThat((socket) =>
      socket.once("data", () => {
        socket.write("S");
        const secured = new TLSSocket(socket, { isServer: true, key, cert });
        const upstream = connect(there);
        secured.on("error", () => upstream.destroy());
        upstream.on("error", () => secured.destroy());
        secured.pipe(upstream).pipe(secured);
      }),
    );
    target.port = String(proxy.port);
    target.hostname = "localhost";
    const pingAt = async (query: string) =>
      (await databaseAt(`${target.href}?${query}`)).call("rag_test_ping", {});

    expect(await pingAt("sslmode=require")).toBe("pong");
    expect(await pingAt(`sslmode=verify-full&sslrootcert=${path}`)).toBe("pong");
    expect((await failure(pingAt("sslmode=verify-full"))).code).toBe("database.denied");
  });
});

function certificate(): { key: string; cert: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), "rag-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [keyPath, path] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", keyPath, "-out", path].concat([
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
    ]),
    { stdio: "ignore" },
  );
  return { key: readFileSync(keyPath, "utf8"), cert: readFileSync(path, "utf8"), path };
}
