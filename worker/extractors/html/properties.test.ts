// Properties that hold for every page: no letter is lost without a rule that says so and counts it, whatever the
// markup; no control characters and no lone surrogates come out; the work grows as the page does.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Block } from "../cut-segments.ts";
import { failureOf, readBytes } from "../testing/read-bytes.ts";
import { createHtmlBlocks } from "./blocks.ts";
import { chooseMainContent } from "./main-content.ts";
import { surveyPage } from "./survey.ts";

const NAMES =
  "div p span ul li ol table tr td th pre code nav footer aside header main article section h1 h2 h3 a b blockquote dl dt dd details summary figure figcaption form button select option noscript template dialog td tbody".split(
    " ",
  );
const SIGNS = [
  "",
  ' class="sidebar"',
  ' class="comments"',
  ' class="share"',
  ' class="post-content"',
  ' class="linenos"',
  " hidden",
  ' aria-hidden="true"',
  ' style="display:none"',
  ' role="navigation"',
  ' href="#x"',
  ' rowspan="3"',
  ' colspan="4"',
];
const words = fc
  .array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 30 })
  .map((all) => all.join(" "));

/** Markup that is closed as often as it is opened, and markup that is not. */
const markup = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: words },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...SIGNS))
          .map(([name, sign]) => `<${name}${sign}>`),
      },
      { weight: 2, arbitrary: fc.constantFrom(...NAMES).map((name) => `</${name}>`) },
      { weight: 1, arbitrary: fc.constantFrom("<br>", "<hr>", "<!-- c -->", "<img alt=a>", "<input>") },
    ),
    { maxLength: 60 },
  )
  .map((parts) => `<!doctype html><body>${parts.join("")}`);

/** Letters between tags; comments aside. */
const lettersOf = (html: string): number =>
  html.replace(/<!--.*?-->|<[^>]*>/g, "").replace(/[^a-z]/g, "").length;

test("every letter of a page comes out or is counted under the rule that left it out", async () => {
  await fc.assert(
    fc.asyncProperty(markup, async (html) => {
      const { leaves } = chooseMainContent(await surveyPage(inOne(html)));
      const blocks: Block[] = [];
      const reader = createHtmlBlocks((block) => void blocks.push(block), {
        leaves: ({ index }) => leaves(index),
      });
      reader.write(html);
      reader.end();

      const out = blocks.map((block) => ("text" in block ? block.text.replace(/[^a-z]/g, "") : "")).join("");
      const left = [...reader.leftOut.values()].reduce((sum, chars) => sum + chars, 0);

      expect(out.length + left).toBe(lettersOf(html));
    }),
    { numRuns: 1_000 },
  );
}, 60_000);

test("whatever the page, its text is well-formed and without control characters, or it ends with a failure of ours", async () => {
  const anything = fc.oneof(markup, fc.string({ unit: "binary", maxLength: 200 }));
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { maxLength: 4 }), async (parts) => {
      const bytes = Buffer.from(`<html>&#1;&#xd800;&#0;${parts.join("<p>\0")}`);

      const text = await readBytes("a.html", bytes, { mediaType: "text/html" }).then(
        (reading) => reading.text,
        async (thrown: unknown) => {
          expect(await failureOf(Promise.reject(thrown))).toMatch(/^extract\./);
          return "";
        },
      );

      expect(text.isWellFormed()).toBe(true);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(text).not.toMatch(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/);
    }),
    { numRuns: 200 },
  );
}, 60_000);

test("twice the page is twice the work, however its cells span and its tags nest", () => {
  const units = [
    "<table><tr><td colspan=1000 rowspan=60000>a",
    "<tr><td>a<td>b",
    "<div><span>x",
    "<ul><li>y",
    "<pre><b>z\n",
    "<td rowspan=0>q",
  ];
  for (const unit of units) {
    const small = workOf(unit.repeat(2_000));
    const large = workOf(unit.repeat(4_000));

    expect(large).toBeLessThanOrEqual(small * 2.2 + 1_000);
    expect(large).toBeLessThanOrEqual(unit.length * 4_000 * 200);
  }
});

/** Elements asked about, blocks given and letters in them. */
function workOf(html: string): number {
  let work = 0;
  const reader = createHtmlBlocks(
    (block) => {
      work += 1 + ("text" in block ? block.text.length : 0);
    },
    {
      leaves: () => {
        work += 1;
        return null;
      },
    },
  );
  reader.write(html);
  reader.end();
  return work;
}

async function* inOne(html: string): AsyncGenerator<string> {
  yield html;
}
