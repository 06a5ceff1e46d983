// From what was typed to looks: what lies below the document root is known by its place there, everything else by
// this machine's name and its whole path.
import { realpath, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { relative, resolve, sep } from "node:path";
import type { Config } from "../../config/config.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { type Intake, type Labels, rootedPath } from "./enqueue-file.ts";
import type { Place } from "./file-note.ts";
import { findFiles } from "./find-files.ts";
import type { Look } from "./look-through.ts";
import type { ChunkSettings } from "./read-as.ts";

export type Typed = {
  readonly paths: readonly string[];
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly again: boolean;
  readonly deleteMissing: boolean;
  readonly wait: boolean;
};

type Parts = {
  readonly config: Intake["config"] & ChunkSettings & Pick<Config, "onMissingFile" | "poolMax">;
  readonly database: { readonly call: SqlCall; readonly transport: string };
};

/** One look for each place; files that several paths of one place lead to are found once. */
export async function looksAt(typed: Typed, parts: Parts, labels: Labels): Promise<readonly Look[]> {
  const { config, database } = parts;
  const below: string[] = [];
  const elsewhere: string[] = [];
  for (const path of typed.paths) {
    const rooted = await rootedPath(resolve(typed.folder, path), config.documentRoot).catch(() => null);
    if (rooted === null) elsewhere.push(path);
    else below.push(rooted.file);
  }
  const shared = {
    intake: { call: database.call, config, labels },
    onMissing: typed.deleteMissing ? "delete" : config.onMissingFile === "delete" ? "guarded" : "keep",
    withoutLinks: false,
    isSettled: () => true,
    // A title is said of this one file, which may be as it was.
    force: typed.again || labels.title !== null,
    finished: typed.wait,
    // As many at once as there are connections, less one for following.
    lanes: database.transport === "embedded" ? 1 : Math.max(1, config.poolMax - 1),
  } as const;
  const looks: Look[] = [];
  if (below.length > 0 && config.documentRoot !== null) {
    const root = await realpath(config.documentRoot);
    const place = rootPlace(root);
    const folders = await foldersOf(below, typed.folder, (path) => inRoot(root, path));
    looks.push({ ...shared, place, root, folders, files: findFiles(below, typed.folder) });
  }
  if (elsewhere.length > 0) {
    const place = { place: hostname(), pathOf: posix };
    const folders = await foldersOf(elsewhere, typed.folder, (path) => ({
      noted: `${posix(path).replace(/\/$/, "")}/`,
      absoluteOf: (noted) => noted,
    }));
    looks.push({ ...shared, place, root: null, folders, files: findFiles(elsewhere, typed.folder) });
  }
  return looks;
}

export const rootPlace = (root: string): Place => ({
  place: "root",
  pathOf: (absolute) => posix(relative(root, absolute)),
});

/** A folder at or below the root, as notes call it. */
export const inRoot = (root: string, path: string): Look["folders"][number] => {
  const inside = posix(relative(root, path));
  return { noted: inside === "" ? "" : `${inside}/`, absoluteOf: (noted) => resolve(root, noted) };
};

async function foldersOf(
  paths: readonly string[],
  folder: string,
  folderOf: (path: string) => Look["folders"][number],
): Promise<Look["folders"]> {
  const folders = [];
  for (const path of paths) {
    const absolute = resolve(folder, path);
    const isFolder = await stat(absolute).then(
      (met) => met.isDirectory(),
      () => false,
    );
    if (isFolder) folders.push(folderOf(absolute));
  }
  return folders;
}

const posix = (path: string) => (sep === "/" ? path : path.split(sep).join("/"));
