// What the embedded model's integers cost: recall of the same chunks and questions at full precision beside it.
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { EncodingTokenizer } from "../../../worker/document/tokenizer.ts";
import { openNativeEngine } from "../../../worker/embedders/embedded-native.ts";
import type { Precision } from "../../../worker/embedders/minilm-graph.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import type { BenchOptions, Report } from "../figure.ts";
import { cutAll, FOUND, meanOf, nearest, readSet, scoreOf, splitAs } from "../splitters/retrieval.ts";

const CLS = 101n;
const SEP = 102n;
const precisions: readonly Precision[] = ["float32", "int8"];

export async function benchPrecision(folder: string, report: Report, options: BenchOptions): Promise<void> {
  const { questions, corpora } = only(askedCorpora(), await readSet(folder));
  const noEmbedding = async () => [];
  const cut = await cutAll(corpora, splitAs("recursive", { embed: noEmbedding }));
  const chunks = cut.flatMap(({ corpus, chunks }) => chunks.map((chunk) => ({ ...chunk, corpus })));
  const recalls: number[] = [];
  for (const precision of precisions) {
    const embed = await openPrecision(precision);
    const vectors = await embed.all(chunks.map((chunk) => chunk.text));
    const asks = await embed.all(questions.map((question) => question.text));
    await embed.close();
    const scores = questions.map((question, at) =>
      scoreOf(
        question,
        nearest(asks[at] ?? new Float32Array(), vectors).map((best) => chunks[best]),
      ),
    );
    const recall = 100 * meanOf(scores.map((score) => score.recall));
    recalls.push(recall);
    options.progress(`${precision}: recall ${recall.toFixed(2)} % with ${chunks.length} chunks`);
    const figure = {
      bench: "embed",
      case: `retrieval, ${questions.length} questions`,
      contestant: precision,
    };
    report({ ...figure, metric: `recall at ${FOUND}`, value: recall, unit: "%" });
    report({ ...figure, metric: "per CPU second", value: embed.perCpuSecond(), unit: "chunks" });
  }
  const [full = 0, integers = 0] = recalls;
  const figure = { bench: "embed", case: `retrieval, ${questions.length} questions`, contestant: "int8" };
  report({ ...figure, metric: "recall lost", value: full - integers, unit: "points" });
}

/** Full precision takes minutes over the whole set: `--kinds a,b` names the corpora to ask. */
function askedCorpora(): readonly string[] | null {
  const { values } = parseArgs({ strict: false, options: { kinds: { type: "string" } } });
  return typeof values.kinds === "string" ? values.kinds.split(",") : null;
}

function only(names: readonly string[] | null, set: Awaited<ReturnType<typeof readSet>>): typeof set {
  if (names === null) return set;
  return {
    questions: set.questions.filter(({ corpus }) => names.includes(corpus)),
    corpora: new Map([...set.corpora].filter(([name]) => names.includes(name))),
  };
}

async function openPrecision(precision: Precision) {
  const cacheDir = join(process.cwd(), ".rag", "models");
  const engine = await openNativeEngine({ cacheDir, precision });
  // SAFETY: WordPiece encodes.
  const tokenizer = openTokenizer("bert-wordpiece") as EncodingTokenizer;
  let [cpuMicros, texts] = [0, 0];
  return {
    async all(inputs: readonly string[]): Promise<readonly Float32Array[]> {
      const before = process.cpuUsage();
      const vectors: Float32Array[] = [];
      for (const text of inputs) {
        const ids = BigInt64Array.from([CLS, ...tokenizer.encode(text).map(BigInt), SEP]);
        vectors.push(await engine.embed({ text, ids }));
      }
      const { user, system } = process.cpuUsage(before);
      cpuMicros += user + system;
      texts += inputs.length;
      return vectors;
    },
    perCpuSecond: () => texts / (cpuMicros / 1e6),
    close: () => engine.close(),
  };
}
