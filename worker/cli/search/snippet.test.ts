import { expect, test } from "vitest";
import { snippetOf } from "./snippet.ts";

/** Matches in brackets. */
const shown = (content: string, query: string, most = 1000) =>
  snippetOf(content, query, most)
    .map(({ text, matches }) => (matches ? `[${text}]` : text))
    .join("");

test("words of the question light up, in their other forms too", () => {
  expect(shown("A refund is paid. Refunds take a week; refunded sums are final.", "refunds")).toBe(
    "A [refund] is paid. [Refunds] take a week; [refunded] sums are final.",
  );
});

test("short words and words that only start alike do not", () => {
  expect(shown("It is in an inn: the cart and the carton.", "is it in a cart?")).toBe(
    "It is in an inn: the [cart] and the carton.",
  );
});

test("the stretch with most different words is shown, from the start of a word", () => {
  const content = `${"The fee is due. ".repeat(40)}Late tools cost a fee a day. ${"Nothing here. ".repeat(40)}`;

  const snippet = shown(content, "fee for late tools", 120);

  expect(snippet).toMatch(/^… \S/);
  expect(snippet).toContain("[Late] [tools] cost a [fee]");
  expect(snippet.replaceAll(/[[\]]/g, "").length).toBeLessThanOrEqual(124);
});

test("without any match it starts at the start", () => {
  expect(shown("One two three four five six", "nothing", 10)).toBe("One two th …");
});

test("a text without a single space is still cut and shown", () => {
  expect(shown("漢".repeat(500), "漢字", 20)).toHaveLength(22);
});

test("line breaks and escape sequences of the document never reach the terminal", () => {
  expect(shown("one\n\n\u001b[31m two\u202e three", "two")).toBe("one [31m [two] three");
});

test("an empty query or content gives what there is", () => {
  expect(shown("Some words.", "")).toBe("Some words.");
  expect(snippetOf("", "words", 10)).toEqual([]);
});
