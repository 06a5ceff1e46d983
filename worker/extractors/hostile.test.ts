import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { openExtractors } from "./isolation/extract-isolated.ts";
import { hostileFiles } from "./testing/hostile-files.ts";
import { writeOriginal } from "./testing/read-bytes.ts";

const FILES = 70;
// What a file may end with. Anything else would be a defect of ours that its bytes found.
const ENDINGS = new Set([
  "extract.corrupt",
  "extract.empty",
  "extract.encrypted",
  "extract.no-text",
  "extract.too-large",
  "extract.unsupported",
  "extract.timeout",
  "extract.crashed",
]);

test(
  `${FILES} hostile files in a row each end with text or their own code, and a good file is read after them`,
  {
    timeout: 300_000,
  },
  async () => {
    const limits = { timeoutMs: 20_000, memoryMb: 256, maxChars: 20_000_000 };
    const extractors = openExtractors({ limits, concurrency: 2 });
    const seed = Math.floor(Math.random() * 1_000_000);
    try {
      const read = async (name: string, bytes: Uint8Array): Promise<string> => {
        const file = await writeOriginal(name, bytes);
        try {
          let units = 0;
          for await (const item of extractors.extract(file, new AbortController().signal))
            if (item.kind === "segment") units += item.segment.content.length;
          return units > 0 ? "text" : "nothing";
        } catch (thrown) {
          return thrown instanceof Failure ? thrown.code : String(thrown);
        } finally {
          await file.dispose();
        }
      };
      const odd: string[] = [];
      const files = hostileFiles(FILES, seed);
      const hand = async () => {
        for (const { name, bytes } of files) {
          const ending = await read(name, bytes);
          if (ending !== "text" && ending !== "nothing" && !ENDINGS.has(ending))
            odd.push(`${name}: ${ending}`);
        }
      };
      await Promise.all([hand(), hand()]);

      expect({ seed, odd }).toEqual({ seed, odd: [] });
      expect(await read("good.txt", Buffer.from("Still reading.\n"))).toBe("text");
    } finally {
      await extractors.close();
    }
  },
);
