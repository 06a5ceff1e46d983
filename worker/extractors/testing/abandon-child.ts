// A worker that is about to be killed: starts an extraction, says the child's pid, and never takes the second item.
import { startExtractionProcess } from "../isolation/extraction-process.ts";
import { writeOriginal } from "./read-bytes.ts";

const original = await writeOriginal("a.txt", "some words to read\n".repeat(200_000));
const child = await startExtractionProcess({ timeoutMs: 60_000, memoryMb: 64, maxChars: 100_000_000 });
for await (const _ of child.read(original, new AbortController().signal)) {
  // The child reads through a link of its own.
  await original.dispose();
  process.stdout.write(`${child.pid}\n`);
  await new Promise(() => setInterval(() => undefined, 1_000));
}
