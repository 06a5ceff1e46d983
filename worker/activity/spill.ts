// Rows that the database did not take, in a file until it does. One file a process, written by appending a line a
// batch; what a process that is gone left behind is taken over by the next one.
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isAlive } from "../timing/is-alive.ts";
import type { LogRow } from "./log-entry.ts";

export type Spill = {
  /** False when the file is full or cannot be written: the rows are lost to it. */
  keep(rows: readonly LogRow[]): Promise<boolean>;
  /** Whether there is anything to replay. */
  readonly waiting: boolean;
  /**
   * Hands over each batch in turn, oldest first, and forgets them when `store` has taken all. A batch that `store`
   * throws at ends the replay; what it took is known by its log_id and stored once.
   */
  replay(store: (rows: readonly LogRow[]) => Promise<void>): Promise<void>;
};

const ENDING = ".activity";
const FILE_NAME = /^(\d+)-[0-9a-f]+\.activity$/;

type SpillFile = { readonly path: string; bytes: number };

/** `mostBytes` of all files together. Throws nothing: a folder that cannot be written keeps nothing. */
export async function openSpill(folder: string, mostBytes: number): Promise<Spill> {
  const name = () => join(folder, `${process.pid}-${randomBytes(4).toString("hex")}${ENDING}`);
  const files: SpillFile[] = await takeOver(folder, name).catch(() => []);
  let current: SpillFile | null = null;
  return {
    get waiting() {
      return files.length > 0;
    },
    async keep(rows) {
      const line = `${JSON.stringify(rows)}\n`;
      const bytes = Buffer.byteLength(line);
      if (files.reduce((sum, file) => sum + file.bytes, bytes) > mostBytes) return false;
      // Before anything is waited for: two writers share one file.
      if (current === null) {
        current = { path: name(), bytes: 0 };
        files.push(current);
      }
      current.bytes += bytes;
      try {
        // Only this user may read it: an application may have logged what people wrote.
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await appendFile(current.path, line, { mode: 0o600 });
        return true;
      } catch {
        return false;
      }
    },
    async replay(store) {
      // What is kept from now on goes into another file, or it would be forgotten with this one.
      current = null;
      for (let file = files[0]; file !== undefined; file = files[0]) {
        for await (const rows of batchesOf(file.path)) await store(rows);
        await rm(file.path, { force: true });
        files.shift();
      }
    },
  };
}

/** Files of processes that are gone, under names of our own: renaming decides who gets one. */
async function takeOver(folder: string, name: () => string): Promise<SpillFile[]> {
  const taken: (SpillFile & { readonly mtimeMs: number })[] = [];
  for (const file of await readdir(folder)) {
    const owner = FILE_NAME.exec(file)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const path = name();
    try {
      await rename(join(folder, file), path);
      const { size, mtimeMs } = await stat(path);
      taken.push({ path, bytes: size, mtimeMs });
    } catch {
      // Another process took it first.
    }
  }
  return taken.sort((a, b) => a.mtimeMs - b.mtimeMs);
}

/** A last line that a crash cut short is no batch. */
async function* batchesOf(path: string): AsyncIterable<readonly LogRow[]> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    let rows: readonly LogRow[];
    try {
      rows = JSON.parse(line) as readonly LogRow[]; // SAFETY: a file of ours that nobody else may write.
    } catch {
      continue;
    }
    if (rows.length > 0) yield rows;
  }
}
