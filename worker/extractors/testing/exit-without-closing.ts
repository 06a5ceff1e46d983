// A command that reads one file and ends without closing its extractors: its exit must not wait for them.
import { openExtractors } from "../isolation/extract-isolated.ts";
import { writeOriginal } from "./read-bytes.ts";

const original = await writeOriginal("a.txt", "some words");
const limits = { timeoutMs: 60_000, memoryMb: 64, maxChars: 1_000_000 };
const { extract } = openExtractors({ limits, concurrency: 1 });
for await (const _ of extract(original, new AbortController().signal));
await original.dispose();
