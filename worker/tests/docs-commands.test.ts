// Every command that the documents show in a block is run here as it stands, in a copy of the repository, or stands in
// a list with the reason why not and with what is held against it instead. A new one that is neither fails.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { settings } from "../config/settings.ts";
import { commandNames, documents } from "./documents.ts";
import { root } from "./journeys/rag-process.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "./services.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Started beside the others, stopped after them. */
const WORKER = "npm run worker:rag";

/** Run here, in this order, on a machine that has nothing. */
const firstMinutes = [
  "npm run demo",
  WORKER,
  "npm run rag -- ingest scripts/demo/samples --wait",
  'npm run rag -- search "how long may I keep a drill?"',
];

/** Run here, in this order, on Postgres, beside two replicas from the third on. */
const onPostgres = [
  "npm run rag -- migrate",
  "npm run rag -- doctor",
  WORKER,
  "npm run rag -- ingest scripts/demo/samples --wait",
  'npm run rag -- search "how long may I keep a drill?"',
  "npm run rag -- status",
  "npm run rag -- jobs --status failed",
  "npm run rag -- jobs --waits cap,pause",
  "npm run rag -- retry --code embed.unavailable --older-than 1h --dry-run",
  'npm run rag -- pause --tenant acme --reason "moving house" --yes',
  "npm run rag -- prune --older-than 7d --status complete --yes",
  "npm run rag -- model",
  "npm run rag -- cost --since 7d --by tenant",
];

/** Not run here: another test runs them, or nobody can on this machine. */
const elsewhere: readonly (readonly [command: RegExp, why: string])[] = [
  [/^npm ci$/, ".ci/run begins with it"],
  [/^npm test$|^npm run check$|^npx vitest run worker\/log$/, "this very run is part of it"],
  [/^scripts\/services (up|down)$|^eval "\$\(scripts\/services env\)"$/, ".ci/run does it"],
  [/^npm run bench -- /, "takes minutes; its name and options are read below"],
  [
    /^RAG_EMBEDDING_PROVIDER=openai .*npm run (rag -- model switch --to \S+|worker:rag)$/,
    "asks a provider that is paid; worker/tests/races/model-switch.test.ts does it with a stand-in",
  ],
  [/^(railway|fly|pm2) /, "a platform's own tool; worker/tests/journeys/deployment.test.ts reads its file"],
  [/^pg_dump /, "of the server's own major version, which is the operator's; rehearsed by hand"],
  [/^docker (build|run|stop|compose) /, "needs Docker; the same test reads Dockerfile and compose.yaml"],
  [
    /^sudo (useradd|cp|systemctl) |^cd \/opt\/rag && npm ci --omit=dev$/,
    "changes the machine; read there too",
  ],
];

const withoutNote = (line: string) => line.replace(/\s+# .*$/, "").trim();
const isSetting = (line: string) => /^[A-Z][A-Z0-9_]+=\S*$/.test(line);

function linesOf(document: string): string[] {
  const blocks = [...read(document).matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)];
  const lines = blocks.flatMap(([, block = ""]) => block.replaceAll("\\\n", " ").split("\n"));
  return lines.map((line) => withoutNote(line)).filter((line) => line !== "" && !line.startsWith("#"));
}

const shown = [...new Set(documents.flatMap(linesOf))];
const commands = shown.filter((line) => !isSetting(line));
const ran = new Set([...firstMinutes, ...onPostgres]);
const unaccounted = (lines: readonly string[]) =>
  lines.filter((line) => !ran.has(line) && !elsewhere.some(([command]) => command.test(line)));

type Running = { readonly said: () => string; readonly ended: Promise<number | null>; stop(): void };

