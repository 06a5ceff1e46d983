import fc from "fast-check";
import iconv from "iconv-lite";
import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const textOf = async (bytes: string | Uint8Array, name = "a.csv") => (await readBytes(name, bytes)).text;

test.each([
  ["commas", "name,age\nAda,36\nGrace,85\n"],
  ["semicolons", "name;age\nAda;36\nGrace;85\n"],
  ["tabs", "name\tage\nAda\t36\nGrace\t85\n"],
  ["bars", "name|age\nAda|36\nGrace|85\n"],
  ["what the file says itself", "sep=:\nname:age\nAda:36\nGrace:85\n"],
  ["semicolons although numbers have commas", "name;age\nAda;36,0\nGrace;85,0\n".replaceAll(",0", "")],
])("cells are told apart by %s", async (_, bytes) => {
  expect(await textOf(bytes)).toBe("name | age\nAda | 36\nGrace | 85\n");
});

test("decimal commas do not make columns", async () => {
  expect(await textOf("art;preis;menge\nBrot;1,50;2\nMilch;0,99;10\n")).toBe(
    "art | preis | menge\nBrot | 1,50 | 2\nMilch | 0,99 | 10\n",
  );
});

test("quoted cells may hold separators, line breaks and quotes", async () => {
  expect(await textOf('a,b\n"x, y","say ""hi""\nagain"\n')).toBe('a | b\nx, y | say "hi" again\n');
});

test("a quote that is never closed does not swallow the rest of the file", async () => {
  const { text, extraction } = await readBytes("a.csv", 'a,b\n"open,1\nc,2\nd,3\n');

  expect(text).toBe('a | b\n"open | 1\nc | 2\nd | 3\n');
  expect(extraction.decisions).toContain("quotes do not pair off: read as characters");
});

test("inches and apostrophes inside of cells are characters", async () => {
  expect(await textOf("size,name\n19\" rack,x\n5' tall,y\n")).toBe(
    "size | name\n19\" rack | x\n5' tall | y\n",
  );
});

test("rows of different lengths, empty cells and empty lines keep every word", async () => {
  expect(await textOf("a,b,c\n\n1,,3\n1\n1,2,3,4\n,,\n")).toBe("a | b | c\n1 |  | 3\n1\n1 | 2 | 3 | 4\n");
});

test("one column is one cell a line", async () => {
  expect(await textOf("words\nfirst thing\nsecond thing\n")).toBe("words\nfirst thing\nsecond thing\n");
});

test("the encoding is found as for any text", async () => {
  const legacy = iconv.encode("straße;größe\nMüllerstraße;groß\nÄußere Straße;übergroß\n", "windows-1252");
  const utf16 = Buffer.from("\ufeffa\tb\nÄ\t2\n", "utf16le");

  expect(await textOf(legacy)).toContain("Müllerstraße | groß");
  expect(await textOf(utf16, "a.tsv")).toBe("a | b\nÄ | 2\n");
});

test("a declared type is enough, a name without commas in it is not needed", async () => {
  const reading = await readBytes("upload", "a,b\n1,2\n", { mediaType: "text/csv; charset=utf-8" });

  expect(reading.extraction).toMatchObject({ mediaType: "text/csv" });
  expect(reading.text).toBe("a | b\n1 | 2\n");
});

test("a table without a word is empty", async () => {
  expect(await failureOf(textOf(",,,\n,,,\n"))).toBe("extract.empty");
});

test("any table that a writer of CSV quotes is read back cell by cell", async () => {
  const cell = fc.string({
    maxLength: 8,
    unit: fc.constantFrom("a", "b", ",", ";", '"', "'", "\t", "é", "7"),
  });
  const table = fc
    .integer({ min: 2, max: 5 })
    .chain((width) =>
      fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 3, maxLength: 8 }),
    );
  await fc.assert(
    fc.asyncProperty(table, async (rows) => {
      // The header is plain so that the separator can be seen, as it can in any real file.
      const plain = rows[0]?.map((_, at) => `column${at}`) ?? [];
      const all = [plain, plain, ...rows];
      const written = all
        .map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(","))
        .join("\n");
      const expected = all
        .map((row) => row.map((each) => each.replace(/\s+/g, " ").trim()))
        .map((row) => row.slice(0, row.findLastIndex((each) => each !== "") + 1).join(" | "))
        .filter((line) => line !== "");
      expect((await textOf(written)).trimEnd().split("\n")).toEqual(expected.map((line) => line.trimEnd()));
    }),
    { numRuns: 100 },
  );
});
