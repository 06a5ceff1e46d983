import { expect, test } from "vitest";
import { makeDocx, paragraph } from "../testing/make-docx.ts";
import { makePptx, shape } from "../testing/make-office.ts";
import { readBytes } from "../testing/read-bytes.ts";

const ML = "http://schemas.openxmlformats.org";
const C = `${ML}/drawingml/2006/chart`;
const R = `${ML}/officeDocument/2006/relationships`;

const rich = (text: string): string =>
  `<c:tx><c:rich><a:p><a:r><a:t>${text}</a:t></a:r></a:p></c:rich></c:tx>`;
const points = (values: readonly string[]): string =>
  values.map((value, at) => (value === "" ? "" : `<c:pt idx="${at}"><c:v>${value}</c:v></c:pt>`)).join("");
const texts = (...values: readonly string[]): string =>
  `<c:strRef><c:f>Sheet1!A1</c:f><c:strCache><c:ptCount val="9"/>${points(values)}</c:strCache></c:strRef>`;
const numbers = (code: string, ...values: readonly string[]): string =>
  `<c:numRef><c:numCache><c:formatCode>${code}</c:formatCode>${points(values)}</c:numCache></c:numRef>`;
const series = (name: string, labels: string, values: string, more = ""): string =>
  `<c:ser><c:idx val="0"/>${name === "" ? "" : `<c:tx>${texts(name)}</c:tx>`}${more}${labels}<c:val>${values}</c:val></c:ser>`;
const chart = (plot: string, title = ""): string =>
  `<c:chartSpace xmlns:c="${C}" xmlns:a="${ML}/drawingml/2006/main"><c:chart>${title}<c:plotArea>${plot}</c:plotArea></c:chart></c:chartSpace>`;

const relationships = (target: string): string =>
  `<Relationships xmlns="${ML}/package/2006/relationships"><Relationship Id="c7" Type="${R}/chart" Target="${target}"/></Relationships>`;
const frame = `<c:chart xmlns:c="${C}" r:id="c7"/>`;

async function readIn(xml: string): Promise<string> {
  const drawing = `<w:p><w:r><w:drawing>${frame}</w:drawing></w:r></w:p>`;
  const bytes = makeDocx({
    body: `${paragraph("before")}${drawing}${paragraph("after")}`,
    entries: {
      "word/_rels/document.xml.rels": relationships("charts/chart1.xml"),
      "word/charts/chart1.xml": xml,
    },
  });
  return (await readBytes("a.docx", bytes)).text;
}

const quarters = `<c:cat>${texts("Q1", "Q2", "Q3")}</c:cat>`;

test("a chart is its titles and a table of its categories by its series, where it stands", async () => {
  const bars = `<c:barChart>${series("North", quarters, numbers("General", "4.2999999999999998", "2", "3"))}${series("South", quarters, numbers("0%", "0.5", "", "0.25"))}</c:barChart>`;
  const axis = `<c:valAx><c:title>${rich("Millions")}</c:title></c:valAx>`;

  expect(await readIn(chart(bars + axis, `<c:title>${rich("Sales by region")}</c:title>`))).toBe(
    "before\n\nSales by region\nMillions\n\n | North | South\nQ1 | 4.3 | 50%\nQ2 | 2\nQ3 | 3 | 25%\n\nafter\n",
  );
});

test("dates are dates, labels of points and trends are left out, groups stand with their first member", async () => {
  const dates = `<c:cat>${numbers("m/d/yyyy", "45292", "45323")}</c:cat>`;
  const noise = `<c:dLbls><c:dLbl>${rich("noise")}</c:dLbl></c:dLbls><c:trendline><c:name>noise</c:name></c:trendline>`;
  const grouped = `<c:cat><c:multiLvlStrRef><c:multiLvlStrCache><c:lvl>${points(["Jan", "Feb"])}</c:lvl><c:lvl>${points(["2026"])}</c:lvl></c:multiLvlStrCache></c:multiLvlStrRef></c:cat>`;

  expect(
    await readIn(
      chart(`<c:lineChart>${series("Rate", dates, numbers("General", "1", "2"), noise)}</c:lineChart>`),
    ),
  ).toBe("before\n\n | Rate\n2024-01-01 | 1\n2024-02-01 | 2\n\nafter\n");
  expect(
    await readIn(chart(`<c:barChart>${series("", grouped, numbers("General", "7", "8"))}</c:barChart>`)),
  ).toBe("before\n\n2026 Jan | 7\nFeb | 8\n\nafter\n");
});

test("series over values of their own have a table each", async () => {
  const dots = (name: string, x: string, y: string): string =>
    `<c:ser><c:tx><c:v>${name}</c:v></c:tx><c:xVal>${numbers("General", x)}</c:xVal><c:yVal>${numbers("General", y)}</c:yVal></c:ser>`;

  expect(
    await readIn(chart(`<c:scatterChart>${dots("A", "1", "10")}${dots("B", "2", "20")}</c:scatterChart>`)),
  ).toBe("before\n\n | A\n1 | 10\n\n | B\n2 | 20\n\nafter\n");
});

test("a chart on a slide follows the slide's text; a point's claimed place costs nothing", async () => {
  const pie = chart(
    `<c:pieChart><c:ser><c:val><c:numLit><c:pt idx="4000000000"><c:v>5</c:v></c:pt></c:numLit></c:val></c:ser></c:pieChart>`,
  );
  const bytes = makePptx(
    [{ shapes: `${shape(["Shares"], "title")}<p:graphicFrame>${frame}</p:graphicFrame>` }],
    {
      "ppt/slides/_rels/slide0.xml.rels": relationships("../charts/chart1.xml"),
      "ppt/charts/chart1.xml": pie,
    },
  );

  expect((await readBytes("a.pptx", bytes)).text).toBe("Shares\n\n4000000001 | 5\n");
});

test("a thousand series with a point each make no table of a million cells", async () => {
  const one = (at: number): string =>
    `<c:ser><c:val><c:numLit><c:pt idx="${at}"><c:v>7</c:v></c:pt></c:numLit></c:val></c:ser>`;

  const text = await readIn(
    chart(`<c:barChart>${Array.from({ length: 1000 }, (_, at) => one(at)).join("")}</c:barChart>`),
  );

  expect(text.match(/7$/gm)).toHaveLength(1000);
  expect(Math.max(...text.split("\n").map((line) => line.split("|").length))).toBe(256);
});
