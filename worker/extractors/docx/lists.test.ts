import { expect, test } from "vitest";
import { makeDocx, paragraph } from "../testing/make-docx.ts";
import { readBytes } from "../testing/read-bytes.ts";

const level = (at: number, format: string, text: string, more = ""): string =>
  `<w:lvl w:ilvl="${at}"><w:start w:val="1"/><w:numFmt w:val="${format}"/><w:lvlText w:val="${text}"/>${more}</w:lvl>`;
const list = (id: number, levels: string): string =>
  `<w:abstractNum w:abstractNumId="${id}">${levels}</w:abstractNum>`;
const use = (id: number, abstract: number, more = ""): string =>
  `<w:num w:numId="${id}"><w:abstractNumId w:val="${abstract}"/>${more}</w:num>`;
const item = (text: string, numId: number, at = 0, style = ""): string =>
  `<w:p><w:pPr>${style && `<w:pStyle w:val="${style}"/>`}<w:numPr><w:ilvl w:val="${at}"/><w:numId w:val="${numId}"/></w:numPr></w:pPr><w:r><w:t>${text}</w:t></w:r></w:p>`;
const lines = async (spec: Parameters<typeof makeDocx>[0]) =>
  (await readBytes("a.docx", makeDocx(spec))).text.trimEnd().split(/\n+/);

test("each level counts for itself and starts again below a higher one", async () => {
  const numbering =
    list(0, level(0, "decimal", "%1.") + level(1, "lowerLetter", "(%2)") + level(2, "upperRoman", "%3)")) +
    use(1, 0);
  const body =
    item("a", 1) + item("b", 1, 1) + item("c", 1, 1) + item("d", 1, 2) + item("e", 1) + item("f", 1, 1);

  expect(await lines({ body, numbering })).toEqual(["1. a", "(a) b", "(b) c", "I) d", "2. e", "(a) f"]);
});

test("a level that never starts again goes on counting", async () => {
  const numbering =
    list(0, level(0, "decimal", "%1") + level(1, "decimal", "§%2", '<w:lvlRestart w:val="0"/>')) + use(1, 0);
  const body = item("a", 1) + item("b", 1, 1) + item("c", 1) + item("d", 1, 1);

  expect(await lines({ body, numbering })).toEqual(["1 a", "§1 b", "2 c", "§2 d"]);
});

test("two uses of one list count on, an override starts again", async () => {
  const numbering =
    list(0, level(0, "decimal", "%1.")) +
    use(1, 0) +
    use(2, 0) +
    use(3, 0, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>');
  const body = item("a", 1) + item("b", 2) + item("c", 3) + item("d", 3);

  expect(await lines({ body, numbering })).toEqual(["1. a", "2. b", "7. c", "8. d"]);
});

test("headings carry the number that their style draws, in the text and in the section", async () => {
  const styles = `
    <w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
    <w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr></w:style>`;
  const numbering =
    list(
      0,
      level(0, "upperRoman", "%1", '<w:pStyle w:val="H1"/>') +
        level(1, "decimal", "%1.%2", '<w:isLgl/><w:pStyle w:val="H2"/>'),
    ) + use(1, 0);
  const body =
    paragraph("Scope", "H1") + paragraph("Terms", "H1") + paragraph("Persons", "H2") + paragraph("text");

  const { segments } = await readBytes("a.docx", makeDocx({ body, styles, numbering }));

  expect(segments.at(-1)?.section).toBe("II Terms > 2.1 Persons");
  expect(segments.at(-1)?.content).toContain("2.1 Persons\n\ntext");
});

test("a list that is a link to a numbering style is found through it", async () => {
  const styles = `<w:style w:type="numbering" w:styleId="L"><w:name w:val="L"/><w:pPr><w:numPr><w:numId w:val="5"/></w:numPr></w:pPr></w:style>`;
  const linked = '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="L"/></w:abstractNum>';
  const numbering = list(0, level(0, "decimal", "Rule %1:")) + linked + use(5, 0) + use(6, 1);

  expect(await lines({ body: item("a", 6), styles, numbering })).toEqual(["Rule 1: a"]);
});

test("bullets are a dash whatever the font draws, and numId 0 takes a style's list away", async () => {
  const styles = `<w:style w:type="paragraph" w:styleId="B"><w:name w:val="List Bullet"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>`;
  const numbering = list(0, level(0, "bullet", "\uf0b7")) + use(1, 0);

  const text = await lines({
    body: paragraph("a", "B") + item("b", 0, 0, "B") + item("c", 9),
    styles,
    numbering,
  });

  expect(text).toEqual(["- a", "b", "- c"]);
});

test.each([
  ["chineseCounting", "第%1条", 11, "第十一条 x"],
  ["russianUpper", "%1)", 7, "Ж) x"],
  ["decimalEnclosedCircle", "%1", 3, "③ x"],
  ["decimalZero", "%1.", 4, "04. x"],
  ["none", "Note %1", 1, "Note x"],
  ["lowerLetter", "%1)", 28, "bb) x"],
])("numbers of the format %s are written so", async (format, text, start, expected) => {
  const numbering =
    list(0, level(0, format, text)) +
    use(1, 0, `<w:lvlOverride w:ilvl="0"><w:startOverride w:val="${start}"/></w:lvlOverride>`);

  expect(await lines({ body: item("x", 1), numbering })).toEqual([expected]);
});
