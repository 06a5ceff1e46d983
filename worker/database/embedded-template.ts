// A ready data folder to copy, so that only the first start on a machine pays for initdb (6 CPU-seconds)
// and migrations (1 to 2). Kept in the user's cache, named by everything that goes into it.
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { openEngine } from "./embedded-engine.ts";
import { listMigrations, migrate } from "./migrate.ts";

export type TemplateOptions = {
  readonly migrationsFolder: string;
  readonly cacheFolder?: string;
};

const KEPT_FOR_MS = 24 * 3600 * 1000;

/**
 * Puts a migrated data folder at `target`, which must not exist yet. It appears there whole or not at all,
 * so a process that dies in between leaves nothing that looks like a database.
 */
export async function layDataFolder(target: string, options: TemplateOptions): Promise<void> {
  const cache = options.cacheFolder ?? join(homedir(), ".cache", "rag-ingestion-worker", "templates");
  const engineKey = hash(await versionsOf(["@electric-sql/pglite", "@electric-sql/pglite-pgvector"]));
  const schemaKey = hash([engineKey, await textOf(options.migrationsFolder)]);
  try {
    await mkdir(cache, { recursive: true, mode: 0o700 });
  } catch {
    return build(target, (folder) => makeMigrated(folder, options.migrationsFolder)); // No cache: the long way.
  }
  const empty = join(cache, `empty-${engineKey}`);
  const migrated = join(cache, `migrated-${schemaKey}`);
  if (!existsSync(migrated)) {
    if (!existsSync(empty)) await build(empty, makeEmpty);
    await build(migrated, async (folder) => {
      await cp(empty, folder, { recursive: true });
      await makeMigrated(folder, options.migrationsFolder);
    });
    await dropOld(cache, [empty, migrated]);
  }
  await build(target, (folder) => cp(migrated, folder, { recursive: true }));
}

/** Makes a folder beside its place and moves it there; when another process was quicker, its work stands. */
async function build(place: string, make: (folder: string) => Promise<void>): Promise<void> {
  const draft = `${place}.${randomUUID()}`;
  try {
    await make(draft);
    await chmod(draft, 0o700);
    await rename(draft, place).catch((thrown: unknown) => {
      if (!existsSync(place)) throw thrown;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function makeEmpty(folder: string): Promise<void> {
  const { session } = await openEngine(folder);
  await session.close();
}

async function makeMigrated(folder: string, migrationsFolder: string): Promise<void> {
  const { session } = await openEngine(folder);
  try {
    await migrate(session, migrationsFolder);
  } finally {
    await session.close();
  }
}

/** Templates of other versions, and drafts of processes that died; other checkouts keep theirs for a day. */
async function dropOld(cache: string, kept: readonly string[]): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    const found = await stat(path).catch(() => null); // Another process may be tidying too.
    if (found !== null && !kept.includes(path) && Date.now() - found.mtimeMs > KEPT_FOR_MS)
      await rm(path, { recursive: true, force: true });
  }
}

async function versionsOf(packages: readonly string[]): Promise<readonly string[]> {
  const { resolve } = createRequire(import.meta.url);
  return Promise.all(
    packages.map((name) => readFile(join(dirname(resolve(name)), "..", "package.json"), "utf8")),
  );
}

async function textOf(folder: string): Promise<string> {
  const files = await listMigrations(folder);
  const texts = await Promise.all(files.map(({ file }) => readFile(join(folder, file), "utf8")));
  return JSON.stringify(files.map(({ file }, place) => [file, texts[place]]));
}

const hash = (parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
