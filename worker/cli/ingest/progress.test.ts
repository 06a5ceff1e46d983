import { expect, test } from "vitest";
import type { JobRow } from "../job-row.ts";
import { openProgress } from "./progress.ts";

function stream(isTTY: boolean) {
  let text = "";
  return {
    isTTY,
    columns: 80,
    write: (more: string) => {
      text += more;
    },
    text: () => text,
  };
}

const job = (over: Partial<JobRow>) =>
  ({
    status: "processing",
    stage: "embedding",
    total_chunks: null,
    processed_chunks: 0,
    reused_chunks: 0,
    total_segments: null,
    processed_segments: 0,
    error_code: null,
    ...over,
  }) as JobRow; // SAFETY: the fields that a display reads.

/** What a person sees in the end: each rewind takes back as many lines. */
function screen(text: string): string[] {
  const lines: string[] = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape is what is looked for.
  for (const [, up, line] of text.matchAll(/\u001b\[(\d+)A\r\u001b\[0J|([^\n]*)\n/g))
    if (up === undefined) lines.push(line ?? "");
    else lines.splice(-Number(up));
  return lines;
}

test("without a terminal there is one line a document and no escape", () => {
  const out = stream(false);
  const progress = openProgress(out);

  progress.found(2, true);
  progress.progressed([{ row: job({}), path: "/x/a.md" }]);
  progress.ended("/x/a.md", job({ status: "complete", processed_chunks: 3, reused_chunks: 1 }));
  progress.failed({ source: "/x/b.pdf", code: "extract.corrupt", message: "Damaged." });
  progress.end();

  expect(out.text()).toBe("done    a.md  3 chunks, 1 reused\nfailed  /x/b.pdf  extract.corrupt: Damaged.\n");
});

test("on a terminal the bars stay at the bottom and are gone in the end", () => {
  const out = stream(true);
  const progress = openProgress(out);

  progress.found(2, true);
  progress.progressed([{ row: job({ total_segments: 4, processed_segments: 2 }), path: "/x/a.md" }]);
  const during = screen(out.text());
  progress.ended("/x/a.md", job({ status: "complete", processed_chunks: 3 }));
  const after = screen(out.text());
  progress.end();

  expect(during).toEqual([
    "[░░░░░░░░░░░░░░░░░░░░] 0/2 documents",
    `  ${"a.md".padEnd(28)} [██████████░░░░░░░░░░] embedding`,
  ]);
  expect(after.slice(0, 2)).toEqual([
    "done    a.md  3 chunks, 0 reused",
    "[██████████░░░░░░░░░░] 1/2 documents",
  ]);
  expect(screen(out.text())).toEqual(["done    a.md  3 chunks, 0 reused"]);
});

test("many jobs at once do not fill the screen", () => {
  const out = stream(true);

  openProgress(out).progressed(
    Array.from({ length: 20 }, (_, place) => ({ row: job({}), path: `/x/${place}.md` })),
  );

  expect(screen(out.text())).toHaveLength(10);
  expect(screen(out.text()).at(-1)).toBe("  and 12 more");
});

test("a job that waits for another try says after what", () => {
  const out = stream(true);

  openProgress(out).progressed([
    { row: job({ status: "queued", error_code: "embed.unavailable" }), path: "/x/a.md" },
  ]);

  expect(screen(out.text()).at(-1)).toContain("waits: embed.unavailable");
});

test("a file name cannot move the cursor or recolour the terminal", () => {
  const out = stream(false);

  openProgress(out).failed({ source: "evil\u001b[2J\n.md", code: "extract.empty", message: "Empty." });

  expect(out.text()).toBe("failed  evil [2J .md  extract.empty: Empty.\n");
});
