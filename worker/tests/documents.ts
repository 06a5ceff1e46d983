// The documents that are held against the code: every Markdown file but what only tells of the past or is a sample.
import { globSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const leftOut = /^(?:(?:.*\/)?node_modules$|\.|CHANGELOG\.md$|scripts\/demo\/samples$)/;

export const documents = globSync("**/*.md", { cwd: root, exclude: (path) => leftOut.test(path) }).toSorted();
