// Extraction beside its peers: pages and documents a CPU second, peak memory, and with a corpus's own scorer how much
// of the text comes out, in order, on its page and under its heading.
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import { makeDocx, paragraph } from "../../worker/extractors/testing/make-docx.ts";
import { median, medianRatio } from "./contestants/quantiles.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";
import { installPeers } from "./peers.ts";
import type { ReaderName } from "./readers/open-reader.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("./readers/reader-process.ts", import.meta.url));
const hostileChild = fileURLToPath(new URL("./readers/hostile-process.ts", import.meta.url));
const MOST_OUTPUT = 1 << 28;
const ROUNDS = 3;
const PASSES = 3;

type Contest = {
  readonly name: string;
  readonly unit: "pages" | "documents";
  readonly readers: readonly ReaderName[];
};

const docxReaders: readonly ReaderName[] = ["ours", "mammoth", "officeparser"];
const contests: readonly (Contest & { readonly files: RegExp })[] = [
  {
    name: "PDF",
    files: /\.pdf$/,
    unit: "pages",
    readers: ["ours", "ours, two children", "unpdf", "pdfjs, naive", "officeparser", "pdftotext"],
  },
  { name: "DOCX", files: /\.docx$/, unit: "documents", readers: docxReaders },
];

const OURS: ReadonlySet<ReaderName> = new Set(["ours", "ours, two children"]);
/** The CPU time and memory of programs that it only waits for are not a process's own. */
const WORKS_ELSEWHERE: ReadonlySet<ReaderName> = new Set(["ours, two children", "pdftotext"]);
const atOnce = (name: ReaderName): number => (name === "ours, two children" ? 2 : 1);

const costOf = z.object({
  pages: z.number(),
  failed: z.number(),
  documents: z.number(),
  cpuSeconds: z.number(),
  wallSeconds: z.number(),
  peakMb: z.number(),
});
type Cost = z.infer<typeof costOf>;
const harmOf = z.object({
  files: z.number(),
  typed: z.number(),
  lagP99Ms: z.number(),
  rssBeforeMb: z.number(),
  rssAfterMb: z.number(),
});

const Scores = z.array(z.object({ kind: z.string(), exp: z.string() }).catchall(z.unknown()));

export async function benchExtract(report: Report, options: BenchOptions): Promise<void> {
  const corpus = process.env.RAG_CORPUS_DIR;
  if (corpus === undefined) throw new Error("Set RAG_CORPUS_DIR to a folder of documents with MANIFEST.tsv.");
  installPeers();
  const manifest = (await readFile(join(corpus, "MANIFEST.tsv"), "utf8")).split("\n").slice(1);
  const rows = manifest.map((line) => line.split("\t"));
  for (const contest of contests) {
    const named = rows.filter(([name = ""]) => contest.files.test(name));
    const good = named.filter((row) => row.includes("ok")).map(([name = ""]) => name);
    await measureCost(contest, corpus, good, report, options);
    await measureFidelity(
      contest,
      corpus,
      named.map(([name = ""]) => name),
      report,
      options,
    );
  }
  await measureLongDocx(report, options);
  if ("hostile".includes(options.only ?? "hostile")) await measureHarm(report);
}

