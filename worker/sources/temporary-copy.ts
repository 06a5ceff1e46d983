// The one place where a document's bytes land on the disk: private to us, hashed and counted as they come.
// A copy belongs to one job; whoever holds the Original disposes of it. After a crash nobody does, so
// copies that are a day old are swept when the sources are opened.
import { createHash, randomUUID } from "node:crypto";
import { lstat, mkdir, open, readdir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Original } from "../document/document.ts";
import { Failure } from "../failure/failure.ts";

export type CopyLimits = {
  /** An existing folder. */
  readonly tempDir: string;
  /** RAG_MAX_FILE_MB in bytes. */
  readonly maxBytes: number;
};

type About = Pick<Original, "name" | "declaredMediaType">;

const PREFIX = "rag-original-";
const STALE_MS = 24 * 60 * 60 * 1000;
const FULL_DISK_WAIT_MS = 60_000;

/**
 * Writes the bytes to a new temporary file (0600).
 * Throws `source.too-large` as soon as the cap is passed, `source.no-space` on a full disk, the signal's
 * reason when it fires, and whatever the bytes throw; nothing is left on the disk then.
 */
export async function copyToTemporary(
  bytes: AsyncIterable<Uint8Array>,
  about: About,
  limits: CopyLimits,
  signal: AbortSignal,
): Promise<Original> {
  signal.throwIfAborted();
  const path = join(limits.tempDir, `${PREFIX}${randomUUID()}`);
  const dispose = () => unlink(path).catch(ignoreMissing);
  try {
    return { ...about, path, ...(await writeCounting(path, bytes, limits, signal)), dispose };
  } catch (thrown) {
    await dispose();
    signal.throwIfAborted();
    throw thrown;
  }
}

async function writeCounting(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  limits: CopyLimits,
  signal: AbortSignal,
): Promise<{ byteSize: number; sha256: string }> {
  const hash = createHash("sha256");
  let byteSize = 0;
  const file = await open(path, "wx", 0o600).catch(sayFullDisk);
  try {
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      byteSize += chunk.byteLength;
      refuseTooLarge(byteSize, limits);
      hash.update(chunk);
      await file.writeFile(chunk).catch(sayFullDisk);
    }
    signal.throwIfAborted();
  } finally {
    await file.close();
  }
  return { byteSize, sha256: hash.digest("hex") };
}

/** Throws `source.too-large` when so many bytes are more than the cap. */
export function refuseTooLarge(byteSize: number, limits: Pick<CopyLimits, "maxBytes">): void {
  if (byteSize > limits.maxBytes)
    throw new Failure("source.too-large", { facts: { bytes: byteSize, mostBytes: limits.maxBytes } });
}

/**
 * Makes the folder for copies and removes what crashed workers left there more than a day ago.
 * Throws `config.invalid` when somebody else could put their files in the place of our copies.
 */
export async function prepareTempDir(tempDir: string): Promise<void> {
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  await refuseForeignFolder(tempDir);
  for (const name of await readdir(tempDir)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(tempDir, name);
    // Another replica may remove it at the same moment; then it is gone, which is all we want.
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > STALE_MS)
      await rm(path, { recursive: true, force: true });
  }
}

// Its name can be guessed below /tmp: another user of the machine may have made it first. Windows has no uid.
async function refuseForeignFolder(tempDir: string): Promise<void> {
  const own = process.getuid?.();
  if (own === undefined) return;
  const found = await lstat(tempDir);
  const sticky = (found.mode & 0o1000) !== 0;
  const guarded = (found.mode & 0o022) === 0 || sticky;
  if (!found.isDirectory() || (found.uid !== own && found.uid !== 0) || !guarded)
    throw new Failure("config.invalid", {
      says: `Others may change the temporary folder ${tempDir}. Remove it.`,
    });
}

function ignoreMissing(thrown: unknown): void {
  if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
}

function sayFullDisk(thrown: unknown): never {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT")
    throw new Failure("source.no-space", { cause: thrown, retryAfterMs: FULL_DISK_WAIT_MS });
  throw thrown;
}
