// What documents and code are held against each other by: every Markdown file but what only tells of the past or is a
// sample, and the names of the commands.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const leftOut = /^(?:(?:.*\/)?node_modules$|\.|CHANGELOG\.md$|scripts\/demo\/samples$)/;

export const documents = globSync("**/*.md", { cwd: root, exclude: (path) => leftOut.test(path) }).toSorted();

const listed = /const commands[^=]*= \{([\s\S]*?)\n\};/.exec(
  readFileSync(join(root, "worker/cli/run.ts"), "utf8"),
)?.[1];
export const commandNames = [...(listed ?? "").matchAll(/^ {2}"?([a-z-]+)"?: \{/gm)].map(
  ([, name = ""]) => name,
);
