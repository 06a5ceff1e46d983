import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { type EmbeddedDatabase, type EmbeddedOptions, openEmbedded } from "./embedded.ts";
import { claimFolder } from "./embedded-lock.ts";
import { startTimeOf } from "./process-start.ts";

const CHILD = fileURLToPath(new URL("./embedded-child.ts", import.meta.url));
const TEST_FUNCTIONS = `
  create table public.rag_test_rows (n integer primary key, who text);
  create function public.rag_test_put(p_n integer, p_who text) returns text language sql as $$
    insert into public.rag_test_rows values (p_n, p_who) on conflict do nothing; select 'put' $$;
  create function public.rag_test_numbers() returns jsonb language sql as $$
    select coalesce(jsonb_agg(n order by n), '[]') from public.rag_test_rows $$;`;

let home: string;
let options: { readonly migrationsFolder: string; readonly templateFolder: string };
let dir: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "rag-embedded-"));
  const migrationsFolder = join(home, "migrations");
  mkdirSync(migrationsFolder);
  writeFileSync(join(migrationsFolder, "20260101000000_test.sql"), TEST_FUNCTIONS);
  options = { migrationsFolder, templateFolder: join(home, "templates") };
});
beforeEach(async () => {
  dir = await mkdtemp(join(home, "d-"));
});
afterAll(() => rm(home, { recursive: true }));

const open = async (more: Partial<EmbeddedOptions> = {}): Promise<EmbeddedDatabase> => {
  const database = await openEmbedded({ dir, ...options, ...more });
  onTestFinished(() => database.close());
  return database;
};
const numbersIn = async (database: EmbeddedDatabase) =>
  (await database.call("rag_test_numbers", {})) as number[];
const put = (database: EmbeddedDatabase, n: number) =>
  database.call("rag_test_put", { p_n: n, p_who: "test" });
const folder = () => join(dir, "database");
const lockFiles = () => readdirSync(folder()).filter((name) => name.startsWith("owner-"));

type Child = {
  readonly process: ChildProcess;
  readonly acknowledged: number[];
  readonly written: Promise<void>;
};

