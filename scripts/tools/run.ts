// npx node scripts/tools/run.ts PROJECT PACKAGE [ARGUMENT…]: runs a tool that lives in an npm project of its
// own below this folder, and installs that project when it is missing or its package.json has changed.
// They are apart because each would break the root's lockfile or its compiler; package.json there says how.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [project, tool, ...toolArguments] = process.argv.slice(2);
if (project === undefined || tool === undefined) {
  process.stderr.write("usage: node scripts/tools/run.ts PROJECT PACKAGE [ARGUMENT…]\n");
  process.exit(2);
}

const folder = join(import.meta.dirname, project);
install(folder);
if (tool !== "--install") process.exit(run(process.execPath, [program(folder, tool), ...toolArguments]));

function install(folder: string): void {
  const wanted = readFileSync(join(folder, "package.json"), "utf8");
  const stamp = join(folder, "node_modules", ".installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  process.stderr.write(`Installing the tools of scripts/tools/${project} (once)…\n`);
  const command = existsSync(join(folder, "package-lock.json")) ? "ci" : "install";
  // A shell, for npm is a .cmd file on Windows; nothing here comes from outside.
  const status = run(`npm ${command} --no-audit --no-fund --loglevel=error`, [], {
    cwd: folder,
    shell: true,
  });
  if (status !== 0) {
    process.stderr.write(
      `npm ${command} failed in scripts/tools/${project}; it needs the npm registry once.\n`,
    );
    process.exit(status);
  }
  writeFileSync(stamp, wanted);
}

function program(folder: string, name: string): string {
  const home = join(folder, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
    bin: string | Record<string, string>;
  };
  const path = typeof bin === "string" ? bin : (bin[name] ?? Object.values(bin)[0]);
  if (path === undefined) throw new Error(`${name} has no program`);
  return join(home, path);
}

function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; shell?: boolean } = {},
): number {
  const ended = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (ended.error !== undefined) process.stderr.write(`${ended.error.message}\n`);
  return ended.status ?? 1;
}