class Clone {
  readonly folder: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #running = new Set<Running>();

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.#environment = environment;
  }

  /** The repository as it lies here, without what a clone has not; the packages are those that `npm ci` left there, by a link. */
  static async open(environment: Readonly<Record<string, string>>): Promise<Clone> {
    const folder = await mkdtemp(join(tmpdir(), "rag-clone-"));
    const own = ["node_modules", ".git", ".rag", "dist", ".env", ".env.local"];
    await cp(root, folder, { recursive: true, filter: (path) => !own.includes(basename(path)) });
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    return new Clone(folder, environment);
  }

  start(command: string): Running {
    const child = spawn("sh", ["-c", command], {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? "", HOME: this.folder, ...this.#environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // npm, its shell and Node are ended together, as by Ctrl-C.
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    const running: Running = {
      said: () => said,
      ended: once(child, "close").then(([code]) => {
        this.#running.delete(running);
        return code as number | null; // SAFETY: what "close" brings.
      }),
      stop() {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGINT");
      },
    };
    this.#running.add(running);
    return running;
  }

  /** The commands one after the other, with so many workers from where one is started. */
  async follow(steps: readonly string[], replicas: number): Promise<ReadonlyMap<string, string>> {
    const told = new Map<string, string>();
    for (const command of steps) {
      if (command === WORKER) {
        const workers = Array.from({ length: replicas }, () => this.start(command));
        await vi.waitFor(
          () => {
            for (const worker of workers) expect(worker.said()).toContain("worker ready");
          },
          { timeout: 60_000, interval: 100 },
        );
        continue;
      }
      const running = this.start(command);
      expect(await running.ended, `${command}\n${running.said()}`).toBe(0);
      told.set(command, running.said());
    }
    return told;
  }

  async close(): Promise<void> {
    const running = [...this.#running];
    for (const one of running) one.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await rm(this.folder, { recursive: true, force: true });
  }
}

test("every command of the documents is run by a test, or listed with the reason why not", () => {
  expect(commands.length).toBeGreaterThan(30);
  expect(unaccounted(commands)).toEqual([]);
  expect(unaccounted(["npm run rag -- migrate", "npm run rag -- migrate --now"])).toEqual([
    "npm run rag -- migrate --now",
  ]);
});

test("what is run or listed here stands in a document", () => {
  expect([...ran].filter((command) => !commands.includes(command))).toEqual([]);
  expect(elsewhere.filter(([listed]) => !commands.some((command) => listed.test(command)))).toEqual([]);
});

test("every setting that a block sets is one of ours", () => {
  const known = new Set(Object.values(settings).flatMap(({ names }) => names));
  const set = [...shown, ...commands].flatMap((line) =>
    [...line.matchAll(/(?:^|\s)([A-Z][A-Z0-9_]+)=/g)].map(([, name = ""]) => name),
  );

  expect(set.length).toBeGreaterThan(4);
  expect(set.filter((name) => !known.has(name))).toEqual([]);
});

test("every measurement of the README's table has its command, with options that the bench takes", async () => {
  const readme = read("README.md");
  const usage = /const benches[\s\S]*?> = \{([\s\S]*?)\n\};/.exec(read("scripts/bench/bench.ts"))?.[1] ?? "";
  const known = [...usage.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name);
  const table = /## Measured\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? "";
  const rows = table
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(1);
  const named = new Set(rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1] ?? row));
  const benches = commands.filter((command) => command.startsWith("npm run bench -- "));
  const clone = await Clone.open({});
  try {
    const withCommand = benches.map((command) => command.split(" ")[4]);
    expect(named.size).toBeGreaterThan(12);
    expect([...named].filter((name) => !withCommand.includes(name))).toEqual([]);
    expect(withCommand.filter((name) => !known.includes(name))).toEqual([]);
    for (const command of benches.filter((one) => one.split(" ").length > 5)) {
      const running = clone.start(`${command} --help`);
      expect(await running.ended, `${command}\n${running.said()}`).toBe(0);
    }
  } finally {
    await clone.close();
  }
});

