// From what was typed to files: a file as it is, a folder with all below it, a glob.
// A file that was named is always taken; in folders and globs, what is plainly no document is left out, counted.
import type { Stats } from "node:fs";
import { glob, opendir, realpath, stat } from "node:fs/promises";
import { basename, extname, join, resolve, sep } from "node:path";
import { Failure } from "../../failure/failure.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";

export type FoundFile = {
  readonly kind: "file";
  readonly path: string;
  readonly byteSize: number;
  /** When it was last written, in microseconds since 1970. */
  readonly modifiedUs: number;
};
export type FindOptions = {
  /** Links to files are left out as links to folders are: what they lead to has an own place, or is none of ours. */
  readonly withoutLinks?: boolean;
  /** Told of each folder that is walked. */
  readonly onFolder?: (path: string) => void;
};
export type Found =
  | FoundFile
  /** A path that leads nowhere (as it was typed) or may not be read. */
  | { readonly kind: "missing"; readonly source: string; readonly failure: Failure }
  /** Left out of a folder or glob; `why` is a word to count by, such as `.png`. */
  | { readonly kind: "skipped"; readonly path: string; readonly why: string };

// Folders below which nothing was written to be read by people.
const SKIPPED_FOLDERS = new Set(["node_modules", "__pycache__"]);
const MOST_DEPTH = 64;

// Extensions whose bytes hold no text that we could read. Everything else is decided by its content.
const NO_DOCUMENT = new Set(
  [
    "png jpg jpeg gif webp avif bmp ico tif tiff heic svgz psd ai",
    "mp3 m4a aac wav flac ogg opus mp4 m4v mov avi mkv webm",
    "zip gz tgz bz2 xz zst 7z rar tar jar war iso dmg deb rpm msi",
    "exe dll so dylib bin o a class pyc wasm node obj lib",
    "ttf otf woff woff2 eot sqlite sqlite3 db mdb parquet gguf safetensors onnx pt",
  ].flatMap((line) => line.split(" ").map((extension) => `.${extension}`)),
);

// What programs call a file that they have not finished writing, and the locks of editors.
const UNFINISHED =
  /^(~\$|\.~lock)|(\.(part|partial|crdownload|download|filepart|tmp|temp|upload|swp|swx)|~)$/i;

/** Every file once, however many of the paths lead to it; folders in order of name. */
export async function* findFiles(
  paths: readonly string[],
  folder: string,
  options: FindOptions = {},
): AsyncIterable<Found> {
  const seen = new Set<string>();
  for (const typed of paths) {
    for await (const found of guarded(typed, findOne(typed, folder, options))) {
      if (found.kind === "missing") {
        yield found;
        continue;
      }
      const real = await realpath(found.path).catch(() => found.path);
      if (seen.has(real)) continue;
      seen.add(real);
      yield found;
    }
  }
}

async function* findOne(typed: string, folder: string, options: FindOptions): AsyncIterable<Found> {
  const path = resolve(folder, typed);
  const met = await stat(path).catch(asMissing);
  if (met?.isDirectory()) yield* walk(path, 0, options);
  else if (met?.isFile()) yield fileOf(path, met);
  else if (met !== null) yield missing(typed, "The path names neither a file nor a folder.");
  else if (/[*?[\]{}]/.test(typed)) yield* expand(typed, folder);
  else yield missing(typed, "There is no file or folder at this path.");
}

async function* walk(folder: string, depth: number, options: FindOptions): AsyncIterable<Found> {
  options.onFolder?.(folder);
  const entries = [];
  for await (const entry of await opendir(folder)) entries.push(entry);
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".") || SKIPPED_FOLDERS.has(entry.name)) continue;
    if (entry.isSymbolicLink() && options.withoutLinks) yield { kind: "skipped", path, why: "link" };
    else if (!entry.isDirectory()) yield* guarded(path, judge(path));
    else if (depth < MOST_DEPTH) yield* guarded(path, walk(path, depth + 1, options));
    else yield { kind: "skipped", path, why: "too deep" };
  }
}

async function* expand(pattern: string, folder: string): AsyncIterable<Found> {
  const hidden = (name: string) =>
    name
      .split(/[/\\]/)
      .some((part) => (part.startsWith(".") && !/^\.{1,2}$/.test(part)) || SKIPPED_FOLDERS.has(part));
  const names: string[] = [];
  for await (const name of glob(pattern, { cwd: folder })) if (!hidden(name)) names.push(name);
  let files = 0;
  for (const name of names.sort()) {
    const path = resolve(folder, name);
    if ((await stat(path).catch(asMissing))?.isDirectory()) continue;
    files += 1;
    yield* guarded(path, judge(path));
  }
  if (files === 0) yield missing(pattern, "No file matches this pattern.");
}

async function* judge(path: string): AsyncIterable<Found> {
  const why = (word: string): Found => ({ kind: "skipped", path, why: word });
  const extension = extname(path).toLowerCase();
  const met = await stat(path).catch(asMissing);
  if (met === null) yield why("broken link");
  // A link to a folder is not followed: it may lead back up.
  else if (met.isDirectory()) yield why("link to a folder");
  else if (!met.isFile()) yield why("no file");
  else if (NO_DOCUMENT.has(extension)) yield why(extension);
  else if (UNFINISHED.test(basename(path))) yield why("unfinished");
  else if (met.size === 0) yield why("empty");
  else yield fileOf(path, met);
}

const fileOf = (path: string, { size, mtimeMs }: Stats): FoundFile => ({
  kind: "file",
  path,
  byteSize: size,
  modifiedUs: Math.round(mtimeMs * 1000),
});

/** What cannot be looked at is one more thing that was found; the search goes on beside it. */
async function* guarded(source: string, found: AsyncIterable<Found>): AsyncIterable<Found> {
  try {
    yield* found;
  } catch (thrown) {
    yield { kind: "missing", source, failure: pathFailure(thrown) };
  }
}

function missing(source: string, says: string): Found {
  return {
    kind: "missing",
    source,
    failure: new Failure("source.not-found", { says, facts: { path: source } }),
  };
}

function asMissing(thrown: unknown): null {
  if (nowhere.has(errnoOf(thrown))) return null;
  throw thrown;
}

const nowhere = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]);
const refused = new Set(["EACCES", "EPERM"]);

const errnoOf = (thrown: unknown) => (thrown as NodeJS.ErrnoException).code ?? "";

/** What the operating system said of a path, as a failure of that path alone; anything else as it is. */
export function pathFailure(thrown: unknown): Failure {
  const failure = failureFromUnknown(thrown);
  const errno = errnoOf(thrown);
  if (failure.code !== "unexpected" || !(thrown instanceof Error && "syscall" in thrown)) return failure;
  const facts = { errno };
  if (nowhere.has(errno)) return new Failure("source.not-found", { cause: thrown, facts });
  const says = "The operating system does not let us read this path.";
  if (refused.has(errno)) return new Failure("source.unreadable", { says, cause: thrown, facts });
  return new Failure("source.unreachable", { cause: thrown, facts });
}

/** The path as people know it: relative to where they stand when it is below. */
export function shownPath(path: string, folder: string): string {
  const start = folder.endsWith(sep) ? folder : folder + sep;
  return path.startsWith(start) ? path.slice(start.length) : path;
}
