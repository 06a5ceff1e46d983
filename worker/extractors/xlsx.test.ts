import fc from "fast-check";
import { expect, test } from "vitest";
import { makeXlsx, type WorkbookSpec } from "./testing/make-office.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (spec: WorkbookSpec) => readBytes("a.xlsx", makeXlsx(spec));
const sheet = (rows: string, more: Partial<WorkbookSpec> = {}): WorkbookSpec => ({
  sheets: [{ name: "S", rows }],
  ...more,
});
const bodyOf = async (spec: WorkbookSpec) => (await read(spec)).text.replace(/^S\n\n/, "");
const inline = (at: string, text: string): string => `<c r="${at}" t="inlineStr"><is><t>${text}</t></is></c>`;
const number = (at: string, value: number, style = 0): string =>
  `<c r="${at}" s="${style}"><v>${value}</v></c>`;
const styles = (...codes: string[]): string =>
  `<numFmts>${codes.map((code, at) => `<numFmt numFmtId="${164 + at}" formatCode="${code.replaceAll('"', "&quot;")}"/>`).join("")}</numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>${codes.map((_, at) => `<xf numFmtId="${164 + at}"/>`).join("")}</cellXfs>`;

test("a sheet is a page with its name as heading, rows are lines of cells, an empty row ends a table", async () => {
  const rows = `<row r="1">${inline("A1", "Name")}${inline("B1", "Age")}</row><row r="2">${inline("A2", "Ada")}${number("B2", 36)}</row><row r="4">${inline("C4", "Total")}${number("D4", 1)}</row>`;

  const { segments, extraction } = await read({
    sheets: [
      { name: "People", rows },
      { name: "Empty", rows: "" },
      { name: "More", rows: `<row>${inline("A1", "x")}</row>` },
    ],
  });

  expect(segments.map(({ pageNumber, section, content }) => [pageNumber, section, content])).toEqual([
    [1, "People", "People\n\nName | Age\nAda | 36\n\nTotal | 1\n\n"],
    [3, "More", "More\n\nx\n"],
  ]);
  expect(extraction.pages).toBe(3);
});

test("texts may be shared, in runs, with readings, stored by formulas or truth values", async () => {
  const rows = `<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="str"><f>A1&amp;"x"</f><v>made</v></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c><c t="s"><v>99</v></c></row>`;
  const texts = ["<t>one</t>", "<r><t>東</t></r><r><t>京</t></r><rPh><t>トウキョウ</t></rPh>"];

  expect(await bodyOf(sheet(rows, { texts }))).toBe("one | 東京 | made | TRUE | #N/A\n");
});

test.each([
  ["yyyy-mm-dd", 45_000, "2023-03-15"],
  ["dd/mm/yy hh:mm", 45_000.5, "2023-03-15 12:00"],
  ["[$-409]mmm\\ yy;@", 45_000, "2023-03-15"],
  ["h:mm AM/PM", 0.75, "18:00"],
  ["[h]:mm", 1.5, "36:00"],
  ["0.00%", 0.256, "25.60%"],
  ["0%", 0.5, "50%"],
  ["#,##0.00", 1_234.5, "1234.50"],
  ["#,##0", 1_234_567, "1234567"],
  ['#,##0.00\\ "€"', 1_234.5, "1234.50 €"],
  ["$#,##0;[Red]-$#,##0", -12, "-$12"],
  ['0.0 "kg"', 12.34, "12.3 kg"],
  ["General", 0.1 + 0.2, "0.3"],
  ["@", 7, "7"],
  ["garbage[[[", 7, "7"],
  ["yyyy-mm-dd", -5, "-5"],
])("a number with the format %s is written as %d -> %s", async (code, value, expected) => {
  const spec = sheet(`<row>${number("A1", value, 1)}</row>`, { styles: styles(code) });

  expect(await bodyOf(spec)).toBe(`${expected}\n`);
});

test("dates that count from 1904 and the built-in date format are known", async () => {
  const spec = sheet(`<row>${number("A1", 43_538, 1)}</row>`, {
    properties: '<workbookPr date1904="1"/>',
    styles: '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>',
  });

  expect(await bodyOf(spec)).toBe("2023-03-15\n");
});

test("hidden sheets are left out and counted", async () => {
  const rows = `<row>${inline("A1", "x")}</row>`;
  const { text, extraction } = await read({
    sheets: [
      { name: "A", rows, state: "hidden" },
      { name: "B", rows },
      { name: "C", rows, state: "veryHidden" },
    ],
  });

  expect(text).toBe("B\n\nx\n");
  expect(extraction.decisions).toContain("hidden sheets left out (2)");
});

test("gaps keep the columns, also where a writer leaves the references out; a far cell does not write a thousand bars", async () => {
  const rows = `<row r="1">${inline("B1", "a")}${inline("D1", "c")}</row><row r="2">${inline("C2", "b")}${inline("XFD2", "far")}</row><row>${inline("", "x").replace(' r=""', "")}</row>`;

  const lines = (await bodyOf(sheet(rows))).split("\n");

  expect(lines.slice(0, 1)).toEqual(["a |  | c"]);
  expect(lines[1]).toMatch(/^ \| b( \| )+far$/);
  expect(lines[1]?.length).toBeLessThan(200);
  expect(lines[2]).toBe("x");
});

test("formulas without a stored result are counted, not read", async () => {
  const { text, extraction } = await read(
    sheet(`<row>${inline("A1", "x")}<c r="B1"><f>SUM(A1:A9)</f></c></row>`),
  );

  expect(text).toBe("S\n\nx\n");
  expect(extraction.decisions).toContain("formulas without a stored result left out (1)");
});

test("a workbook without a cell is empty; more text than allowed is too large", async () => {
  const rows = `<row><c t="s"><v>0</v></c></row>`;
  const large = () =>
    readBytes("a.xlsx", makeXlsx(sheet(rows, { texts: [`<t>${"x".repeat(2_000)}</t>`] })), {
      maxChars: 1_000,
    });

  expect(await failureOf(read(sheet("")))).toBe("extract.empty");
  expect(await failureOf(large())).toBe("extract.too-large");
});

test("any grid of words is read back cell by cell", async () => {
  const grid = fc.integer({ min: 2, max: 6 }).chain((width) =>
    fc.array(fc.array(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: width, maxLength: width }), {
      minLength: 1,
      maxLength: 6,
    }),
  );
  await fc.assert(
    fc.asyncProperty(grid, async (rows) => {
      const xml = rows.map(
        (row, at) =>
          `<row r="${at + 3}">${row.map((word, column) => inline(`${String.fromCharCode(67 + column)}${at + 3}`, word)).join("")}</row>`,
      );
      expect(await bodyOf(sheet(xml.join("")))).toBe(`${rows.map((row) => row.join(" | ")).join("\n")}\n`);
    }),
    { numRuns: 40 },
  );
});
