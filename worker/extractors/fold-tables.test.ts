import { expect, test } from "vitest";
import type { Block } from "./cut-segments.ts";
import { createTableFolder } from "./fold-tables.ts";

function fold(read: (folder: ReturnType<typeof createTableFolder>) => void): string[] {
  const blocks: Block[] = [];
  read(createTableFolder((block) => void blocks.push(block)));
  return blocks.flatMap((block) => ("text" in block ? [`${block.kind}: ${block.text}`] : []));
}

test("a row with one filled cell stays a row below rows, and is a paragraph above them", () => {
  const lines = fold((folder) => {
    folder.openTable();
    for (const cells of [
      ["title", ""],
      ["a", "b"],
      ["", "total"],
    ]) {
      folder.openRow();
      for (const text of cells) {
        folder.openCell();
        if (text !== "") folder.put({ kind: "paragraph", text });
      }
    }
    folder.closeTable();
  });

  expect(lines).toEqual(["paragraph: title", "line: a | b", "line:  | total"]);
});

test("tables nested deeper than any author nests them lose their shape, not their text, in linear time", () => {
  const depth = 5_000;
  const lines = fold((folder) => {
    for (let at = 0; at < depth; at += 1) {
      folder.openTable();
      folder.openRow();
      folder.openCell();
      folder.put({ kind: "paragraph", text: `w${at}` });
    }
    for (let at = 0; at < depth; at += 1) {
      folder.closeRow();
      folder.closeTable();
    }
  });

  expect(lines.join(" ").match(/w\d+/g)).toEqual(Array.from({ length: depth }, (_, at) => `w${at}`));
});

test("a span is believed up to a bound", () => {
  const lines = fold((folder) => {
    folder.openTable();
    folder.openRow();
    for (const text of ["a", "b"]) {
      folder.openCell();
      folder.spanCell(1_000_000_000);
      folder.put({ kind: "paragraph", text });
    }
    folder.closeTable();
  });

  expect(lines.join("").length).toBeLessThan(2_000);
});
