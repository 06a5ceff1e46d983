import fc from "fast-check";
import { expect, test } from "vitest";
import { createRtfTokenizer } from "./rtf/tokens.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (body: string, head = "") =>
  readBytes("a.rtf", Buffer.from(`{\\rtf1\\ansi\\ansicpg1252 ${head}${body}}`, "latin1"));
const textOf = async (body: string, head = "") => (await read(body, head)).text;

test("paragraphs, breaks, signs and escapes", async () => {
  const text = await textOf(
    "\\pard one\\tab two\\line three\\par \\'93quoted\\'94 \\endash  a\\~b \\_ \\{x\\}\\\\\\par\nin\\-side\n out\\\nlast",
  );

  expect(text).toBe("one two\nthree\n\n“quoted” – a b - {x}\\\n\ninside out\n\nlast\n");
});

test("headings by the style's name, in any language, by its outline level and by the paragraph's own", async () => {
  const head =
    "{\\stylesheet{\\s0 Normal;}{\\s1\\sbasedon0\\f5\\fs32 heading 1;}{\\s2 \\'dcberschrift 2;}{\\s7\\outlinelevel2 Mine;}{\\*\\cs10 Default;}}{\\info{\\title The Title}}";
  const { segments, extraction } = await read(
    "\\pard\\s1 A\\par\\pard\\s2 B\\par\\pard\\s7 C\\par\\pard\\outlinelevel3 D\\par\\pard text\\par",
    head,
  );

  expect(segments.at(-1)).toMatchObject({ section: "A > B > C > D", content: "D\n\ntext\n" });
  expect(extraction.title).toBe("The Title");
});

test("each font has its code page; what Unicode says is not said twice", async () => {
  const head =
    "{\\fonttbl{\\f0 Arial;}{\\f1\\fcharset204 Arial Cyr;}{\\f2\\fcharset128 MS Mincho;}{\\f3\\fcharset2 Symbol;}{\\f4\\fcharset0\\cpg1250 Old;}}";

  const text = await textOf(
    "\\f0 \\'e4 \\f1 \\'cf\\'f0\\'e8\\f2 \\'93\\'fa\\'96\\'7b \\f3 \\'61\\f4 \\'b3 \\u8364?\\uc2\\u-10179\\'3f?\\u-8704??{\\uc0\\u252}x",
    head,
  );

  expect(text).toBe("ä При日本 αł €😀üx\n");
});

test("table rows are lines, cells may hold paragraphs, merged ones keep their place", async () => {
  const row = (...cells: string[]): string =>
    `\\trowd\\cellx1\\pard\\intbl ${cells.map((cell) => `${cell}\\cell `).join("")}\\row\n`;

  const text = await textOf(`before\\par ${row("a", "b", "c")}${row("d\\par e", "", "f")}\\pard after\\par`);

  expect(text).toBe("before\n\na | b | c\nd e |  | f\n\nafter\n");
});

test("list labels are read as the writer drew them", async () => {
  const item = (label: string, text: string): string =>
    `{\\listtext\\pard\\plain ${label}\\tab}${text}\\par `;

  const text = await textOf(
    `\\pard ${item("1.", "one")}${item("{\\f3\\'b7}", "point")}{\\pntext b)\\tab}two\\par`,
    "{\\fonttbl{\\f3\\fcharset2 Symbol;}}",
  );

  expect(text).toBe("1. one\n- point\nb) two\n");
});

test("headers, pictures, instructions, comments, hidden and deleted text are left out", async () => {
  const text = await textOf(
    '{\\header page head\\par}{\\*\\generator Word;}{\\pict\\bin4 {}{} 0123}seen {\\field{\\*\\fldinst HYPERLINK "x"}{\\fldrslt link}}{\\v hidden}{\\deleted gone}{\\*\\annotation remark}{\\xe index} {\\*\\unknown{\\b not}}{\\upr{ansi}{\\*\\ud{unicode}}} \\v gone\\v0 end',
  );

  expect(text).toBe("seen link unicode end\n");
});

test("notes and text boxes follow the paragraph they stand in; a box is read once", async () => {
  const box =
    "{\\shp{\\*\\shpinst{\\sp{\\sn name}{\\sv value}}{\\shptxt\\pard in the box\\par}}{\\shprslt{\\pard fallback\\par}}}";

  expect(
    await textOf(`\\pard claim{\\super 1{\\footnote\\pard the note\\par more}}${box} goes on\\par next\\par`),
  ).toBe("claim1 goes on\n\nthe note\n\nmore\n\nin the box\n\nnext\n");
});

test("a cut file is corrupt, one without its last brace is read and it is said", async () => {
  const cut = await failureOf(readBytes("a.rtf", "{\\rtf1 {\\b bold"));
  const { text, extraction } = await readBytes("a.rtf", "{\\rtf1 words\\par");

  expect([cut, text]).toEqual(["extract.corrupt", "words\n"]);
  expect(extraction.decisions).toContain("the file ends before its last group is closed");
});

test("a file without words is empty; groups without end are refused", async () => {
  expect(await failureOf(read("\\par"))).toBe("extract.empty");
  expect(await failureOf(readBytes("a.rtf", `{\\rtf1 ${"{".repeat(20_000)}`))).toBe("extract.too-large");
});

test("tokens are the same wherever the bytes are cut", () => {
  const source = Buffer.from("{\\rtf1\\b0 a\\'e4b\\u-12 ?{\\*\\x\\bin3 }}}c}\\~\\\\\r\nd\\par}", "latin1");
  const tokensOf = (pieces: readonly Buffer[]): string[] => {
    const told: string[] = [];
    const tokenizer = createRtfTokenizer({
      openGroup: () => void told.push("{"),
      closeGroup: () => void told.push("}"),
      control: (word, value) => void told.push(`\\${word}${value ?? ""}`),
      text: (bytes) => void told.push(...Array.from(bytes, (byte) => `'${byte}`)),
    });
    for (const piece of pieces) tokenizer.write(piece);
    tokenizer.end();
    return told;
  };
  fc.assert(
    fc.property(fc.array(fc.nat(source.length), { maxLength: 6 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((one, other) => one - other), source.length];
      const pieces = edges.slice(1).map((edge, at) => source.subarray(edges[at], edge));
      expect(tokensOf(pieces)).toEqual(tokensOf([source]));
    }),
  );
});

test("any text that is escaped as Word escapes it is read back", async () => {
  const escaped = (text: string): string =>
    Array.from({ length: text.length }, (_, at) => {
      const code = text.charCodeAt(at);
      if (code >= 128) return `\\u${code > 32_767 ? code - 65_536 : code}?`;
      return /[\\{}]/.test(text[at] ?? "") ? `\\${text[at]}` : text[at];
    }).join("");
  const word = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 8 })
    .filter((text) => !/[\s\p{C}]/u.test(text));
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 6 }), async (words) => {
      expect(await textOf(escaped(words.join(" ")))).toBe(`${words.join(" ")}\n`);
    }),
    { numRuns: 80 },
  );
});
