// npm run release: freezes the migrations of the version in package.json, and keeps its package for the upgrade test.
// `--check` writes nothing and fails when a migration was changed that a release has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";

const root = join(import.meta.dirname, "..");
const MIGRATIONS = join(root, "supabase/migrations");
const RECORD = join(root, "supabase/released.json");
/** What `npm pack` made of the last release: without tests, and with nothing of this tree. */
export const RELEASED_PACKAGE = join(root, "worker/tests/released/package.tgz");

/** SHA-256 of each migration's text, by file name. */
export type Hashes = Readonly<Record<string, string>>;

const record = z.object({ version: z.string(), migrations: z.record(z.string(), z.string()) });
export type Released = z.infer<typeof record>;

export const readReleased = (): Released => record.parse(JSON.parse(readFileSync(RECORD, "utf8")));

export function hashMigrations(folder: string = MIGRATIONS): Hashes {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  const hashOf = (file: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, file)))
      .digest("hex");
  return Object.fromEntries(files.toSorted().map((file) => [file, hashOf(file)]));
}

/** What a released database could not be brought to any more, a sentence each; none when all is well. */
export function findChanged(released: Released, present: Hashes): readonly string[] {
  const last = Object.keys(released.migrations).toSorted().at(-1) ?? "";
  const of = `of ${released.version}, which databases have run`;
  const changed = Object.entries(released.migrations).flatMap(([file, hash]) => {
    if (present[file] === hash) return [];
    return file in present
      ? [`${file} was edited, and is ${of}: undo that, and write the change into a new migration.`]
      : [`${file} is gone, and is ${of}: bring it back, and undo what it did in a new migration.`];
  });
  const early = Object.keys(present).filter((file) => !(file in released.migrations) && file < last);
  return [
    ...changed,
    ...early.map((file) => `${file} comes before ${last} ${of}: give it a later time in its name.`),
  ];
}

/** What keeps this tree from being released, a sentence each. */
function findUnready(version: string): readonly string[] {
  const today = new Date().toISOString().slice(0, 10);
  const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8");
  const outputs = [RECORD, RELEASED_PACKAGE].map((path) => relative(root, path));
  const uncommitted = git("status", "--porcelain", "--untracked-files=all")
    .split("\n")
    .filter((line) => line !== "" && !outputs.includes(line.slice(3)));
  const former = readReleased();
  return [
    ...(git("tag", "--list", `v${version}`) === ""
      ? []
      : [`${version} is released: v${version} is its tag. Raise the version in package.json.`]),
    ...(new RegExp(`^## ${version.replaceAll(".", "\\.")} - \\d{4}-\\d\\d-\\d\\d$`, "m").test(changelog)
      ? []
      : [`CHANGELOG.md has no section "## ${version} - ${today}": make it from what is unreleased.`]),
    ...(uncommitted.length === 0
      ? []
      : [`The package has to be what is committed. Commit first:\n${uncommitted.join("\n")}`]),
    ...(former.version === version ? [] : findChanged(former, hashMigrations())),
  ];
}

function release(version: string): void {
  const folder = mkdtempSync(join(root, "worker/tests/released/pack-"));
  try {
    const written: Released = { version, migrations: hashMigrations() };
    writeFileSync(RECORD, `${JSON.stringify(written, null, 2)}\n`);
    run("npm", ["pack", "--silent", "--pack-destination", folder]);
    const [packed] = readdirSync(folder);
    if (packed === undefined) throw new Error("npm pack has made no package.");
    renameSync(join(folder, packed), RELEASED_PACKAGE);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const git = (...args: readonly string[]): string => run("git", args).trimEnd();

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

function main(check: boolean): void {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  const wrong = check ? findChanged(readReleased(), hashMigrations()) : findUnready(version);
  if (wrong.length > 0) {
    process.stderr.write(`${wrong.join("\n")}\n`);
    process.exitCode = 1;
  } else if (!check) {
    release(version);
    process.stdout.write(
      `${version} is frozen. Now:\n  git add ${relative(root, RECORD)} ${relative(root, RELEASED_PACKAGE)}\n` +
        `  git commit -m "Release ${version}"\n  git tag -a v${version} -m "${version}"\n`,
    );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.includes("--check"));
