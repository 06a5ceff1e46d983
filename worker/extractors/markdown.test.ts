import { expect, test } from "vitest";
import { cutMarkdown, MAX_PARAGRAPH } from "./markdown/pieces.ts";
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

test("a title that YAML folds over lines is one title, and front matter that is no YAML still gives its line", async () => {
  const folded = await read("---\ntitle: >-\n  A title\n  in two lines\ntags: [a]\n---\ntext\n");
  const broken = await read("---\ntitle: What: a title\n  - [x\n---\ntext\n");

  expect([folded.extraction.title, broken.extraction.title]).toEqual([
    "A title in two lines",
    "What: a title",
  ]);
});

test("a sign in a code fence is no title", async () => {
  const { extraction } = await read("Words.\n\n```sh\n# comment\n```\n");

  expect(extraction.title).toBeNull();
});

test("imports, exports, comments and components of MDX are no text, and are counted", async () => {
  const source =
    "---\ntitle: x\n---\nimport Tabs from '@theme/Tabs';\nimport {\n  A,\n} from './a';\nexport const meta = {\n  a: 1,\n};\n\n# Hi <Badge text=\"new\" /> there {#hi}\n\n<Tabs>\n\nInside.\n\n</Tabs>\n\n{/* note */}\n\n```js\nimport x from 'y';\n```\n";

  const { text, segments, extraction } = await readBytes("a.mdx", source);

  expect(text).toBe("Hi there\n\nInside.\n\nimport x from 'y';\n");
  expect(segments[0]?.section).toBe("Hi there");
  expect(extraction.decisions.join()).toMatch(/left out: imports and exports \(\d+ characters\)/);
});

test("a sentence that begins with the word import is text", async () => {
  const { text } = await read("import duties rose from 'low' to high.\n\nexport const prices fell.\n");

  expect(text).toBe("import duties rose from 'low' to high.\n\nexport const prices fell.\n");
});

test("task lists, alerts, footnotes, numbered lists and setext headings keep their words", async () => {
  const { text, segments } = await read(
    "> [!NOTE]\n> Careful.\n\n- [x] done\n\n3. three\n4. four\n\nTerm[^1] and ~~old~~.\n\n[^1]: A foot.\n\nSub\n---\n\nEnd\n",
  );

  expect(text).toBe(
    "[!NOTE] Careful.\n\n- [x] done\n3. three\n4. four\n\nTerm[^1] and old.\n\n[^1]: A foot.\n\nSub\n\nEnd\n",
  );
  expect(segments.at(-1)?.section).toBe("Sub");
});

test("no paragraph that the renderer gets is longer than it can look through, and no text is lost by that", async () => {
  for (const unit of ["[", "![x", "**a*", "~~a", "_a", "word "]) {
    const source = unit.repeat(Math.ceil(300_000 / unit.length));
    const pieces: string[] = [];
    for (const piece of cutMarkdown(linesOf(source))) pieces.push(piece.text);

    const longest = Math.max(
      ...pieces.flatMap((piece) => piece.split(/\n\s*\n/)).map((part) => part.replaceAll("\\[", "[").length),
    );
    expect(longest).toBeLessThanOrEqual(MAX_PARAGRAPH);
    expect(pieces.join("").replaceAll("\\[", "[")).toBe(source);
  }
});

const linesOf = (text: string) => text.split("\n");
