import { expect, test } from "vitest";
import { explainSearch } from "./explain.ts";

test.each([
  [0, "words: index of 10 chunks (english 10)"],
  [7, "words: index of 10 chunks (english 10), and 7 chunks read as they are"],
  [
    9000,
    "words: index of 10 chunks (english 10), and the newest 2000 of 9000 chunks that are not in it yet, read as they are",
  ],
])("a search by words beside %i chunks that are not in its index says which it has read", async (unfilled, says) => {
  const vectors = { tail_chunks: 0, unindexed_rows: 0, indexed_rows: 10, indexes: 1 };
  const call = async () => ({ vectors, filled: 10, unfilled, languages: { english: 10 } });
  const found = { passages: [], embedMs: 0, searchMs: 12 };

  const line = await explainSearch(call, "text", found, new AbortController().signal);

  expect(line).toBe(`searched in 12 ms; ${says}`);
});
