// Who owns the embedded database: two processes on one data folder silently lose half of each other's rows.
//
// A contender writes a file of its own, then looks for others. Whoever finds another live one withdraws, so
// two can never both stay: the later of two files was written before its writer looked. A dead process's
// file has a name that nobody else ever uses, so removing it races with nothing. What decides stands in
// the file's NAME; the content (where the owner listens) may be damaged without harm.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { startTimeOf } from "./process-start.ts";

/** Where the owner listens, and the word that proves to it that a client may read its folder. */
const Whereabouts = z.object({ socket: z.string(), word: z.string() });
export type Whereabouts = z.infer<typeof Whereabouts>;

export type Claim =
  | { readonly kind: "ours"; readonly lock: Lock }
  /** Another process has it; whereabouts are null while it starts, or when its file is damaged. */
  | { readonly kind: "theirs"; readonly pid: number; readonly whereabouts: Whereabouts | null };

export type Lock = {
  /** Tells others where to reach us. */
  announce(whereabouts: Whereabouts): Promise<void>;
  release(): Promise<void>;
};

const FILE_NAME = /^owner-([0-9a-f]{12})-(\d+)-(\w+)-([0-9a-f]{16})\.json$/;
/** A sign of life for those who cannot see our process: other containers on the same volume. */
const BEAT_MS = 5000;
const SILENT_MS = 30_000;

/** Tries once to become the owner of the folder. Never waits for the other owner. */
export async function claimFolder(folder: string): Promise<Claim> {
  const name = `owner-${MACHINE}-${process.pid}-${startTimeOf(process.pid)}-${randomBytes(8).toString("hex")}.json`;
  const path = join(folder, name);
  const other = await liveOwner(folder, name); // Spares a withdrawal when it is plain who owns it.
  if (other !== null) return other;
  await writeFile(path, "{}", { mode: 0o600, flag: "wx" });
  const rival = await liveOwner(folder, name);
  if (rival !== null) {
    await rm(path, { force: true });
    return rival;
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {}); // Missing: somebody removed our folder; the database will say so.
  }, BEAT_MS);
  beat.unref();
  return {
    kind: "ours",
    lock: {
      async announce(whereabouts) {
        const draft = join(folder, `draft-${name}`);
        await writeFile(draft, JSON.stringify(whereabouts), { mode: 0o600 });
        await rename(draft, path);
      },
      async release() {
        clearInterval(beat);
        await rm(path, { force: true });
      },
    },
  };
}

async function liveOwner(folder: string, own: string): Promise<Extract<Claim, { kind: "theirs" }> | null> {
  for (const name of await readdir(folder)) {
    const [, machine, pid, started] = FILE_NAME.exec(name) ?? [];
    if (machine === undefined || name === own) continue;
    const path = join(folder, name);
    if (await isAlive(path, machine, Number(pid), started)) {
      return { kind: "theirs", pid: Number(pid), whereabouts: await readWhereabouts(path) };
    }
    await rm(path, { force: true });
    await rm(join(folder, `draft-${name}`), { force: true });
  }
  return null;
}

/** By pid and start time where we can see the process, else by the age of its last sign of life. */
async function isAlive(
  path: string,
  machine: string,
  pid: number,
  started: string | undefined,
): Promise<boolean> {
  if (machine === MACHINE) {
    const now = startTimeOf(pid);
    if (now === "gone") return false;
    // A pid that is in use again belongs to a process that started at another time.
    if (now !== "unknown" && started !== "unknown") return now === started;
  }
  const found = await stat(path).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs < SILENT_MS;
}

async function readWhereabouts(path: string): Promise<Whereabouts | null> {
  try {
    return Whereabouts.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null; // Not announced yet, gone meanwhile, or damaged: the caller looks again until its patience ends.
  }
}

/** Processes are visible to each other within one boot of one host and one pid namespace. */
const MACHINE = createHash("sha256")
  .update(
    [
      hostname(),
      readOr(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
      readOr(() => readlinkSync("/proc/self/ns/pid")),
    ].join(),
  )
  .digest("hex")
  .slice(0, 12);

function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return ""; // Not Linux.
  }
}
