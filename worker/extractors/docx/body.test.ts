import fc from "fast-check";
import { expect, test } from "vitest";
import { makeDocx, paragraph } from "../testing/make-docx.ts";
import { failureOf, readBytes } from "../testing/read-bytes.ts";

const run = (text: string, properties = ""): string =>
  `<w:r>${properties && `<w:rPr>${properties}</w:rPr>`}<w:t xml:space="preserve">${text}</w:t></w:r>`;
const field = (type: string): string => `<w:r><w:fldChar w:fldCharType="${type}"/></w:r>`;
const read = (spec: Parameters<typeof makeDocx>[0]) => readBytes("a.docx", makeDocx(spec));
const textOf = async (body: string, spec: Partial<Parameters<typeof makeDocx>[0]> = {}) =>
  (await read({ body, ...spec })).text;
const cell = (inner: string, properties = ""): string =>
  `<w:tc>${properties && `<w:tcPr>${properties}</w:tcPr>`}${inner}</w:tc>`;
const row = (...cells: string[]): string => `<w:tr>${cells.join("")}</w:tr>`;
const p = (text: string): string => paragraph(text);

test.each([
  ["Überschrift 1", 1],
  ["Titre 2", 2],
  ["Заголовок 3", 3],
  ["标题 1", 1],
  ["heading 9", 9],
])("a style called %s is a heading", async (name, level) => {
  const styles = `<w:style w:type="paragraph" w:styleId="a1"><w:name w:val="${name}"/></w:style><w:style w:type="paragraph" w:styleId="a2"><w:name w:val="heading ${level + 1}"/></w:style>`;

  const { segments } = await read({
    body: paragraph("One", "a1") + paragraph("Two", "a2") + p("text"),
    styles,
  });

  expect(segments.at(-1)?.section).toBe(level === 9 ? "One" : "One > Two");
});

test("what a paragraph was before a tracked change of its properties does not count", async () => {
  const body = `<w:p><w:pPr><w:outlineLvl w:val="0"/><w:pPrChange><w:pPr><w:pStyle w:val="Heading5"/><w:outlineLvl w:val="4"/></w:pPr></w:pPrChange></w:pPr>${run("Now", "<w:rPrChange><w:rPr><w:vanish/></w:rPr></w:rPrChange>")}</w:p>${p("text")}`;

  const { segments } = await read({ body });

  expect(segments[0]).toMatchObject({ section: "Now", content: "Now\n\ntext\n" });
});

test("rows and cells whose deletion is accepted are gone, the rest of the table stands", async () => {
  const gone = `<w:tr><w:trPr><w:del w:id="1"/></w:trPr>${cell(p("x"))}${cell(p("y"))}</w:tr>`;
  const body = `<w:tbl>${row(cell(p("a")), cell(p("b")), cell(p("c")))}${gone}${row(cell(p("d")), cell(p("z"), '<w:cellDel w:id="2"/>'), cell(p("f")))}</w:tbl>`;

  expect(await textOf(body)).toBe("a | b | c\nd |  | f\n");
});

test("merged cells keep what follows them in its column", async () => {
  const body = `<w:tbl>${row(cell(p("Year")), cell(p("Income"), '<w:gridSpan w:val="2"/>'), cell(p("Sum")))}${row(cell(p("2024"), '<w:vMerge w:val="restart"/>'), cell(p("1")), cell(p("2")), cell(p("3")))}${row(cell("<w:p/>", "<w:vMerge/>"), cell(p("4")), cell(p("5")), cell(p("9")))}</w:tbl>`;

  expect(await textOf(body)).toBe("Year | Income |  | Sum\n2024 | 1 | 2 | 3\n | 4 | 5 | 9\n");
});

test("a table in a cell becomes part of its row", async () => {
  const inner = `<w:tbl>${row(cell(p("i")), cell(p("j")))}</w:tbl><w:p/>`;

  expect(await textOf(`<w:tbl>${row(cell(p("a")), cell(inner))}</w:tbl>`)).toBe("a | i | j\n");
});

test("a table in a text box comes row by row, and a box is read once in whichever of its forms", async () => {
  const box = `<w:txbxContent><w:tbl>${row(cell(p("a")), cell(p("b")))}</w:tbl>${p("below")}</w:txbxContent>`;
  const both = `<w:r><mc:AlternateContent><mc:Choice Requires="wps">${box}</mc:Choice><mc:Choice Requires="wpg">${box}</mc:Choice><mc:Fallback><w:pict>${box}</w:pict></mc:Fallback></mc:AlternateContent></w:r>`;

  expect(await textOf(`<w:p>${run("host")}${both}${run(" goes on")}</w:p>`)).toBe(
    "host goes on\n\na | b\n\nbelow\n",
  );
});

