// The installed tree as a hardened container runs it: read-only, by a user who owns nothing and may become nobody else,
// with a data folder and /tmp to write to, or with /tmp alone. Made of mounts that only this process's children see.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeUnlessMissing, freshDatabase, hasService } from "../services.ts";
import { root } from "./rag-process.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });
const PATIENCE = { timeout: 120_000, interval: 200 };
const TOKEN = "canary-unprivileged-token";
const NOBODY = 65_534;

/** What the image holds: no more is there when the worker starts. */
const copied = [...readFileSync(join(root, "Dockerfile"), "utf8").matchAll(/^COPY (.+) \S+$/gm)].flatMap(
  ([, paths = ""]) => paths.split(" "),
);

// A root of its own with nothing in it that can be written: what the Dockerfile copies, and the system.
const SANDBOX = `
set -eu
new="$1" product="$2" data="$3"
shift 3
mount --make-rprivate /
mount -t tmpfs -o size=8m,mode=755 sandbox "$new"
for place in usr etc lib lib64 bin; do
  [ -L "/$place" ] && cp -P "/$place" "$new/$place" && continue
  [ -d "/$place" ] || continue
  mkdir "$new/$place"
  mount --bind -o ro "/$place" "$new/$place"
  mount -o remount,bind,ro "$new/$place"
done
mkdir "$new/app" "$new/proc" "$new/dev" "$new/sys" "$new/tmp"
for place in ${copied.join(" ")} node_modules; do
  [ -d "$product/$place" ] || { cp "$product/$place" "$new/app/"; continue; }
  mkdir "$new/app/$place"
  mount --bind "$product/$place" "$new/app/$place"
  mount -o remount,bind,ro "$new/app/$place"
done
mkdir "$new/app/.rag"
[ "$data" = none ] || mount --bind "$data" "$new/app/.rag"
mount --rbind /proc "$new/proc"
mount --rbind /dev "$new/dev"
mount --rbind /sys "$new/sys"
mount -t tmpfs -o size=256m,mode=1777 scratch "$new/tmp"
mount -o remount,ro "$new"
ulimit -c 0
exec chroot "$new" /usr/bin/setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --no-new-privs \\
  --inh-caps=-all --bounding-set=-all "$@"
`;

const works = (command: string, args: readonly string[]) => spawnSync(command, args).status === 0;
const missing = [
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...(works("unshare", ["--mount", "true"]) ? [] : ["unshare --mount"]),
  ...(works("setpriv", ["--version"]) ? [] : ["setpriv"]),
];

