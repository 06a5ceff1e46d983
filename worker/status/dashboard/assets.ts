// The page itself: files beside this one, as they are. They say nothing of what is stored, so everybody may have
// them; whoever may read asks for the rest with the token.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Answer } from "../../document/http-answer.ts";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
} as const;

/** By path. A name that is not here is not served, whatever lies in the folder. */
const files: Readonly<Record<string, string>> = {
  "/": "index.html",
  ...Object.fromEntries(
    [
      "icon.svg",
      "start.js",
      "page.js",
      "connection.js",
      "elements.js",
      "words.js",
      "plots.js",
      "overview.js",
      "parts.js",
      "system.js",
      "jobs-table.js",
      "jobs.js",
      "job.js",
      "document.js",
      "search.js",
      "actions.js",
      "sign-in.js",
    ].map((name) => [`/dashboard/${name}`, name]),
  ),
};

/** Of its own in the page itself: the first thing that a browser shows waits for all of them, and for nothing else. */
const styles = ["base.css", "figures.css", "forms.css", "views.css"];
const textOf = (name: string) => readFileSync(join(import.meta.dirname, "page", name), "utf8");
const hashOf = (text: string) => createHash("sha256").update(text).digest("base64");
const style = `\n${styles.map(textOf).join("\n")}`;

/**
 * Scripts from here alone, the one style sheet that is in the page, and no text ever becomes markup: a title with a tag in it stays a title even
 * if a line of ours forgot that.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  `style-src 'sha256-${hashOf(style)}'`,
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export const assetPaths: readonly string[] = Object.keys(files);

const read = new Map<string, { readonly body: string; readonly etag: string; readonly type: string }>();

/** null where there is no such file. `known`: the ETag that the browser has. */
export function answerAsset(path: string, known: string | undefined): Answer | null {
  const name = Object.hasOwn(files, path) ? files[path] : undefined;
  if (name === undefined) return null;
  const asset = read.get(name) ?? load(name);
  read.set(name, asset);
  const headers = {
    etag: asset.etag,
    // Kept, and asked for again each time: a new version of the worker has a new page.
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
  };
  if (known === asset.etag) return { status: 304, type: asset.type, body: "", headers };
  return { status: 200, type: asset.type, body: asset.body, headers };
}

function load(name: string) {
  const body = textOf(name).replace("<style></style>", () => `<style>${style}</style>`);
  const ending = name.slice(name.lastIndexOf(".")) as keyof typeof types; // SAFETY: the names stand above.
  return { body, type: types[ending], etag: `"${hashOf(body)}"` };
}