test("fields give their result; instructions, fields inside of them and form defaults are told apart", async () => {
  const instruction = `${field("begin")}<w:r><w:instrText> IF </w:instrText></w:r>${field("begin")}<w:r><w:instrText>MERGEFIELD x</w:instrText></w:r>${field("separate")}${run("inner")}${field("end")}${run("alternative")}${field("separate")}${run("result")}${field("end")}`;
  const box = (checked: string) =>
    `<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="0"/>${checked}</w:checkBox></w:ffData></w:fldChar></w:r><w:r><w:instrText>FORMCHECKBOX</w:instrText></w:r>${field("end")}`;
  const choice = `<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="red"/><w:listEntry w:val="blue"/></w:ddList></w:ffData></w:fldChar></w:r>${field("separate")}${field("end")}`;

  const text = await textOf(`<w:p>${instruction} ${box("<w:checked/>")}${box("")}${choice}</w:p>`);

  expect(text).toBe("result☒☐blue\n");
});

test("an instruction that never ends hides its own paragraph only", async () => {
  expect(await textOf(`<w:p>${run("a")}${field("begin")}${run("code")}</w:p>${p("b")}`)).toBe("a\n\nb\n");
});

test("text that a paragraph's style hides is out unless the run says otherwise", async () => {
  const styles = `<w:style w:type="paragraph" w:styleId="H"><w:name w:val="secret"/><w:rPr><w:vanish/></w:rPr></w:style>`;
  const body = `<w:p><w:pPr><w:pStyle w:val="H"/></w:pPr>${run("gone ")}${run("shown", '<w:vanish w:val="false"/>')}</w:p>${p("next")}`;

  expect(await textOf(body, { styles })).toBe("shown\n\nnext\n");
});

test("symbols of symbol fonts are read as what they look like", async () => {
  const body = `<w:p><w:r><w:sym w:font="Wingdings" w:char="F0FC"/></w:r>${run(" ")}<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>${run("\uf062", '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>')}<w:r><w:sym w:font="Nobody Knows" w:char="F041"/></w:r></w:p>`;

  expect(await textOf(body)).toBe("✓ αβ\n");
});

test("hyphens, tabs and breaks: a soft hyphen is nothing, a hard one is one", async () => {
  const body = `<w:p><w:r><w:t>co</w:t><w:softHyphen/><w:t>op</w:t><w:noBreakHyphen/><w:t>er\u00adate</w:t><w:tab/><w:t>now</w:t><w:br/><w:t>then</w:t></w:r></w:p>`;

  expect(await textOf(body)).toBe("coop-erate now\nthen\n");
});

test("a drop capital belongs to its word", async () => {
  const body = `<w:p><w:pPr><w:framePr w:dropCap="drop"/></w:pPr>${run("O")}</w:p><w:p>${run("nce upon")}</w:p>`;

  expect(await textOf(body)).toBe("Once upon\n");
});

test("equations are a line of text", async () => {
  const r = (text: string): string => `<m:r><w:rPr><w:b/></w:rPr><m:t>${text}</m:t></m:r>`;
  const fraction = `<m:f><m:num>${r("a+b")}</m:num><m:den>${r("2")}</m:den></m:f>`;
  const sum = `<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>${r("i=1")}</m:sub><m:sup>${r("n")}</m:sup><m:e><m:sSup><m:e>${r("x")}</m:e><m:sup>${r("2")}</m:sup></m:sSup></m:e></m:nary>`;
  const root = `<m:rad><m:deg/><m:e>${r("y")}</m:e></m:rad>`;
  const matrix = `<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr><m:e><m:m><m:mr><m:e>${r("1")}</m:e><m:e>${r("0")}</m:e></m:mr><m:mr><m:e>${r("0")}</m:e><m:e>${r("1")}</m:e></m:mr></m:m></m:e></m:d>`;

  const text = await textOf(
    `<w:p>${run("so ")}<m:oMath>${fraction}${r("=")}${sum}${r("+")}${root}${matrix}</m:oMath>${run(" holds")}</w:p>`,
  );

  expect(text).toBe("so (a+b)/2=∑_(i=1)^n x^2+√y[[1 & 0; 0 & 1]] holds\n");
});