/** A real second process on the same folder; open when this returns. */
async function startChild(): Promise<Child> {
  const child = fork(CHILD, [dir, options.templateFolder], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  const acknowledged: number[] = [];
  const { promise: written, resolve } = Promise.withResolvers<void>();
  const opened = new Promise<void>((ready, fail) => {
    child.once("exit", (code, signal) => fail(new Error(`the child ended (${code ?? signal})`)));
    child.on("message", (message: Record<string, unknown>) => {
      if ("opened" in message) ready();
      if (typeof message.acknowledged === "number") acknowledged.push(message.acknowledged);
      if ("written" in message) resolve();
    });
  });
  await opened;
  return { process: child, acknowledged, written };
}

async function kill(child: Child): Promise<void> {
  const gone = once(child.process, "exit");
  child.process.kill("SIGKILL");
  await gone;
}

/** The migrations of the product, since a child opens the folder with them. */
async function prepared(): Promise<EmbeddedDatabase> {
  const { migrationsFolder: _, ...product } = options;
  const database = await openEmbedded({ dir, ...product });
  onTestFinished(() => database.close());
  await database.session.script(TEST_FUNCTIONS);
  return database;
}

test("two processes that open one folder at the same moment lose no row", async () => {
  await (await prepared()).close();
  const [one, two] = await Promise.all([startChild(), startChild()]);

  one.process.send({ write: { from: 0, count: 40, who: "one" } });
  two.process.send({ write: { from: 1000, count: 40, who: "two" } });
  await Promise.all([one.written, two.written]);

  const third = await openEmbedded({ dir, templateFolder: options.templateFolder });
  onTestFinished(() => third.close());
  expect(await numbersIn(third)).toHaveLength(80);
});

test("when its owner is killed in mid-write, the client takes over and nothing acknowledged is lost", async () => {
  await (await prepared()).close();
  const owner = await startChild();
  const client = await openEmbedded({ dir, templateFolder: options.templateFolder });
  onTestFinished(() => client.close());
  const acknowledged: number[] = [];

  owner.process.send({ write: { from: 1000, count: 10_000, who: "owner" } });
  for (let n = 0; n < 60; n += 1) {
    if (n === 30) await kill(owner);
    await put(client, n);
    acknowledged.push(n);
  }

  const there = new Set(await numbersIn(client));
  expect(owner.acknowledged.length).toBeGreaterThan(0);
  expect([...owner.acknowledged, ...acknowledged].filter((n) => !there.has(n))).toStrictEqual([]);
});

test("a client that is killed in mid-write leaves the owner at work", async () => {
  const owner = await prepared();
  const client = await startChild();
  client.process.send({ write: { from: 1000, count: 10_000, who: "client" } });
  await vi.waitFor(() => expect(client.acknowledged.length).toBeGreaterThan(5));

  await kill(client);
  await put(owner, 1);

  const there = new Set(await numbersIn(owner));
  expect([1, ...client.acknowledged].filter((n) => !there.has(n))).toStrictEqual([]);
});

test("when the owner closes in order, a client goes on as the owner", async () => {
  const owner = await open();
  const client = await open();
  await put(client, 1);

  await owner.close();
  await put(client, 2);

  expect(await numbersIn(client)).toStrictEqual([1, 2]);
});

test("calls that are under way when the owner closes are answered, each once", async () => {
  const owner = await open();
  const client = await open();

  const calls = Array.from({ length: 50 }, (_, n) => put(client, n));
  await owner.close();

  expect(await Promise.all(calls)).toHaveLength(50);
  expect(await numbersIn(client)).toHaveLength(50);
});

test("five that open at once agree on one owner", async () => {
  const all = await Promise.all([1, 2, 3, 4, 5].map(() => open()));

  await Promise.all(all.map((database, n) => put(database, n)));

  expect(lockFiles()).toHaveLength(1);
  expect(await numbersIn(await open())).toStrictEqual([0, 1, 2, 3, 4]);
});

test("an owner that is stopped and does not answer is a clear failure, and the folder stays its own", async () => {
  await (await prepared()).close();
  const owner = await startChild();
  owner.process.kill("SIGSTOP");

  const opening = openEmbedded({ dir, templateFolder: options.templateFolder, patienceSeconds: 1 });

  await expect(opening).rejects.toMatchObject({ code: "database.locked" });
  owner.process.kill("SIGCONT");
  owner.process.send({ write: { from: 1, count: 1, who: "owner" } });
  await owner.written;
});

const lockName = (pid: number, started: string, machine?: string) => {
  const own = machine ?? lockMachine;
  return join(folder(), `owner-${own}-${pid}-${started}-0123456789abcdef.json`);
};
let lockMachine: string;
beforeAll(async () => {
  const probe = await mkdtemp(join(home, "probe-"));
  const claim = await claimFolder(probe);
  lockMachine = readdirSync(probe)[0]?.split("-")[1] ?? "";
  if (claim.kind === "ours") await claim.lock.release();
});
const leaveLock = (path: string, content = "{}") => {
  mkdirSync(folder(), { recursive: true });
  writeFileSync(path, content);
};

test("the lock of a process that is gone is no obstacle", async () => {
  const gone = spawn("true");
  await once(gone, "exit");
  leaveLock(lockName(gone.pid ?? 0, "1"));

  await put(await open(), 1);

  expect(lockFiles()).toHaveLength(1);
});

test("the lock of a process whose pid was given to another is no obstacle", async () => {
  leaveLock(lockName(process.ppid, "1"));

  await put(await open(), 1);

  expect(lockFiles()).toHaveLength(1);
});

test("a damaged lock file of a process that is gone is no obstacle", async () => {
  leaveLock(lockName(4_000_000, "1"), "\0\0{");

  await put(await open(), 1);

  expect(lockFiles()).toHaveLength(1);
});

test("a damaged lock file of a live process keeps everybody out, in clear words", async () => {
  leaveLock(lockName(process.ppid, startTimeOf(process.ppid)), "\0\0{");

  await expect(open({ patienceSeconds: 1 })).rejects.toMatchObject({ code: "database.locked" });
});

test("a lock from another machine counts while it shows signs of life", async () => {
  leaveLock(lockName(1, "1", "0123456789ab"));

  await expect(open({ patienceSeconds: 1 })).rejects.toMatchObject({ code: "database.locked" });
});

test("a lock from another machine without a sign of life is no obstacle", async () => {
  const path = lockName(1, "1", "0123456789ab");
  leaveLock(path);
  const before = new Date(Date.now() - 60_000);
  utimesSync(path, before, before);

  await put(await open(), 1);
});

test("only the user can read the folder and the socket", async () => {
  await open();

  const socket = readdirSync(folder()).find((name) => name.startsWith("socket-")) ?? "";
  expect(statSync(folder()).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder(), socket)).mode & 0o777).toBe(0o600);
});

