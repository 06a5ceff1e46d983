import { expect, test } from "vitest";
import { countSnippets } from "./count-snippets.ts";

const never = new AbortController().signal;
const embed = async (texts: readonly string[]) => ({
  vectors: texts.map(() => Float32Array.from([1])),
  tokens: texts.length * 10,
  costUsd: texts.length,
});

test("what snippets cost is told once, with the next batch of chunks", async () => {
  let touched = 0;
  const counted = countSnippets(embed, { touch: () => touched++ });

  expect(await counted.snippets(never)(["a", "b"])).toHaveLength(2);
  expect(await counted.snippets(never)(["c"])).toHaveLength(1);

  expect(touched).toBe(2);
  expect(await counted.chunks(["d"], never)).toMatchObject({ tokens: 40, costUsd: 4 });
  expect(await counted.chunks(["e"], never)).toMatchObject({ tokens: 10, costUsd: 1 });
});
