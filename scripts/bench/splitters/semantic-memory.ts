// What memory it takes to cut a million tokens by meaning, with the vectors of the embedded model and of OpenAI's.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import type { BenchOptions, Report } from "../figure.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("./semantic-process.ts", import.meta.url));
const TOKENS = 1_000_000;
const DIMENSIONS = [384, 1536];

const answered = z.object({ snippets: z.number(), vectorBytes: z.number(), grownBytes: z.number() });

export async function benchSemanticMemory(
  path: string,
  report: Report,
  options: BenchOptions,
): Promise<void> {
  for (const dimensions of DIMENSIONS) {
    const { stdout } = await run(process.execPath, [child, path, String(TOKENS), String(dimensions)]);
    const { snippets, vectorBytes, grownBytes } = answered.parse(JSON.parse(stdout));
    options.progress(`semantic, ${dimensions} dimensions: ${snippets} snippets`);
    const figure = {
      bench: "chunk",
      case: `semantic, ${TOKENS} tokens, ${dimensions} dimensions`,
      contestant: "ours",
    };
    report({ ...figure, metric: "memory grown", value: grownBytes / 1_000_000, unit: "MB" });
    report({ ...figure, metric: "all its vectors", value: vectorBytes / 1_000_000, unit: "MB" });
  }
}
