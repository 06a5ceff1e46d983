// Originals below the document root: file:///relative/to/root. The path after the slashes is relative to
// RAG_DOCUMENT_ROOT, never to the disk.
// The check of where a path leads is repeated on the opened file: between the look and the opening, anybody
// who may write below the root can put a link in the way.
import { createHash } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, lstat, open, readlink, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import type { Document } from "../document/document.ts";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import type { Source } from "./source.ts";
import { type CopyLimits, copyToTemporary, refuseTooLarge } from "./temporary-copy.ts";

const READ_BYTES = 256 * 1024;

// Without O_NONBLOCK the opening of a FIFO waits for a writer that may never come. Windows knows neither flag.
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

type Root = { readonly path: string; readonly device: bigint; readonly inode: bigint };

/** Throws `config.invalid` when the root is not a folder that can be read. */
export async function openFileSource(options: CopyLimits & { readonly root: string }): Promise<Source> {
  const root = await openRoot(options.root);
  return {
    scheme: "file",
    async fetch(document: Document, signal: AbortSignal) {
      signal.throwIfAborted();
      const segments = segmentsOf(document.sourceUri ?? "");
      const { file, before } = await openInside(root, segments, signal);
      try {
        refuseTooLarge(Number(before.size), options);
        const about = { name: segments.at(-1) ?? "", declaredMediaType: document.mediaType };
        return await copyToTemporary(readUnchanging(file, before), about, options, signal);
      } finally {
        await file.close();
      }
    },
  };
}

export type FileLook = (
  uri: string,
  signal: AbortSignal,
) => Promise<{ readonly byteSize: number; readonly sha256: string }>;

/** Reads a file as `fetch` does, without a copy of it. The answer throws `source.*`; this throws `config.invalid`. */
export async function openFileLook(path: string): Promise<FileLook> {
  const root = await openRoot(path);
  return async (uri, signal) => {
    const { file, before } = await openInside(root, segmentsOf(uri), signal);
    try {
      const hash = createHash("sha256");
      let byteSize = 0;
      for await (const bytes of readUnchanging(file, before)) {
        signal.throwIfAborted();
        hash.update(bytes);
        byteSize += bytes.byteLength;
      }
      return { byteSize, sha256: hash.digest("hex") };
    } finally {
      await file.close();
    }
  };
}

/**
 * The address of a file below the root, as `fetch` reads it back. Compares the paths as written: resolve
 * links first where they matter. Throws `source.outside-root`, or `source.unsupported` for a name that no
 * address can carry.
 */
export function fileUri(root: string, path: string): string {
  const from = resolve(root);
  const inside = relative(from, resolve(from, path));
  if (!staysInside(inside)) throw new Failure("source.outside-root");
  const segments = inside.split(sep);
  if (segments.some((segment) => segment.includes("\\") || !segment.isWellFormed()))
    throw new Failure("source.unsupported", {
      says: "The file's name has characters an address cannot carry. Rename it.",
    });
  return `file:///${segments.map(encodeURIComponent).join("/")}`;
}

async function openRoot(path: string): Promise<Root> {
  const says = "RAG_DOCUMENT_ROOT must be a folder that exists and may be read.";
  try {
    const real = await realpath(path);
    const found = await stat(real, { bigint: true });
    if (!found.isDirectory()) throw new Failure("config.invalid", { says });
    return { path: real, device: found.dev, inode: found.ino };
  } catch (thrown) {
    throw thrown instanceof Failure ? thrown : new Failure("config.invalid", { says, cause: thrown });
  }
}

// Read by hand: the URL parser would quietly resolve `..` and `%2e%2e`, and cut the name at `?` or `#`.
function segmentsOf(uri: string): string[] {
  if (!uri.startsWith("file:///")) throw new Failure("source.outside-root");
  const raw = uri.slice("file:///".length);
  if (raw.startsWith("/")) throw new Failure("source.outside-root"); // file:////server/share, file:////etc
  const segments = raw
    .split("/")
    .filter((segment) => segment !== "")
    .map(decodeSegment);
  if (segments.length === 0 || raw.endsWith("/")) throw notAFile();
  if (/^[A-Za-z]:/.test(segments[0] ?? "")) throw new Failure("source.outside-root"); // C:, and C:name
  return segments;
}

function decodeSegment(raw: string): string {
  const segment = decodePercent(raw);
  // A decoded slash, backslash or NUL is never part of a name: somebody hides a path in it.
  if (segment === "." || segment === ".." || /[/\\\0]/.test(segment))
    throw new Failure("source.outside-root");
  // On Windows a colon names a stream or a drive.
  if (sep === "\\" && segment.includes(":")) throw new Failure("source.outside-root");
  return segment;
}

