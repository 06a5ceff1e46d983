import { strToU8, zipSync } from "fflate";
import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const NS = ["office", "text", "table", "style", "presentation", "manifest"].map(
  (name) => `xmlns:${name}="urn:oasis:names:tc:opendocument:xmlns:${name}:1.0"`,
);
const NAMESPACES = [...NS, 'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'].join(" ");

type Spec = {
  readonly styles?: string;
  readonly common?: string;
  readonly entries?: Readonly<Record<string, string>>;
};

function make(kind: "text" | "spreadsheet" | "presentation", body: string, spec: Spec = {}): Uint8Array {
  const content = `<office:document-content ${NAMESPACES}><office:automatic-styles>${spec.styles ?? ""}</office:automatic-styles><office:body><office:${kind}>${body}</office:${kind}></office:body></office:document-content>`;
  const entries = {
    mimetype: `application/vnd.oasis.opendocument.${kind}`,
    "content.xml": content,
    "styles.xml": `<office:document-styles ${NAMESPACES}><office:styles>${spec.common ?? ""}</office:styles></office:document-styles>`,
    ...spec.entries,
  };
  return zipSync(Object.fromEntries(Object.entries(entries).map(([name, text]) => [name, strToU8(text)])));
}

const p = (text: string, style = ""): string => `<text:p text:style-name="${style}">${text}</text:p>`;
const cell = (inner: string, attributes = ""): string =>
  `<table:table-cell ${attributes}>${inner}</table:table-cell>`;
const row = (...cells: string[]): string => `<table:table-row>${cells.join("")}</table:table-row>`;
const read = (body: string, spec?: Spec) => readBytes("a.odt", make("text", body, spec));
const textOf = async (body: string, spec?: Spec) => (await read(body, spec)).text;

test("headings by level and by style, the title above them", async () => {
  const styles = `<style:style style:name="P1" style:parent-style-name="Title"/><style:style style:name="P2" style:parent-style-name="Heading_20_2"/>`;
  const body = `${p("Report", "P1")}<text:h text:outline-level="1">One</text:h>${p("Two", "P2")}${p("text")}`;

  const { segments } = await read(body, { styles });

  expect(segments.at(-1)?.section).toBe("Report > One > Two");
});

test("lists are numbered as their style has it, nested ones within; headings as the outline has it", async () => {
  const level = (at: number, format: string, more = "") =>
    `<text:list-level-style-number text:level="${at}" style:num-format="${format}" style:num-suffix="." ${more}/>`;
  const styles = `<text:list-style style:name="L1">${level(1, "1")}${level(2, "a", 'text:display-levels="2"')}<text:list-level-style-bullet text:level="3"/></text:list-style>`;
  const common = `<text:outline-style><text:outline-level-style text:level="1" style:num-format="I"/></text:outline-style>`;
  const item = (inner: string): string => `<text:list-item>${inner}</text:list-item>`;
  const list = `<text:list text:style-name="L1">${item(p("one") + p("more of one"))}${item(`${p("two")}<text:list>${item(`${p("in")}<text:list>${item(p("deep"))}</text:list>`)}${item(p("in too"))}</text:list>`)}</text:list>`;

  const text = await textOf(`<text:h text:outline-level="1">Head</text:h>${list}${list}`, { styles, common });

  const once = "1. one\nmore of one\n2. two\n2.a. in\n- deep\n2.b. in too";
  expect(text).toBe(`I Head\n\n${once}\n${once}\n`);
});

test("deletions, comments, hidden text, index templates and citations are left out; notes and frames follow", async () => {
  const styles = `<style:style style:name="H"><style:text-properties text:display="none"/></style:style>`;
  const note = `<text:note><text:note-citation>1</text:note-citation><text:note-body>${p("the note")}</text:note-body></text:note>`;
  const frame = `<draw:frame><draw:text-box>${p("boxed")}</draw:text-box></draw:frame>`;
  const body = `<text:tracked-changes><text:changed-region><text:deletion>${p("deleted")}</text:deletion></text:changed-region></text:tracked-changes>
    <text:p>seen<text:span text:style-name="H"> hidden</text:span><office:annotation>${p("remark")}</office:annotation>${note}${frame} on<text:s/><text:tab/>and<text:line-break/>down</text:p>
    <text:table-of-content><text:table-of-content-source><text:index-title-template>Template</text:index-title-template></text:table-of-content-source><text:index-body>${p("One 1")}${p("Two 2")}</text:index-body></text:table-of-content>
    <text:section text:display="none">${p("gone")}</text:section>${p("end")}`;

  expect(await textOf(body, { styles })).toBe(
    "seen on and\ndown\n\nthe note\n\nboxed\n\nOne 1\nTwo 2\n\nend\n",
  );
});