/** What a report of a thousand pages costs: the text of letters is little beside the program itself. */
async function measureLongDocx(report: Report, options: BenchOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "rag-bench-extract-"));
  try {
    await writeFile(join(folder, "long.docx"), makeLongDocx(7 << 20));
    const contest = { name: "DOCX of 7 MB of XML", unit: "documents", readers: docxReaders } as const;
    await measureCost(contest, folder, ["long.docx"], report, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function makeLongDocx(xmlBytes: number): Uint8Array {
  let body = "";
  for (let at = 0; body.length < xmlBytes; at += 1) {
    if (at % 40 === 0) body += paragraph(`Chapter ${at / 40 + 1}`, "Heading1");
    body += paragraph(
      `Paragraph ${at} of this long report tells how item ${(at * 7919) % 100_003} was weighed, measured and put away. The keeper wrote it down, and nobody has moved it since.`,
    );
  }
  const styles = '<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>';
  return makeDocx({ body, styles });
}

async function measureHarm(report: Report): Promise<void> {
  const { stdout } = await run(process.execPath, ["--expose-gc", hostileChild], { maxBuffer: MOST_OUTPUT });
  const { files, typed, lagP99Ms, rssBeforeMb, rssAfterMb } = harmOf.parse(JSON.parse(stdout));
  const figure = { bench: "extract", case: `${files} hostile files`, contestant: "ours" };
  report({ ...figure, metric: "text or a code", value: typed, unit: "files" });
  report({ ...figure, metric: "event loop lag p99", value: lagP99Ms, unit: "ms" });
  report({ ...figure, metric: "RSS before", value: rssBeforeMb, unit: "MB" });
  report({ ...figure, metric: "RSS after", value: rssAfterMb, unit: "MB" });
}

/** Without a program that is not there: it would read nothing in no time. */
function readersOf({ readers }: Contest, options: BenchOptions): readonly { readonly name: ReaderName }[] {
  const here = readers.filter((name) => name !== "pdftotext" || hasPdftotext());
  if (here.length < readers.length)
    options.progress("pdftotext is not installed (poppler-utils): it is left out.");
  return asked(
    here.map((name) => ({ name })),
    options,
  );
}

const hasPdftotext = () => spawnSync("pdftotext", ["-v"]).error === undefined;

async function measureCost(
  contest: Contest,
  folder: string,
  files: readonly string[],
  report: Report,
  options: BenchOptions,
): Promise<void> {
  const readers = readersOf(contest, options);
  const costs = new Map<string, Cost[]>(readers.map(({ name }) => [name, []]));
  const rounds = options.rounds ?? ROUNDS;
  for (let round = 1; round <= rounds; round += 1)
    for (const { name } of readers) {
      const cost = await runReader({
        reader: name,
        folder,
        files,
        passes: PASSES,
        atOnce: atOnce(name),
        output: null,
      });
      costs.get(name)?.push(cost);
      options.progress(
        `${contest.name}, round ${round}/${rounds}  ${name}  ${(cost[contest.unit] / cost.wallSeconds).toFixed(1)} ${contest.unit}/s`,
      );
    }
  // Not everybody tells pages apart; there are as many as whoever sees most.
  const pages = Math.max(...[...costs.values()].flat().map((cost) => cost.pages));
  const amount = { pages, documents: files.length * PASSES }[contest.unit];
  const rateOf = (name: string, per: "cpuSeconds" | "wallSeconds") =>
    (costs.get(name) ?? []).map((cost) => amount / cost[per]);
  for (const { name } of readers) {
    const figure = {
      bench: "extract",
      case: files.length === 1 ? contest.name : `${contest.name}, ${files.length} files`,
      contestant: name,
    };
    const per = WORKS_ELSEWHERE.has(name) ? "wallSeconds" : "cpuSeconds";
    const metric = per === "cpuSeconds" ? "per CPU second" : "per second";
    report({ ...figure, metric, value: median(rateOf(name, per)), unit: contest.unit });
    if (!WORKS_ELSEWHERE.has(name))
      report({
        ...figure,
        metric: "peak RSS",
        value: median((costs.get(name) ?? []).map((cost) => cost.peakMb)),
        unit: "MB",
      });
    const failures = Math.max(...(costs.get(name) ?? []).map((cost) => cost.failed));
    if (failures > 0) report({ ...figure, metric: "failed reads", value: failures, unit: "" });
    for (const own of OURS)
      if (!OURS.has(name) && costs.has(own) && (per === "wallSeconds" || own === "ours"))
        report({
          ...figure,
          metric: `${own} ${metric}`,
          value: medianRatio(rateOf(own, per), rateOf(name, per)),
          unit: "",
          ratio_to: name,
        });
  }
}

async function measureFidelity(
  contest: Contest,
  corpus: string,
  files: readonly string[],
  report: Report,
  options: BenchOptions,
): Promise<void> {
  if (!existsSync(join(corpus, "fidelity.py"))) return;
  const folder = await mkdtemp(join(tmpdir(), "rag-bench-extract-"));
  try {
    for (const { name } of readersOf(contest, options)) {
      const output = join(folder, `${name}.jsonl`);
      await runReader({ reader: name, folder: corpus, files, passes: 1, atOnce: atOnce(name), output });
      const scores = join(folder, `${name}.json`);
      await run("python3", [join(corpus, "fidelity.py"), output, "--corpus", corpus, "--json", scores]);
      const kind = contest.name.toLowerCase();
      const rows = Scores.parse(JSON.parse(await readFile(scores, "utf8"))).filter(
        (row) => row.kind === kind,
      );
      for (const metric of ["recall", "precision", "order", "page", "head"]) {
        const values = rows
          .filter((row) => row.exp === "ok")
          .flatMap((row) => (typeof row[metric] === "number" ? row[metric] : []));
        if (values.length === 0) continue;
        const value = values.reduce((sum, one) => sum + one, 0) / values.length;
        report({
          bench: "extract",
          case: `${contest.name}, fidelity`,
          contestant: name,
          metric,
          value,
          unit: "",
        });
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function runReader(order: object): Promise<Cost> {
  const { stdout } = await run(process.execPath, [child, JSON.stringify(order)], { maxBuffer: MOST_OUTPUT });
  return costOf.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
}
