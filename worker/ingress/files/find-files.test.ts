import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Failure } from "../../failure/failure.ts";
import { type Found, findFiles, pathFailure } from "./find-files.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "find-files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), "words");
  }
}

async function find(...paths: string[]): Promise<string[]> {
  const found: Found[] = [];
  for await (const one of findFiles(paths, folder)) found.push(one);
  return found.map(told);
}

function told(found: Found): string {
  if (found.kind === "missing") return `missing ${found.source} ${found.failure.code}`;
  const name = found.path.slice(folder.length + 1);
  return found.kind === "file" ? name : `${name} left out: ${found.why}`;
}

test("a folder gives its files by name, however deep, without hidden ones and packages", async () => {
  await write("b.md", "a/z.txt", "a/.git/config", "node_modules/x/readme.md", ".env", "c.pdf");

  expect(await find(".")).toEqual(["a/z.txt", "b.md", "c.pdf"]);
});

test("what is plainly no document is left out of folders and globs, and counted by why", async () => {
  await write("photo.JPG", "notes.md");
  await writeFile(join(folder, "nothing.txt"), "");

  const expected = ["notes.md", "nothing.txt left out: empty", "photo.JPG left out: .jpg"];
  expect(await find(".")).toEqual(expected);
  expect(await find("*")).toEqual(expected);
});

test("a file that is named is taken, whatever it looks like", async () => {
  await write("photo.jpg", ".hidden.md");

  expect(await find("photo.jpg", ".hidden.md")).toEqual(["photo.jpg", ".hidden.md"]);
});

test("a file that several paths and links lead to is found once", async () => {
  await write("docs/one.md");
  await symlink(join(folder, "docs/one.md"), join(folder, "docs/same.md"));

  expect(await find("docs/one.md", "docs", "docs/*.md")).toEqual(["docs/one.md"]);
});

test("a link to a folder is not followed, for it may lead back up; a broken one is told", async () => {
  await write("docs/one.md");
  await symlink(folder, join(folder, "docs/up"));
  await symlink(join(folder, "gone"), join(folder, "docs/to-nowhere.md"));

  expect(await find("docs")).toEqual([
    "docs/one.md",
    "docs/to-nowhere.md left out: broken link",
    "docs/up left out: link to a folder",
  ]);
});

test("a name with glob characters in it is the file of that name before it is a pattern", async () => {
  await write("notes [1].md", "notes 1.md");

  expect(await find("notes [1].md")).toEqual(["notes [1].md"]);
});

test("paths and patterns that lead nowhere are missing, as they were typed; the others still come", async () => {
  await write("one.md");

  expect(await find("gone.md", "*.pdf", "one.md", "one.md/below")).toEqual([
    "missing gone.md source.not-found",
    "missing *.pdf source.not-found",
    "one.md",
    "missing one.md/below source.not-found",
  ]);
});

test("a path so long that no system takes it is missing, not a crash", async () => {
  expect(await find("x".repeat(5000))).toEqual([`missing ${"x".repeat(5000)} source.not-found`]);
});

test("a refusal of the operating system is that path's failure; a fault of ours stays a defect", () => {
  const refusal = Object.assign(new Error("EACCES"), { code: "EACCES", syscall: "open" });

  expect(pathFailure(refusal).code).toBe("source.unreadable");
  expect(pathFailure(Object.assign(new Error("EIO"), { code: "EIO", syscall: "read" })).code).toBe(
    "source.unreachable",
  );
  expect(pathFailure(new TypeError("x is not a function")).code).toBe("unexpected");
  expect(pathFailure(new Failure("database.unreachable")).code).toBe("database.unreachable");
});
