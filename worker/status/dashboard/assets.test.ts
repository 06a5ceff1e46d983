import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { closeWorlds, openWorld } from "../testing/open-world.ts";
import { assetPaths } from "./assets.ts";

afterEach(closeWorlds);

const folder = join(import.meta.dirname, "page");
const text = (name: string) => readFileSync(join(folder, name), "utf8");

test("every file of the page is served with its type, and each is a file", async () => {
  const { ask } = await openWorld({ token: "t", host: null });

  expect(assetPaths.map((path) => path.split("/").pop() || "index.html").toSorted()).toEqual(
    readdirSync(folder)
      .filter((name) => !name.endsWith(".css"))
      .toSorted(),
  );
  for (const path of assetPaths) {
    const answer = await ask(path);
    expect(answer.status, path).toBe(200);
    expect(answer.headers["content-type"]).toMatch(
      path.endsWith(".js") ? /^text\/javascript/ : /^(text\/html|image\/svg)/,
    );
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  }
});

test("whoever has a file already is told so, and a new one is sent", async () => {
  const { ask } = await openWorld();
  const first = await ask("/dashboard/page.js");
  const etag = String(first.headers.etag);

  const again = await ask("/dashboard/page.js", { "if-none-match": etag });
  const changed = await ask("/dashboard/page.js", { "if-none-match": '"other"' });

  expect(again).toMatchObject({ status: 304, text: "" });
  expect(changed).toMatchObject({ status: 200, text: first.text });
});

test.each([
  "/dashboard/",
  "/dashboard/../pages.ts",
  "/dashboard/%2e%2e/pages.ts",
  "/dashboard/assets.ts",
  "/dashboard/__proto__",
  "/dashboard/index.html",
  "/constructor",
])("%s is no file of the page", async (path) => {
  const { ask } = await openWorld();

  expect((await ask(path)).status).toBe(404);
});

test("the policy lets nothing run that is not a file of ours, and no text become markup", async () => {
  const { ask } = await openWorld();

  const policy = String((await ask("/")).headers["content-security-policy"]);

  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|data:|https?:|\*/);
});

test("the page carries all of its style, and the policy allows that one style and no other", async () => {
  const { ask } = await openWorld();

  const { text: page, headers } = await ask("/");

  const [, style = ""] = /<style>([\s\S]*)<\/style>/.exec(page) ?? [];
  const sheets = readdirSync(folder).filter((name) => name.endsWith(".css"));
  expect(sheets.length).toBeGreaterThan(2);
  for (const name of sheets) expect(style).toContain(text(name));
  const hash = createHash("sha256").update(style).digest("base64");
  expect(headers["content-security-policy"]).toContain(`; style-src 'sha256-${hash}'; `);
});

test("the page as it lies there asks nobody else, has no script or style within, and announces every script", () => {
  const page = text("index.html");

  expect(page).not.toMatch(/https?:\/\/|<style>[^<]|<script(?! type="module" src="\/)|\son[a-z]+=|style="/);
  for (const path of assetPaths) if (path.endsWith(".js")) expect(page).toContain(`"${path}"`);
});

test("no script makes markup or code of text", () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".js")))
    expect(text(name), name).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"|localStorage|document\.cookie/,
    );
});
