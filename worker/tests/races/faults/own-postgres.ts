// A Postgres and a PgBouncer of a run's own, so that they can be stopped and started again under its workers
// and nobody else's. The programs are those that `scripts/services up` unpacked; needs root, for it enters
// their directory with chroot.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";

const programs = join(process.env.RAG_SERVICES_DIR ?? "/var/cache/rag-services", "trixie");
const CHROOT = "/usr/sbin/chroot"; // Debian's, as the programs are.
const BIN = "/usr/lib/postgresql/17/bin";
const roles = fileURLToPath(new URL("../../../../scripts/services.d/roles.sql", import.meta.url));
const run = promisify(execFile);

export const hasOwnPostgres = (): boolean =>
  process.getuid?.() === 0 && existsSync(join(programs, BIN, "postgres"));

export type OwnPostgres = {
  /** Session connection as superuser, to the database of that name. */
  url(database: string): string;
  /** The same through PgBouncer in transaction mode. */
  pgbouncerUrl(database: string): string;
  /** A fresh database; dropped with `drop`. */
  create(database: string): Promise<void>;
  drop(database: string): Promise<void>;
  /** Ends every session, stays away for a while and starts again, as `pg_ctl` does in these modes. */
  restart(mode: "fast" | "immediate", awayMs: number): Promise<void>;
  close(): Promise<void>;
};

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const [port, bouncerPort] = [await freePort(), await freePort()];
  const home = `/var/lib/rag-faults-${port}`; // As seen inside the chroot.
  const outside = join(programs, home);
  await mkdir(outside, { recursive: true });
  await run(CHROOT, [programs, "/usr/bin/chown", "postgres:postgres", home]);
  await initialise(outside, home, port);
  let server = await launch([`${BIN}/postgres`, "-D", `${home}/data`], outside);
  const address = (database: string, at = port) => `postgres://postgres:postgres@127.0.0.1:${at}/${database}`;
  await untilItAnswers(address("postgres"));
  // One by one, for a database is not made inside a transaction.
  for (const statement of (await readFile(roles, "utf8"))
    .split(/;\s*$/m)
    .filter((text) => text.trim() !== ""))
    await asAdministrator(address("postgres"), (sql) => sql.unsafe(statement));
  await writeBouncer(outside, home, { port, bouncerPort });
  const bouncer = await launch(["/usr/sbin/pgbouncer", `${home}/pgbouncer.ini`], outside);
  await untilItAnswers(address("postgres", bouncerPort));
  return {
    url: (database) => address(database),
    pgbouncerUrl: (database) => address(database, bouncerPort),
    create: (database) =>
      asAdministrator(address("postgres"), (sql) => sql`create database ${sql(database)}`),
    drop: (database) =>
      asAdministrator(
        address("postgres"),
        (sql) => sql`drop database if exists ${sql(database)} with (force)`,
      ),
    async restart(mode, awayMs) {
      await stop(server, mode === "fast" ? "SIGINT" : "SIGQUIT");
      await sleep(awayMs);
      server = await launch([`${BIN}/postgres`, "-D", `${home}/data`], outside);
      await untilItAnswers(address("postgres"));
    },
    async close() {
      await stop(bouncer, "SIGQUIT");
      await stop(server, "SIGQUIT");
      await rm(outside, { recursive: true, force: true });
    },
  };
}

async function initialise(outside: string, home: string, port: number): Promise<void> {
  await writeFile(join(outside, "password"), "postgres\n");
  const options = [
    "-U",
    "postgres",
    `--pwfile=${home}/password`,
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
  ];
  await run(CHROOT, [...user, programs, `${BIN}/initdb`, "-D", `${home}/data`, ...options]);
  // fsync off: what is restarted here is the server, not the machine; its files stay as they were written.
  await appendFile(
    join(outside, "data/postgresql.conf"),
    `listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
max_connections = 300
shared_buffers = 128MB
fsync = off
`,
  );
}

async function writeBouncer(outside: string, home: string, ports: { port: number; bouncerPort: number }) {
  await writeFile(join(outside, "pgbouncer.users"), '"postgres" "postgres"\n');
  await writeFile(
    join(outside, "pgbouncer.ini"),
    `[databases]
* = host=127.0.0.1 port=${ports.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${ports.bouncerPort}
unix_socket_dir =
auth_type = plain
auth_file = ${home}/pgbouncer.users
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
server_login_retry = 0.2
`,
  );
}

const user = ["--userspec=postgres:postgres"];

/** Ends with this process, however that ends. */
async function launch(command: readonly string[], outside: string): Promise<ChildProcess> {
  // The signal is asked for after chroot changed the user, for that forgets it.
  const guarded = ["/usr/bin/setpriv", "--pdeathsig", "QUIT", ...command];
  const child = spawn(CHROOT, [...user, programs, ...guarded], { stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text: Buffer) => void appendFile(join(outside, "log"), text).catch(() => {}));
  await once(child, "spawn");
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

const ANSWER_MS = 60_000;

async function untilItAnswers(url: string): Promise<void> {
  const until = performance.now() + ANSWER_MS;
  for (;;) {
    try {
      return void (await asAdministrator(url, (sql) => sql`select 1`));
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      await sleep(50);
    }
  }
}

async function asAdministrator(url: string, act: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connect_timeout: 5,
    prepare: false,
    fetch_types: false,
  });
  try {
    await act(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: a TCP server that listens has one.
  await new Promise((resolve) => server.close(resolve));
  return port;
}
