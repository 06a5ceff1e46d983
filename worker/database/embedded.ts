// The embedded transport: Postgres inside this process, on a folder of its own. One process owns the folder;
// every other that opens it becomes the owner's client, and takes its place when the owner is gone.
import { existsSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";
import type { Database } from "./database.ts";
import { type Engine, openEngine } from "./embedded-engine.ts";
import { LinkCut, linkToOwner, type OwnerLink } from "./embedded-link.ts";
import { claimFolder, type Lock } from "./embedded-lock.ts";
import { openOwnerSocket } from "./embedded-socket.ts";
import { layDataFolder } from "./embedded-template.ts";
import type { Request } from "./embedded-wire.ts";
import { type Arguments, checkCall } from "./function-call.ts";
import { openGate } from "./gate.ts";
import { MIGRATIONS_FOLDER, migrate } from "./migrate.ts";
import type { SqlSession } from "./sql-session.ts";
import { stageByCalls } from "./stage-by-calls.ts";
import { openTurns } from "./turns.ts";

export type EmbeddedOptions = {
  /** RAG_EMBEDDED_DIR; the database lives in `database/` below it. */
  readonly dir: string;
  /** How long an owner may stay silent before it is `database.locked`, in seconds. */
  readonly patienceSeconds?: number;
  readonly migrationsFolder?: string;
  /** Where ready data folders are kept between starts; the user's cache folder by default. */
  readonly templateFolder?: string;
};

export type EmbeddedDatabase = Database & {
  /** Raw SQL for doctor and tests. A client has no `transaction` and gets values as JSON knows them. */
  readonly session: SqlSession;
};

/** How this process reaches the database just now. */
type Seat = {
  readonly kind: "owner" | "client";
  call(name: string, args: Arguments, signal: AbortSignal | undefined): Promise<unknown>;
  readonly session: SqlSession;
  close(): Promise<void>;
};

const PATIENCE_SECONDS = 30;
/** Two contenders that met withdraw and come back at different times. */
const CONTENTION_MS = 100;
/** Owners that may die one after the other under a single call. */
const MOST_OWNERS = 10;

/** Throws `config.invalid` for a place where no folder can be made. */
async function makePrivate(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  } catch (thrown) {
    const reason = (thrown as NodeJS.ErrnoException).code ?? "unknown";
    throw new Failure("config.invalid", {
      says: "The folder of the embedded database cannot be written. Set RAG_EMBEDDED_DIR to one that can.",
      facts: { folder, reason },
    });
  }
}

