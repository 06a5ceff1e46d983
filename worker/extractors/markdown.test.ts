import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (source: string) => readBytes("a.md", source);

test("markup is removed as plain text, code and list items stay, headings give the path", async () => {
  const source =
    "Title\n=====\n\nSome *emphasis*, a [link](http://x.y) and `code`.\n\n## Sub\n\n- one\n- **two**\n\n```js\nlet a = 1;\n\nlet b;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";

  const { segments, text } = await read(source);

  expect(segments.map((segment) => segment.section)).toEqual(["Title", "Title > Sub"]);
  expect(text).toBe(
    "Title\n\nSome emphasis, a link and code.\n\nSub\n\n- one\n- two\n\nlet a = 1;\n\nlet b;\n\na | b\n1 | 2\n",
  );
});

test("front matter is no text; its title is the document's", async () => {
  const { text, extraction } = await read('---\nlayout: x\ntitle: "The Title"\n---\n\n# Heading\n\ntext\n');

  expect(text).toBe("Heading\n\ntext\n");
  expect(extraction.title).toBe("The Title");
  expect(extraction.decisions).toContain("front matter left out (2 lines)");
});

test("a rule at the top is no front matter", async () => {
  const { text } = await read("---\n\nfirst\n\n# Second\n");

  expect(text).toContain("first");
});

test("HTML comments and anchors go, text in tags stays", async () => {
  const { text } = await read(
    '<!-- note -->\n<a id="x"></a>\n## Install\n\n<details><summary>More</summary>\n\nhidden *depth*\n\n</details>\n',
  );

  expect(text).toBe("Install\n\nMore\n\nhidden depth\n");
});

test("a forgotten tag in a sentence swallows nothing", async () => {
  const { text } = await read("Use the <script> tag or Map<T>.\n\nNext <textarea> paragraph.\n\nLast.\n");

  expect(text).toBe("Use the <script> tag or Map<T>.\n\nNext <textarea> paragraph.\n\nLast.\n");
});

test("an unclosed script block keeps the text after it", async () => {
  const { text } = await read("<script>\nlet x;\n\n# After\n\ntext\n");

  expect(text).toContain("text");
});

test("a heading sign inside a code fence is code", async () => {
  const { segments } = await read("# Real\n\n```\n# not a heading\n```\n");

  expect(segments.map((segment) => segment.section)).toEqual(["Real"]);
});

test("a long source is read in pieces: fences stay whole, links defined at the end resolve", async () => {
  const part = (at: number): string =>
    `## Part ${at}\n\nSee [the end][end].\n\n\`\`\`\n# code ${at}\n\n\`\`\`\n\n${"word ".repeat(2_000)}\n\n`;
  const source = `# All\n\n${Array.from({ length: 60 }, (_, at) => part(at)).join("")}[end]: http://x.y\n`;

  const { segments, text } = await read(source);

  expect(new Set(segments.map((segment) => segment.section)).size).toBe(61);
  expect(text.match(/See the end\./g)?.length).toBe(60);
  expect(text.match(/^# code/gm)?.length).toBe(60);
});

test("nesting beyond reason loses no text", async () => {
  const { text } = await read(
    `${"> ".repeat(5_000)}deep\n\n${Array.from({ length: 300 }, (_, at) => `${"  ".repeat(at)}- item${at}`).join("\n")}\n`,
  );

  expect(text).toContain("deep");
  expect(text).toContain("item299");
});

test("front matter alone is empty", async () => {
  expect(await failureOf(read("---\ntitle: x\n---\n"))).toBe("extract.empty");
});
