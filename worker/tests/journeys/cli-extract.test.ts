// rag extract: what would be embedded, without a database.
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWorld, type RagWorld, root } from "./rag-process.ts";

const sample = (name: string) => join(root, "scripts/demo/samples", name);

let world: RagWorld;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("one line a file, in the order of the arguments, with what every chunk is", async () => {
  const files = ["handbook.pdf", "counter-guide.md", "committee-meeting.vtt", "safety-regulations.docx"].map(
    sample,
  );

  const { code, records } = await world.rag(["extract", ...files, "--json"]);

  expect(code).toBe(0);
  expect(records.map(({ file }) => file)).toEqual(files);
  expect(records.map(({ media_type }) => media_type)).toEqual([
    "application/pdf",
    "text/markdown",
    "text/vtt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ]);
  expect(records[0]?.pages).toBe(5);
  for (const { chunks } of records as unknown as { chunks: Record<string, unknown>[] }[]) {
    expect(chunks.map(({ chunk_index }) => chunk_index)).toEqual([...chunks.keys()]);
    for (const chunk of chunks) {
      expect(Object.keys(chunk).slice(0, 7)).toEqual([
        "chunk_index",
        "content",
        "token_count",
        "char_start",
        "char_end",
        "page_number",
        "section",
      ]);
      expect(Number(chunk.char_end) - Number(chunk.char_start)).toBe(String(chunk.content).length);
    }
  }
  expect(existsSync(join(world.folder, ".rag"))).toBe(false);
});

test("a file that cannot be read is a line with its code among the others, and the exit code is 1", async () => {
  await writeFile(join(world.folder, "good.txt"), "A good text with some words in it.\n");
  await writeFile(join(world.folder, "cut.pdf"), (await readFile(sample("handbook.pdf"))).subarray(0, 400));
  await writeFile(join(world.folder, "empty.txt"), "");

  const { code, records } = await world.rag([
    "extract",
    "cut.pdf",
    "good.txt",
    "gone.txt",
    "empty.txt",
    "--json",
  ]);

  expect(code).toBe(1);
  expect(records.map(({ file, error }) => [file, (error as { code?: string } | undefined)?.code])).toEqual([
    ["cut.pdf", "extract.corrupt"],
    ["good.txt", undefined],
    ["gone.txt", "source.not-found"],
    ["empty.txt", "extract.empty"],
  ]);
});

test("a file above the limit is refused unread", async () => {
  await writeFile(join(world.folder, "large.txt"), "x ".repeat(700_000));

  const { code, records } = await world.rag(["extract", "large.txt", "--json"], { RAG_MAX_FILE_MB: "1" });

  expect(code).toBe(1);
  expect(records).toMatchObject([{ file: "large.txt", error: { code: "source.too-large" } }]);
});

test("many files come in order, folders by name, without what is no document", async () => {
  const folder = join(world.folder, "many");
  await mkdir(join(folder, "node_modules"), { recursive: true });
  const names = Array.from({ length: 30 }, (_, place) => `note-${String(place).padStart(2, "0")}.md`);
  for (const name of names) await writeFile(join(folder, name), `# ${name}\n\nWords of ${name}.\n`);
  for (const name of ["photo.png", ".hidden.md", "node_modules/lib.md"])
    await writeFile(join(folder, name), "x");

  const { code, records } = await world.rag(["extract", "many", "--json"]);

  expect(code).toBe(0);
  expect(records.map(({ file }) => file)).toEqual(names.map((name) => join("many", name)));
});

test("the readable view says type, pages, places and decisions", async () => {
  const { code, out } = await world.rag(["extract", sample("handbook.pdf"), "--explain"]);

  expect(code).toBe(0);
  expect(out).toMatch(/handbook\.pdf {2}application\/pdf {2}5 pages {2}\d+ chunks/);
  expect(out).toMatch(/#0 {2}\d+ tokens {2}0–\d+ {2}p\. 1/);
});