test("tables come row by row, nested ones too, with the place of merged cells kept", async () => {
  const inner = `<table:table>${row(cell(p("i")), cell(p("j")))}</table:table>`;
  const body = `<table:table>${row(cell(p("Year")), cell(p("Sum"), 'table:number-columns-spanned="2"'), "<table:covered-table-cell/>", cell(p("n")))}${row(cell(p("a")), cell("", 'table:number-columns-repeated="2"'), cell(inner))}</table:table>`;

  expect(await textOf(body)).toBe("Year | Sum |  | n\na |  |  | i | j\n");
});

test("sheets are pages with their name as heading; repeats are bounded, dates in ISO form, hidden sheets out", async () => {
  const styles = `<style:style style:name="off"><style:table-properties table:display="false"/></style:style>`;
  const table = (name: string, rows: string, more = ""): string =>
    `<table:table table:name="${name}" ${more}>${rows}</table:table>`;
  const rows = `${row(cell(p("When")), cell(p("x"), 'table:number-columns-repeated="2"'), cell("", 'table:number-columns-repeated="16000"'))}${row(cell(p("1.3.24"), 'office:value-type="date" office:date-value="2024-03-01"'), cell(p("1,50 €")))}<table:table-row table:number-rows-repeated="1000000">${cell("")}</table:table-row>${row(cell(p("apart")))}`;

  const reading = await readBytes(
    "a.ods",
    make(
      "spreadsheet",
      table("Data", rows) + table("No", rows, 'table:style-name="off"') + table("Next", row(cell(p("z")))),
      { styles },
    ),
  );

  expect(reading.segments.map(({ pageNumber, section, content }) => [pageNumber, section, content])).toEqual([
    [1, "Data", "Data\n\nWhen | x | x\n2024-03-01 | 1,50 €\n\napart\n\n"],
    [2, "Next", "Next\n\nz\n"],
  ]);
  expect(reading.extraction).toMatchObject({ pages: 2, decisions: ["hidden sheets left out (1)"] });
});

test("slides are pages with their title as heading and their notes marked", async () => {
  const frame = (inner: string, kind: string): string =>
    `<draw:frame presentation:class="${kind}"><draw:text-box>${inner}</draw:text-box></draw:frame>`;
  const body = `<draw:page>${frame(p("Goals"), "title")}${frame(p("a"), "outline")}${frame(p("7"), "page-number")}<presentation:notes>${frame(p("say"), "notes")}</presentation:notes></draw:page><draw:page><draw:custom-shape>${p("b")}</draw:custom-shape></draw:page>`;

  const { segments } = await readBytes("a.odp", make("presentation", body));

  expect(segments.map(({ pageNumber, section, content }) => [pageNumber, section, content.trim()])).toEqual([
    [1, "Goals", "Goals\n\na"],
    [1, "Goals > Notes", "Notes: say"],
    [2, "Slide 2", "b"],
  ]);
});

test("an encrypted file says so, one without words is empty, one with pictures only has no text", async () => {
  const manifest = `<manifest:manifest ${NAMESPACES}><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`;

  expect(await failureOf(read(p("x"), { entries: { "META-INF/manifest.xml": manifest } }))).toBe(
    "extract.encrypted",
  );
  expect(await failureOf(read(p(" ")))).toBe("extract.empty");
  expect(await failureOf(read("", { entries: { "Pictures/a.png": "x" } }))).toBe("extract.no-text");
});

test("frames in frames to any depth end without a crash", async () => {
  const depth = 2_000;
  const body = `${"<text:p>a<draw:frame><draw:text-box>".repeat(depth)}${p("deep")}${"</draw:text-box></draw:frame></text:p>".repeat(depth)}`;

  expect(await textOf(body)).toContain("deep");
});
