import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const TELL_LOADED = `data:text/javascript,${encodeURIComponent(
  'import { registerHooks } from "node:module"; registerHooks({ load(url, context, next) {' +
    ' process.stderr.write(url + "\\n"); return next(url, context); } });',
)}`;

test("rag --help loads the command line's own library and no other, for a person waits for it", () => {
  const main = join(import.meta.dirname, "../main.ts");

  const { status, stderr } = spawnSync(process.execPath, ["--import", TELL_LOADED, main, "--help"], {
    encoding: "utf8",
  });

  const loaded = new Set([...stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)].map(([, name]) => name));
  expect([status, [...loaded].filter((name) => name !== "node")]).toEqual([0, ["commander"]]);
});