describeUnlessMissing(missing, "a read-only tree and an unprivileged user", () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function openSandbox(data: "a folder" | "none", settings: Readonly<Record<string, string>> = {}) {
    const folder = await mkdtemp(join(tmpdir(), "rag-sandbox-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    await chmod(folder, 0o755);
    for (const name of ["root", "data"]) await mkdir(join(folder, name));
    await chown(join(folder, "data"), NOBODY, NOBODY);
    const place = data === "none" ? "none" : join(folder, "data");
    const run = (...command: string[]) => {
      const child = spawn(
        "unshare",
        ["--mount", "sh", "-c", SANDBOX, "sandbox", join(folder, "root"), root, place, ...command],
        {
          env: {
            PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
            HOME: "/nonexistent",
            RAG_HTTP_TOKEN: TOKEN,
            RAG_HTTP_HOST: "127.0.0.1",
            PORT: "0",
            ...settings,
          },
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      return watched(child);
    };
    const node = process.execPath.startsWith(root)
      ? join("/app", process.execPath.slice(root.length))
      : process.execPath;
    const rag = (...args: string[]) =>
      run("/bin/sh", "-c", `cd /app && exec ${node} bin/rag.mjs "$@"`, "rag", ...args);
    return { run, rag, data: join(folder, "data") };
  }

  function watched(child: ChildProcess) {
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
    const ended = once(child, "close").then(([code]) => code as number | null);
    closers.push(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    return { text: () => text, ended, stop: () => child.kill("SIGTERM"), pid: child.pid };
  }

  type Running = ReturnType<typeof watched>;
  const addressOf = (worker: Running) =>
    Promise.race([
      vi.waitFor(() => {
        const found = /"http":"([^"]+)"/.exec(worker.text())?.[1];
        expect(found, worker.text()).toBeDefined();
        return String(found);
      }, PATIENCE),
      worker.ended.then((code) => {
        throw new Error(`The worker ended with ${code}: ${worker.text()}`);
      }),
    ]);
  const token = { authorization: `Bearer ${TOKEN}` };

  /** Uploads the demo's files, waits for them, and asks for one of them by its meaning. */
  async function ingestSamples(url: string): Promise<string> {
    const samples = join(root, "scripts/demo/samples");
    const files = (await readdir(samples)).filter((name) => name !== "LICENSE.md");
    const jobs = await Promise.all(
      files.map(async (name) => {
        const body = new FormData();
        body.append("file", new Blob([await readFile(join(samples, name))]), basename(name));
        const answer = await fetch(`${url}/documents`, { method: "POST", headers: token, body });
        return ((await answer.json()) as { job_id: string }).job_id;
      }),
    );
    await vi.waitFor(async () => {
      for (const id of jobs) {
        const job = (await (await fetch(`${url}/jobs/${id}`, { headers: token })).json()) as {
          status: string;
        };
        expect(job.status).toBe("complete");
      }
    }, PATIENCE);
    // Words are searched a moment after their document is live.
    return await vi.waitFor(async () => {
      const found = await fetch(`${url}/search`, {
        method: "POST",
        headers: { ...token, "content-type": "application/json" },
        body: JSON.stringify({ query: "repair evenings in the workshop", limit: 1 }),
      });
      const text = await found.text();
      const title = (JSON.parse(text) as { hits?: { title: string }[] }).hits?.[0]?.title;
      expect(title, text).toMatch(/repair/i);
      return title ?? "";
    }, PATIENCE);
  }

  async function serveAndEnd(worker: Running): Promise<void> {
    const url = await addressOf(worker);
    const found = await ingestSamples(url);
    const health = await healthOf(url);
    worker.stop();
    expect([found, health]).toEqual([expect.stringMatching(/repair/i), "ok"]);
    expect(await worker.ended).toBe(0);
  }

  async function healthOf(url: string): Promise<string> {
    return await vi.waitFor(async () => {
      const text = await (await fetch(`${url}/health`, { headers: token })).text();
      const { status } = JSON.parse(text) as { status: string };
      expect(status, text).toBe("ok");
      return status;
    }, PATIENCE);
  }

  test("nothing of the tree can be written, and the user is nobody without a capability", async () => {
    const { run } = await openSandbox("a folder");

    const probe = run(
      "/bin/sh",
      "-c",
      "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; for p in /x /app/x /app/worker/x /app/node_modules/x /etc/x /usr/x; do touch $p 2>/dev/null && echo wrote $p; done; touch /tmp/x /app/.rag/x && echo data",
    );
    await probe.ended;

    const lines = probe.text().trim().split(/\s*\n/);
    expect(lines.map((line) => line.replace(/\s+/g, " "))).toEqual([
      String(NOBODY),
      "CapEff: 0000000000000000",
      "CapBnd: 0000000000000000",
      "NoNewPrivs: 1",
      "data",
    ]);
  });

  test("the worker starts, reads the demo's files in its children, embeds them by the embedded model, and is healthy", async () => {
    const { rag, data } = await openSandbox("a folder");
    const worker = rag("worker");

    await serveAndEnd(worker);

    expect(worker.text()).not.toMatch(/EROFS|EACCES|EPERM/);
    // What it keeps is in the one place that is its own.
    expect(await readdir(data)).toEqual(expect.arrayContaining(["models"]));
  });

  test.skipIf(!hasService("postgres") && process.env.RAG_TEST_REQUIRE_SERVICES !== "1")(
    "beside a Postgres nothing but /tmp is written",
    async () => {
      const database = await freshDatabase();
      closers.push(() => database.drop());
      const session = await openPostgresSession({ url: database.url });
      await migrate(session);
      await session.close();
      const { rag } = await openSandbox("none", { DATABASE_URL: database.url });

      await serveAndEnd(rag("worker"));
    },
  );
});