test("words beside an equation do not run into it, signs do", async () => {
  const x = "<m:oMath><m:r><m:t>x</m:t></m:r></m:oMath>";

  expect(await textOf(`<w:p>${run("where")}${x}${run("is")}${x}${run(", and (")}${x}${run(")")}</w:p>`)).toBe(
    "where x is x, and (x)\n",
  );
});

test("notes in a table follow it, and a note of two paragraphs is whole", async () => {
  const footnotes = `<w:footnote w:type="separator" w:id="0">${p("line")}</w:footnote><w:footnote w:id="2">${p("first")}${p("second")}</w:footnote>`;
  const refer = '<w:r><w:footnoteReference w:id="2"/></w:r>';
  const body = `<w:tbl>${row(cell(`<w:p>${run("a")}${refer}</w:p>`), cell(p("b")))}${row(cell(p("c")), cell(p("d")))}</w:tbl>${p("after")}`;

  expect(await textOf(body, { footnotes })).toBe("a | b\nc | d\n\nfirst\nsecond\n\nafter\n");
});

test("content controls, smart tags and links are read through", async () => {
  const body = `<w:sdt><w:sdtPr><w:alias w:val="x"/></w:sdtPr><w:sdtContent><w:p>${run("a ")}<w:hyperlink r:id="r9">${run("link")}</w:hyperlink><w:smartTag><w:sdt><w:sdtContent>${run(" b")}</w:sdtContent></w:sdt></w:smartTag></w:p></w:sdtContent></w:sdt>`;

  expect(await textOf(body)).toBe("a link b\n");
});

test("pages follow Word's marks; a row over a page end counts once for all its cells", async () => {
  const mark = "<w:lastRenderedPageBreak/>";
  const over = cell(`<w:p><w:r><w:t>x</w:t>${mark}<w:t>y</w:t></w:r></w:p>`);
  const starts = cell(`<w:p><w:r>${mark}<w:t>top</w:t></w:r></w:p>`);
  const body = `${p("one")}<w:p><w:r>${mark}<w:t>two</w:t></w:r></w:p><w:p><w:r><w:t>still two </w:t>${mark}<w:t>three</w:t></w:r></w:p><w:tbl>${row(over, over)}${row(starts, cell(p("b")))}</w:tbl>${p("end")}`;

  const { segments, extraction } = await read({ body });

  expect(segments.map(({ pageNumber, content }) => [pageNumber, content.trim()])).toEqual([
    [1, "one"],
    [2, "two\n\nstill two three"],
    [3, "xy | xy"],
    [5, "top | b\n\nend"],
  ]);
  expect(extraction.pages).toBe(5);
});

test("without Word's marks no page is claimed, breaks of the author or not", async () => {
  const body = `${p("one")}<w:p><w:r><w:br w:type="page"/></w:r></w:p>${p("two")}`;

  const { segments, extraction } = await read({ body });

  expect([extraction.pages, ...segments.map((segment) => segment.pageNumber)]).toEqual([null, null]);
});

test("a page of HTML that was put in whole is read where it stands", async () => {
  const R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const rels = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r7" Type="${R}/aFChunk" Target="afchunk.html"/><Relationship Id="r8" Type="${R}/aFChunk" Target="other.pdf"/></Relationships>`;
  const entries = {
    "word/_rels/document.xml.rels": rels,
    "word/afchunk.html": "<html><body><h1>Inside</h1><p>hello</p></body></html>",
    "word/other.pdf": "%PDF-1.4",
  };

  const { text, extraction } = await read({
    body: `${p("before")}<w:altChunk r:id="r7"/><w:altChunk r:id="r8"/>${p("after")}`,
    entries,
  });
  const alone = await failureOf(read({ body: '<w:altChunk r:id="r8"/>', entries }));

  expect(text).toBe("before\n\nInside\n\nhello\n\nafter\n");
  expect(extraction.decisions).toContain("embedded documents left out (1)");
  expect(alone).toBe("extract.unsupported");
});

