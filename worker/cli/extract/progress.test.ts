import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { openExtractProgress } from "./progress.ts";

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { written, stream: { isTTY, columns: 100, write: (text: string) => written.push(text) } };
}

test("a file with pages has a bar that says how far it is", () => {
  const { written, stream } = terminal(true);
  const progress = openExtractProgress(stream);

  progress.begin("/docs/report.pdf").tell({ page: 30, pages: 120, chunks: 41 });

  const line = stripVTControlCharacters(written.join(""));
  expect(line).toContain("report.pdf");
  expect(line).toContain("[█████░░░░░░░░░░░░░░░] page 30/120  41 chunks");
});

test("lines are taken away before an answer, and a file that ended is not drawn again", async () => {
  const { written, stream } = terminal(true);
  const progress = openExtractProgress(stream);
  const first = progress.begin("first.txt");
  first.tell({ page: null, pages: null, chunks: 1 });

  progress.wipe();
  expect(written.at(-1)).toBe("\u001b[1A\r\u001b[0J");

  first.ended();
  await new Promise((resolve) => setTimeout(resolve, 110));
  written.length = 0;
  progress.begin("second.txt").tell({ page: null, pages: null, chunks: 2 });
  expect(written.join("")).toContain("second.txt");
  expect(written.join("")).not.toContain("first.txt");
});

test("where nobody watches nothing is written", () => {
  const { written, stream } = terminal(false);
  const progress = openExtractProgress(stream);

  progress.begin("report.pdf").tell({ page: 1, pages: 2, chunks: 1 });
  progress.wipe();

  expect(written).toEqual([]);
});
