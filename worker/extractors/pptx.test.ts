import fc from "fast-check";
import { expect, test } from "vitest";
import { makePptx, type SlideSpec, shape } from "./testing/make-office.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (slides: readonly SlideSpec[], entries = {}) => readBytes("a.pptx", makePptx(slides, entries));
const text = (inner: string): string => `<a:p><a:r><a:t>${inner}</a:t></a:r></a:p>`;
const cell = (inner: string, attributes = ""): string =>
  `<a:tc${attributes}><a:txBody>${text(inner)}</a:txBody></a:tc>`;

test("a slide is a page and its title a heading, wherever it stands among the shapes", async () => {
  const { segments, extraction } = await read([
    { shapes: shape(["first", "second"], "body") + shape(["Goals"], "title") },
    { shapes: shape(["Thanks"], "ctrTitle") + shape(["see you"], "subTitle") },
  ]);

  expect(segments.map(({ pageNumber, section, content }) => [pageNumber, section, content])).toEqual([
    [1, "Goals", "Goals\n\n- first\n- second\n\n"],
    [2, "Thanks", "Thanks\n\nsee you\n"],
  ]);
  expect(extraction.pages).toBe(2);
});

test("a slide without a title does not inherit the one before", async () => {
  const { segments } = await read([
    { shapes: shape(["Title"], "title") + shape(["a"]) },
    { shapes: shape(["b"]) },
  ]);

  expect(segments.map((segment) => segment.section)).toEqual(["Title", "Slide 2"]);
});

test("notes follow their slide, marked; what stands around them is left out", async () => {
  const notes = shape(["1"], "sldNum") + shape(["say this", "and that"], "body") + shape(["header"], "hdr");

  const { segments } = await read([
    { shapes: shape(["T"], "title"), notes },
    { shapes: shape(["U"], "title") },
  ]);

  expect(segments.map(({ section, content, pageNumber }) => [pageNumber, section, content.trim()])).toEqual([
    [1, "T", "T"],
    [1, "T > Notes", "Notes: say this\n\nand that"],
    [2, "U", "U"],
  ]);
});

test("date, footer and number of a slide, hidden shapes and fallbacks are left out", async () => {
  const both = `<mc:AlternateContent><mc:Choice Requires="a14">${shape(["chosen"])}</mc:Choice><mc:Fallback>${shape(["fallback"])}</mc:Fallback></mc:AlternateContent>`;
  const shapes = `${shape(["1 May"], "dt")}${shape(["ACME"], "ftr")}${shape(["7"], "sldNum")}${shape(["secret"], undefined, ' hidden="1"')}${both}`;

  expect((await read([{ shapes }])).text).toBe("chosen\n");
});

test("shapes in groups are read, tables come row by row, merged cells keep the columns", async () => {
  const table = `<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>${cell("Year")}${cell("Sum", ' gridSpan="2"')}${cell("", ' hMerge="1"')}${cell("n")}</a:tr><a:tr>${cell("2024")}${cell("1")}${cell("2")}${cell("3")}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>`;
  const shapes = `<p:grpSp><p:grpSp>${shape(["deep"])}</p:grpSp></p:grpSp>${table}${shape(["after"])}`;

  expect((await read([{ shapes }])).text).toBe("deep\n\nYear | Sum |  | n\n2024 | 1 | 2 | 3\n\nafter\n");
});

test("bullets and numbers that a paragraph names are written, each level counting for itself", async () => {
  const item = (inner: string, bullet: string, level = 0): string =>
    `<a:p><a:pPr lvl="${level}">${bullet}</a:pPr><a:r><a:t>${inner}</a:t></a:r></a:p>`;
  const number = (type: string): string => `<a:buAutoNum type="${type}"/>`;
  const shapes = shape([
    item("a", number("arabicPeriod")),
    item("b", number("romanUcParenR"), 1),
    item("c", number("romanUcParenR"), 1),
    item("d", number("arabicPeriod")),
    item("e", number("alphaLcParenBoth"), 1),
    item("f", '<a:buChar char="•"/>'),
  ]);

  expect((await read([{ shapes }])).text).toBe("1. a\nI) b\nII) c\n2. d\n(a) e\n- f\n");
});

test("diagrams give their texts, equations a line, breaks and fields their places", async () => {
  const point = (inner: string): string => `<dgm:pt><dgm:t><a:bodyPr/>${text(inner)}</dgm:t></dgm:pt>`;
  const equation =
    '<a:p><a:r><a:t>so </a:t></a:r><m:oMath><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath><a:br/><a:fld type="x"><a:t>f</a:t></a:fld></a:p>';
  const shapes = `${shape([equation])}<p:graphicFrame><a:graphic><a:graphicData><dgm:relIds r:dm="dm"/></a:graphicData></a:graphic></p:graphicFrame>`;

  const reading = await read([{ shapes, diagram: `<dgm:ptLst>${point("plan")}${point("do")}</dgm:ptLst>` }]);

  expect(reading.text).toBe("so x^2\nf\n\nplan\ndo\n");
});

test("a show of pictures has no text, one without anything is empty", async () => {
  const pictures = await failureOf(read([{ shapes: "" }], { "ppt/media/image1.png": "x" }));
  const empty = await failureOf(read([{ shapes: "" }]));

  expect([pictures, empty]).toEqual(["extract.no-text", "extract.empty"]);
});

test("a slide that is cut in its middle is corrupt", async () => {
  expect(await failureOf(read([{ shapes: "" }], { "ppt/slides/slide0.xml": "<p:sld><p:cSld>" }))).toBe(
    "extract.corrupt",
  );
});

test("every word of every shape comes out once, in order, on its own slide", async () => {
  const word = fc.stringMatching(/^[a-z]{2,6}$/);
  const boxes = fc.array(fc.array(word, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(boxes, { minLength: 1, maxLength: 4 }), async (slides) => {
      const { segments } = await read(
        slides.map((each) => ({ shapes: each.map((words) => shape(words)).join("") })),
      );
      const found = slides.map((_, at) =>
        segments
          .filter((segment) => segment.pageNumber === at + 1)
          .flatMap((segment) => segment.content.match(/[a-z]+/g) ?? []),
      );
      expect(found).toEqual(slides.map((each) => each.flat()));
    }),
    { numRuns: 40 },
  );
});