function decodePercent(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (thrown) {
    const says = "The document's address has a % that encodes nothing. Write %25 for a percent sign.";
    throw new Failure("source.not-found", { says, cause: thrown });
  }
}

/** The open file, and what was known of it before anything of it was read. */
async function openInside(
  root: Root,
  segments: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly file: FileHandle; readonly before: BigIntStats }> {
  let file: FileHandle | null = null;
  try {
    const wanted = await realpath(join(root.path, ...segments));
    if (!staysInside(relative(root.path, wanted))) throw new Failure("source.outside-root");
    // Opening alone can do something to a device: look before, although only the look after is proof.
    if (!(await lstat(wanted)).isFile()) throw notAFile();
    signal.throwIfAborted(); // a network disk may have taken its time
    file = await open(wanted, OPEN_FLAGS);
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) throw notAFile();
    if (!staysInside(relative(root.path, await whereOpened(file, wanted))))
      throw new Failure("source.outside-root");
    return { file, before };
  } catch (thrown) {
    await file?.close();
    signal.throwIfAborted();
    const failure = fileFailure(thrown);
    if (failure.code === "source.not-found") await refuseWithoutRoot(root);
    throw failure;
  }
}

/** The path of what was really opened, whatever was put in its place before or since. */
async function whereOpened(file: FileHandle, wanted: string): Promise<string> {
  const known = await readlink(`/proc/self/fd/${file.fd}`).catch(() => null);
  if (known !== null) return known;
  // Without /proc (macOS, Windows): the path must still lead to the very file that is open.
  const now = await realpath(wanted);
  const [opened, found] = await Promise.all([file.stat({ bigint: true }), lstat(now, { bigint: true })]);
  if (opened.dev !== found.dev || opened.ino !== found.ino) throw new Failure("source.changed");
  return now;
}

// A volume that is not mounted would otherwise fail every document below it, one by one and for good.
async function refuseWithoutRoot(root: Root): Promise<void> {
  const now = await stat(root.path, { bigint: true }).catch(() => null);
  if (now === null || now.dev !== root.device || now.ino !== root.inode)
    throw new Failure("config.invalid", {
      says: "RAG_DOCUMENT_ROOT is no longer the folder it was at start (moved, or its volume is not mounted).",
    });
}

/** Yields one buffer again and again: use each before asking for the next. Throws `source.changed`. */
export async function* readUnchanging(
  file: FileHandle,
  before: Pick<BigIntStats, "size" | "mtimeNs">,
): AsyncIterable<Uint8Array> {
  try {
    // A short file is read at once, with room for the byte that it must not have grown by.
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Number(before.size) + 1));
    let total = 0n;
    // Ends for a file that grows without end as well: one byte past the size it had is a change. One that has no size
    // and yet something to read (/proc) has changed too.
    while (total < before.size || total === 0n) {
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, null);
      if (bytesRead === 0) break;
      total += BigInt(bytesRead);
      yield buffer.subarray(0, bytesRead);
    }
    const after = await file.stat({ bigint: true });
    if (total !== before.size || after.size !== before.size || after.mtimeNs !== before.mtimeNs)
      throw new Failure("source.changed", {
        facts: { bytesBefore: Number(before.size), bytesRead: Number(total) },
      });
  } catch (thrown) {
    throw fileFailure(thrown);
  }
}

// ELOOP: links in a ring, or a link that was put there between the look and the opening.
const codeByErrno: Readonly<Record<string, FailureCode>> = {
  ENOENT: "source.not-found",
  ENOTDIR: "source.not-found",
  ENAMETOOLONG: "source.not-found",
  ELOOP: "source.not-found",
  EACCES: "source.unreadable",
  EPERM: "source.unreadable",
};

function fileFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const errno = (thrown as NodeJS.ErrnoException).code ?? "unknown";
  if (errno === "ENXIO" || errno === "EISDIR") return notAFile(thrown);
  return new Failure(codeByErrno[errno] ?? "source.unreachable", { cause: thrown, facts: { errno } });
}

const notAFile = (cause?: unknown) =>
  new Failure("source.unsupported", {
    says: "The document's address names a folder or a device, not a file. Name one file.",
    cause,
  });

// `inside` is what path.relative answers: on Windows that is absolute when the drive differs.
const staysInside = (inside: string) =>
  inside !== "" && inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
