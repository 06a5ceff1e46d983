// Extraction over a corpus of real documents with ground truth, scored by the corpus's own scorer. The corpus is
// not part of the repository: the configuration of the tests leaves this file out where RAG_CORPUS_DIR names none.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeWith, serviceUrl } from "../services.ts";

type Row = {
  readonly kind: string;
  readonly exp: "ok" | "error" | "any";
  readonly recall?: number | null;
  readonly precision?: number | null;
  readonly page?: number | null;
  readonly head?: number | null;
  readonly ctl?: number;
  readonly class?: number;
  readonly anyok?: number;
};

describeWith("corpus", "the corpus", () => {
  test("the corpus is read as well as promised, and every bad file ends under its own code", async () => {
    const rows = await scoreCorpus(serviceUrl("corpus"));
    const mean = (kind: string, measure: "recall" | "precision" | "page" | "head") => {
      const values = rows
        .filter((row) => row.kind === kind && row.exp === "ok")
        .flatMap((row) => row[measure] ?? []);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };

    expect(mean("pdf", "recall")).toBeGreaterThanOrEqual(0.98);
    expect(mean("pdf", "page")).toBeGreaterThanOrEqual(0.99);
    expect(mean("docx", "recall")).toBeGreaterThanOrEqual(0.99);
    expect(mean("html", "recall")).toBeGreaterThanOrEqual(0.97);
    expect(mean("html", "precision")).toBeGreaterThanOrEqual(0.93);
    expect(mean("html", "head")).toBeGreaterThanOrEqual(0.9);
    expect(mean("md", "head")).toBeGreaterThanOrEqual(0.95);
    expect(mean("txt", "recall")).toBeGreaterThanOrEqual(0.97);
    expect(rows.filter((row) => row.ctl)).toEqual([]);
    expect(rows.filter((row) => row.exp === "error" && row.class !== 1)).toEqual([]);
    expect(rows.filter((row) => row.exp === "any" && row.anyok !== 1)).toEqual([]);
  }, 180_000);
});

async function scoreCorpus(corpus: string): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "rag-corpus-"));
  try {
    const manifest = await readFile(join(corpus, "MANIFEST.tsv"), "utf8");
    const names = manifest
      .split("\n")
      .slice(1)
      .flatMap((line) => line.split("\t", 1)[0] || []);
    const results = join(folder, "results.jsonl");
    const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
    const child = spawn(process.execPath, [main, "extract", "--json", ...names], {
      cwd: corpus,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, RAG_EMBEDDED_DIR: join(folder, ".rag") },
      stdio: ["ignore", "pipe", "ignore"],
    });
    child.stdout.pipe(createWriteStream(results));
    await once(child, "close");
    const scores = join(folder, "scores.json");
    await promisify(execFile)("python3", [
      join(corpus, "fidelity.py"),
      results,
      "--corpus",
      corpus,
      "--json",
      scores,
    ]);
    return JSON.parse(await readFile(scores, "utf8")) as readonly Row[];
  } finally {
    await rm(folder, { recursive: true });
  }
}
