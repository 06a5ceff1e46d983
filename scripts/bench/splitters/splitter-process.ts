// One contestant in a process of its own: cuts a text once to warm up and then for as long as it was told, and prints
// {chunks, cpuSeconds, bytes} of the measured passes.
import { readFileSync } from "node:fs";
import { openSplitter } from "./open-splitter.ts";
import type { SplitterName } from "./splitter.ts";

const [name, path, tokens, overlapTokens, leastSeconds] = process.argv.slice(2);
if (name === undefined || path === undefined)
  throw new Error("splitter-process NAME FILE TOKENS OVERLAP SECONDS");
const text = readFileSync(path, "utf8");
const split = await openSplitter(name as SplitterName, {
  tokens: Number(tokens),
  overlapTokens: Number(overlapTokens),
});
await split(text.slice(0, text.length / 4));

const before = process.cpuUsage();
const spent = () => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000_000;
};
let chunks = 0;
let bytes = 0;
while (bytes === 0 || spent() < Number(leastSeconds)) {
  chunks = (await split(text)).length;
  bytes += Buffer.byteLength(text);
}
process.stdout.write(JSON.stringify({ chunks, cpuSeconds: spent(), bytes }));