test("a visitor without the owner's word is shown out", async () => {
  await open();
  const socket = readdirSync(folder()).find((name) => name.startsWith("socket-")) ?? "";
  const visitor = connect(join(folder(), socket));
  visitor.on("error", () => {});
  const received: Buffer[] = [];
  visitor.on("data", (data: Buffer) => received.push(data));

  visitor.write(
    `${JSON.stringify({ word: "guess" })}\n${JSON.stringify({ id: 1, sql: "select 1", parameters: [] })}\n`,
  );
  await once(visitor, "close");

  expect(Buffer.concat(received).toString()).toBe("");
});

test("close leaves the data and nothing else", async () => {
  const owner = await open();
  const client = await open();
  await put(client, 1);

  await client.close();
  await owner.close();

  expect(readdirSync(folder())).toStrictEqual(["data"]);
});

test("a folder too deep for a socket's path is served all the same, and tidied up", async () => {
  dir = join(dir, "deep".repeat(30));
  const owner = await openEmbedded({ dir, ...options });
  const client = await openEmbedded({ dir, ...options });
  const [lock] = lockFiles();
  const { socket } = JSON.parse(readFileSync(join(folder(), lock ?? ""), "utf8")) as { socket: string };

  await put(client, 7);

  expect(await numbersIn(owner)).toStrictEqual([7]);
  expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700);
  await client.close();
  await owner.close();
  expect(existsSync(dirname(socket))).toBe(false);
});

test("what is stored is there after a restart", async () => {
  const first = await open();
  await put(first, 1);
  await first.close();

  expect(await numbersIn(await open())).toStrictEqual([1]);
});

test("a migration that fails is told, and the folder is free again", async () => {
  const bad = join(home, "bad-migrations");
  mkdirSync(bad, { recursive: true });
  writeFileSync(join(bad, "20260101000000_bad.sql"), "select broken(");

  const thrown = await open({ migrationsFolder: bad }).catch((reason: unknown) => reason);

  expect(thrown).toBeInstanceOf(Failure);
  expect(String(thrown)).toContain("20260101000000_bad.sql");
  expect(existsSync(folder()) ? lockFiles() : []).toStrictEqual([]);
  await put(await open(), 1);
});

test("a signal takes a call out of the line, not the calls around it", async () => {
  const database = await open();
  const stop = new AbortController();
  const before = put(database, 1);
  const stopped = database.call("rag_test_put", { p_n: 2, p_who: "x" }, { signal: stop.signal });
  const after = put(database, 3);
  const reason = new Failure("worker.stopping");

  stop.abort(reason);

  await expect(stopped).rejects.toBe(reason);
  await Promise.all([before, after]);
  expect(await numbersIn(database)).toStrictEqual([1, 3]);
});

test.runIf(process.platform === "linux")(
  "the remains of a process that no parent collected count as gone",
  async () => {
    // The shell starts a child, then becomes a program that never collects it.
    const parent = spawn("sh", ["-c", "sleep 0.3 & echo $!; exec sleep 30"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    onTestFinished(() => void parent.kill());
    const [line] = await once(parent.stdout, "data");
    const pid = Number(String(line));

    await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(" Z "), {
      timeout: 10_000,
    });

    expect(startTimeOf(pid)).toBe("gone");
  },
);
