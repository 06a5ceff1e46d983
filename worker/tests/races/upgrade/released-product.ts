// The last release, to be run beside this tree: unpacked from what `npm run release` kept of it. Not from its git tag,
// for a clone may have no tags and no history; and nothing of this tree can pass for it, for it is another file, looked
// through here for the version and the migrations that supabase/released.json has.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { hashMigrations, RELEASED_PACKAGE, readReleased } from "../../../../scripts/release.ts";

const run = promisify(execFile);

export type ReleasedProduct = {
  /** What `node` runs. */
  readonly main: string;
  /** File names of its migrations, in order. */
  readonly migrations: readonly string[];
  /** Runs one of its commands to a good end. */
  rag(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
};

/** With the dependencies of this tree: one that is gone or changed too much shows as a worker that does not start. */
export async function unpackReleased(): Promise<ReleasedProduct> {
  const folder = await mkdtemp(join(tmpdir(), "rag-released-"));
  const product = join(folder, "package");
  await run("tar", ["-xzf", RELEASED_PACKAGE, "-C", folder]);
  await symlink(join(import.meta.dirname, "../../../../node_modules"), join(product, "node_modules"));
  const { version, migrations } = readReleased();
  const packed = JSON.parse(await readFile(join(product, "package.json"), "utf8")) as { version: unknown };
  const hashes = hashMigrations(join(product, "supabase/migrations"));
  if (packed.version !== version || JSON.stringify(hashes) !== JSON.stringify(migrations))
    throw new Error(`The package is not that of ${version} in supabase/released.json: run npm run release.`);
  const main = join(product, "worker/main.ts");
  return {
    main,
    migrations: Object.keys(migrations),
    async rag(args, environment) {
      const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...environment };
      await run(process.execPath, [main, ...args], { cwd: folder, env });
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