/**
 * Opens the database, with the migrations applied when this process becomes the owner.
 * Throws `database.locked` when another process owns it and does not answer.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const folder = join(resolve(options.dir), "database");
  await makePrivate(folder);
  let seat: Promise<Seat> | null = null;

  const seated = async <Result>(work: (seat: Seat) => Promise<Result>): Promise<Result> => {
    for (let owners = 1; ; owners += 1) {
      seat ??= takeSeat(folder, options);
      const taken = seat;
      try {
        return await work(await taken);
      } catch (thrown) {
        if (seat === taken && (thrown instanceof LinkCut || !(await isSeat(taken)))) seat = null;
        if (!(thrown instanceof LinkCut) || owners >= MOST_OWNERS) throw thrown;
      }
    }
  };
  const gate = openGate();
  const tracked = <Result>(work: (seat: Seat) => Promise<Result>) => gate.enter(() => seated(work));

  await tracked(async () => {});
  const call: SqlCall = async (name, args, { signal } = {}) => {
    const checked = checkCall(name, args);
    signal?.throwIfAborted();
    return tracked((current) => current.call(name, checked, signal));
  };
  return {
    transport: "embedded",
    describes: `embedded ${folder}`,
    call,
    stageChunks: stageByCalls(call),
    session: {
      query: (sql, parameters) => tracked((current) => current.session.query(sql, parameters)),
      script: (sql) => tracked((current) => current.session.script(sql)),
      transaction: (work) => tracked((current) => current.session.transaction(work)),
    },
    close: () =>
      gate.close(async () => {
        const last = await seat?.catch(() => null);
        await last?.close();
      }),
  };
}

const isSeat = (taken: Promise<Seat>): Promise<boolean> =>
  taken.then(
    () => true,
    () => false,
  );

async function takeSeat(folder: string, options: EmbeddedOptions): Promise<Seat> {
  const patienceMs = (options.patienceSeconds ?? PATIENCE_SECONDS) * 1000;
  const until = Date.now() + patienceMs;
  for (;;) {
    const claim = await claimFolder(folder);
    if (claim.kind === "ours") return sitAsOwner(folder, claim.lock, options);
    const link = claim.whereabouts === null ? null : await linkToOwner(claim.whereabouts, patienceMs);
    if (link !== null) return sitAsClient(link);
    if (Date.now() > until) throw new Failure("database.locked", { facts: { pid: claim.pid } });
    await sleep(CONTENTION_MS * (0.2 + Math.random()));
  }
}

async function sitAsOwner(folder: string, lock: Lock, options: EmbeddedOptions): Promise<Seat> {
  const turns = openTurns();
  // Clients may come before the database is open; their calls wait for it.
  const { promise: opened, resolve: open, reject: fail } = Promise.withResolvers<Engine>();
  opened.catch(() => {}); // Thrown below; here only clients would hear it.
  const socket = await openOwnerSocket(folder, async (request, client, signal) => {
    const engine = await opened;
    return turns.take(client, () => answerRequest(engine, request), signal);
  });
  try {
    await lock.announce(socket.whereabouts);
    open(await openFolder(folder, options));
    const engine = await opened;
    const own = {};
    const inTurn = <Result>(work: () => Promise<Result>, signal?: AbortSignal) =>
      turns.take(own, work, signal);
    return {
      kind: "owner",
      call: (name, args, signal) => inTurn(() => engine.call(name, args), signal),
      session: {
        query: (sql, parameters) => inTurn(() => engine.session.query(sql, parameters)),
        script: (sql) => inTurn(() => engine.session.script(sql)),
        transaction: (work) => inTurn(() => engine.session.transaction(work)),
      },
      async close() {
        socket.stopTaking();
        await turns.idle();
        await engine.session.close();
        await socket.close();
        await lock.release();
      },
    };
  } catch (thrown) {
    fail(thrown);
    await socket.close();
    await lock.release();
    throw thrown;
  }
}

async function openFolder(folder: string, options: EmbeddedOptions): Promise<Engine> {
  const data = join(folder, "data");
  const migrationsFolder = options.migrationsFolder ?? MIGRATIONS_FOLDER;
  if (!existsSync(data))
    await layDataFolder(data, {
      migrationsFolder,
      ...(options.templateFolder === undefined ? {} : { cacheFolder: options.templateFolder }),
    });
  const engine = await openEngine(data);
  try {
    await migrate(engine.session, migrationsFolder);
    return engine;
  } catch (thrown) {
    await engine.session.close();
    throw thrown;
  }
}

function answerRequest(engine: Engine, request: Request): Promise<unknown> {
  if ("fn" in request) return engine.call(request.fn, checkCall(request.fn, request.args));
  if ("sql" in request) return engine.session.query(request.sql, request.parameters);
  return engine.session.script(request.script);
}

function sitAsClient(link: OwnerLink): Seat {
  return {
    kind: "client",
    call: (name, args, signal) => link.ask({ fn: name, args }, signal),
    session: {
      // SAFETY: the owner answers a query with rows.
      query: async (sql, parameters = []) =>
        (await link.ask({ sql, parameters: [...parameters] })) as Awaited<ReturnType<SqlSession["query"]>>,
      script: async (script) => {
        await link.ask({ script });
      },
      transaction: () =>
        Promise.reject(
          new Failure("database.locked", {
            says: "Another process owns the embedded database; only the owner can run a transaction of raw SQL.",
          }),
        ),
    },
    close: () => link.close(),
  };
}