test("saved pages, RTF and documents that were put in whole are read; a damaged one is left out", async () => {
  const R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const names = ["a.mht", "b.rtf", "c.docx", "d.docx"];
  const rels = names.map((name) => `<Relationship Id="${name}" Type="${R}/aFChunk" Target="${name}"/>`);
  const page =
    'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<h1>Saved</h1><p>gr=C3=BC=C3=9Fe</p>\r\n--b--\r\n';
  const entries = {
    "word/_rels/document.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${rels.join("")}</Relationships>`,
    "word/a.mht": page,
    "word/b.rtf": String.raw`{\rtf1\ansi rich text\par}`,
    "word/c.docx": makeDocx({ body: `${p("inner")}<w:altChunk r:id="a.mht"/>` }),
    "word/d.docx": "no archive",
  };

  const { text, extraction } = await read({
    body: p("before") + names.map((name) => `<w:altChunk r:id="${name}"/>`).join("") + p("after"),
    entries,
  });

  expect(text).toBe("before\n\nSaved\n\ngrüße\n\nrich text\n\ninner\n\nafter\n");
  expect(extraction.decisions).toContain("embedded documents left out (1)");
});

test("parts in UTF-16 and names in another case are read", async () => {
  const document = `\ufeff<?xml version="1.0" encoding="UTF-16"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${p("Größe")}</w:body></w:document>`;
  const bytes = makeDocx({ body: "", entries: { "word/document.xml": Buffer.from(document, "utf16le") } });

  expect((await readBytes("a.docx", bytes)).text).toBe("Größe\n");
});

test("deep nesting of tables, boxes and equations ends without a crash", async () => {
  const deep = (open: string, inner: string, close: string, depth: number) =>
    open.repeat(depth) + inner + close.repeat(depth);
  const tables = deep("<w:tbl><w:tr><w:tc>", p("t"), "</w:tc></w:tr></w:tbl>", 3_000);
  const boxes = deep("<w:p><w:r><w:txbxContent>", p("b"), "</w:txbxContent></w:r></w:p>", 3_000);
  const maths = deep("<m:f><m:num>", "<m:r><m:t>x</m:t></m:r>", "</m:num></m:f>", 4_000);

  expect(await textOf(tables)).toBe("t\n");
  expect(await textOf(boxes)).toBe("b\n");
  expect(await textOf(`<w:p><m:oMath>${maths}</m:oMath></w:p>`)).toContain("x");
});

test("whatever the structure, every visible word comes out once and in order", async () => {
  const word = fc.stringMatching(/^[a-z]{3,8}$/);
  const leaf = word.map((text) => ({ xml: run(`${text} `), words: [text] }));
  type Piece = { xml: string; words: string[] };
  const join =
    (wrap: (inner: string) => string) =>
    (pieces: Piece[]): Piece => ({
      xml: wrap(pieces.map((piece) => piece.xml).join("")),
      words: pieces.flatMap((piece) => piece.words),
    });
  const inline = fc.oneof(
    leaf,
    fc.array(leaf, { maxLength: 3 }).map(join((inner) => `<w:ins>${inner}</w:ins>`)),
    fc.array(leaf, { maxLength: 3 }).map(join((inner) => `<w:hyperlink>${inner}</w:hyperlink>`)),
    leaf.map(({ xml }) => ({ xml: `<w:del>${xml}</w:del>`, words: [] as string[] })),
    leaf.map(({ xml }) => ({
      xml: `${field("begin")}${xml}${field("separate")}${field("end")}`,
      words: [] as string[],
    })),
  );
  const para = fc.array(inline, { minLength: 1, maxLength: 4 }).map(join((inner) => `<w:p>${inner}</w:p>`));
  const { block } = fc.letrec<{ block: Piece }>((tie) => ({
    block: fc.oneof(
      { maxDepth: 3 },
      para,
      fc
        .array(tie("block"), { maxLength: 3 })
        .map(join((inner) => `<w:sdt><w:sdtContent>${inner}</w:sdtContent></w:sdt>`)),
      fc
        .array(
          fc
            .array(tie("block").map(join1((inner) => `<w:tc>${inner}</w:tc>`)), {
              minLength: 1,
              maxLength: 3,
            })
            .map(join((inner) => `<w:tr>${inner}</w:tr>`)),
          { maxLength: 3 },
        )
        .map(join((inner) => `<w:tbl>${inner}</w:tbl>`)),
    ),
  }));
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 5 }), async (blocks) => {
      const { xml, words } = join((inner) => inner)(blocks);
      const { text } = await read({ body: `${xml}${p("last")}` });
      expect(text.match(/[a-z]+/g)).toEqual([...words, "last"]);
    }),
    { numRuns: 60 },
  );
});

function join1(wrap: (inner: string) => string) {
  return (piece: { xml: string; words: string[] }) => ({ xml: wrap(piece.xml), words: piece.words });
}