describe("rag in the text", () => {
  const inline = documents.flatMap((document) =>
    [...read(document).matchAll(/`(?:npm run (?:-s )?rag -- |(?:npx )?rag )([a-z][^`]*)`/g)].map(
      ([, text = ""]) => text,
    ),
  );
  // `| rag jobs | a list; --limit |` says `rag jobs --limit`.
  const inTable = [...read("README.md").matchAll(/^\| `rag ([a-z-]+)[^|]*\|(.*)\|$/gm)].flatMap(
    ([, command = "", cell = ""]) =>
      [...cell.matchAll(/`((?:switch )?--[a-z][^`]*)`/g)].map(([, text = ""]) => `${command} ${text}`),
  );
  const parts = [...inline, ...inTable].map((text) => ({
    command: (/^(?:model (?:switch|cancel|finish)|alert test|[a-z-]+)/.exec(text) ?? [""])[0],
    options: [...text.matchAll(/--[a-z][a-z-]*/g)].map(([option]) => option),
  }));
  const asked = [...new Set(parts.filter(({ options }) => options.length > 0).map(({ command }) => command))];

  test("every command is one of ours", () => {
    const known = new Set(commandNames);

    expect(inline.length).toBeGreaterThan(50);
    expect(inTable.length).toBeGreaterThan(20);
    expect(
      parts.map(({ command }) => command.split(" ")[0] ?? "").filter((name) => !known.has(name)),
    ).toEqual([]);
  });

  test.each(asked)("rag %s takes the options that the documents give it", async (command) => {
    const child = spawn(process.execPath, [join(root, "worker/main.ts"), ...command.split(" "), "--help"]);
    let help = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      help += text;
    });
    await once(child, "close");
    const options = parts.filter((part) => part.command === command).flatMap((part) => part.options);

    expect(options.filter((option) => !new RegExp(`${option}(?![a-z-])`).test(help))).toEqual([]);
  });
});

test("whatever else the text has a reader run is a file of ours, or a tool that is named here", () => {
  const said = documents.flatMap((document) =>
    [
      ...read(document).matchAll(/`((?:npm|npx|node|docker|promtool|pg_dump|pm2|fly|railway|psql) [^`]+)`/g),
    ].map(([, text = ""]) => text),
  );
  const tools = /^(?:npm (?:ci|test|install|pack|run)\b|npx (?:rag|supabase)\b|docker run|promtool|pg_dump)/;
  const unknown = said.filter((text) => {
    const file = /^(?:npx )?node (\S+\.\w+)/.exec(text)?.[1];
    return file === undefined ? !tools.test(text) : !existsSync(join(root, file));
  });

  expect(said.length).toBeGreaterThan(30);
  expect(unknown).toEqual(["node -e 0"]);
});

test("the TypeScript that the README shows compiles in a clone", async () => {
  const blocks = [...read("README.md").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  // What a reader's application has at hand.
  const given =
    'declare const url: string, serviceRoleKey: string, token: string;\ndeclare const supabase: import("@supabase/supabase-js").SupabaseClient;\n';
  const clone = await Clone.open({});
  try {
    const files = blocks.map((_, at) => `readme-${at}.ts`);
    for (const [at, block] of blocks.entries())
      await writeFile(join(clone.folder, files[at] ?? ""), `${given}${block}export {};\n`);
    await writeFile(
      join(clone.folder, "tsconfig.readme.json"),
      JSON.stringify({
        extends: "./tsconfig.json",
        // They are shown without types of their own, and may declare what they do not use.
        compilerOptions: {
          noImplicitAny: false,
          noUnusedLocals: false,
          paths: { "rag-ingestion-worker/client": ["./worker/client/index.ts"] },
        },
        include: [],
        files,
      }),
    );
    const running = clone.start("npx tsc --noEmit -p tsconfig.readme.json");

    expect(blocks.length).toBeGreaterThan(1);
    expect(await running.ended, running.said()).toBe(0);
  } finally {
    await clone.close();
  }
});

test("whoever follows the first minutes of the README, word for word, gets his answers", async () => {
  const clone = await Clone.open({});
  try {
    const told = await clone.follow(firstMinutes, 1);

    expect(told.get("npm run demo")).toContain("3 of 3 searches found the expected place.");
    expect(told.get('npm run rag -- search "how long may I keep a drill?"')).toMatch(/drill/i);
  } finally {
    await clone.close();
  }
});

describeWith(["postgres", "pgbouncer"], "the README on Postgres", () => {
  let database: FreshDatabase;
  let clone: Clone;
  beforeAll(async () => {
    database = await freshDatabase();
    // Each replica takes the next free port; the model of the package needs no key.
    clone = await Clone.open({ DATABASE_URL: database.url });
  });
  afterAll(async () => {
    await clone?.close();
    await database?.drop();
  });

  test("two replicas work, and every command for operators does as it is told", async () => {
    const told = await clone.follow(onPostgres, 2);

    expect(told.get("npm run rag -- ingest scripts/demo/samples --wait")).toMatch(/\d+ documents/);
    expect(told.get('npm run rag -- search "how long may I keep a drill?"')).toMatch(/drill/i);
    expect(told.get("npm run rag -- status")).toMatch(/^Workers +2$/m);
    expect(told.get('npm run rag -- pause --tenant acme --reason "moving house" --yes')).toMatch(
      /^(?!>).*acme/m,
    );
  });
});
