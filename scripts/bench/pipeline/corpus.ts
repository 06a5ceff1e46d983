// Markdown documents for the pipeline bench, the same from the same folder and seed on every machine. The rule: the
// blocks (paragraphs, lists, fenced code; what blank lines part) of the folder's Markdown and of the texts that
// belong to its PDFs are drawn at random, put under headings, and gathered into documents whose sizes are
// log-normal around the mean. Each sentence ends in a number of its document and block, so that no two chunks are
// alike: nobody may answer from what was embedded before.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export type CorpusShape = {
  readonly documents: number;
  /** Together, before numbering; the files come out about a tenth larger. */
  readonly bytes: number;
  readonly seed: number;
};

export type Corpus = { readonly names: readonly string[]; readonly bytes: number };

const LEAST_LETTERS = 40;
const MOST_CHARS = 4000;
// Of ln(size): most documents between a third and three times the median.
const SIGMA = 0.6;
const BLOCKS_A_SECTION = 6;

/** Writes the documents below `root` and answers their names. Throws when the folder holds no text. */
export async function writeCorpus(folder: string, root: string, shape: CorpusShape): Promise<Corpus> {
  const blocks = await readBlocks(folder);
  if (blocks.length === 0) throw new Error(`There is no Markdown in ${folder}.`);
  const random = mulberry32(shape.seed);
  const sizes = Array.from({ length: shape.documents }, () => Math.exp(SIGMA * normal(random)));
  const scale = shape.bytes / sizes.reduce((sum, size) => sum + size, 0);
  await mkdir(root, { recursive: true });
  const names: string[] = [];
  let bytes = 0;
  for (const [at, size] of sizes.entries()) {
    const name = `${String(at + 1).padStart(5, "0")}.md`;
    const text = compose(blocks, at + 1, size * scale, random);
    await writeFile(join(root, name), text);
    names.push(name);
    bytes += Buffer.byteLength(text);
  }
  return { names, bytes };
}

async function readBlocks(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => /\.md$|\.pdf\.truth\.txt$/.test(name)).sort();
  const blocks: string[] = [];
  for (const name of names) {
    const text = await readFile(join(folder, name), "utf8");
    if (text.includes("\uFFFD")) continue;
    for (const block of text.split(/\n\s*\n/)) {
      const letters = block.match(/\p{L}/gu)?.length ?? 0;
      const isWhole = (block.match(/```/g)?.length ?? 0) % 2 === 0;
      // Marks that PDFs leave behind would make the whole document look like no text.
      const isText = isWhole && !block.startsWith("#") && !/[\p{Cc}--[\n\t]]/v.test(block);
      if (isText && letters >= LEAST_LETTERS && block.length <= MOST_CHARS) blocks.push(block.trimEnd());
    }
  }
  return blocks;
}

function compose(blocks: readonly string[], document: number, bytes: number, random: () => number): string {
  const parts = [`# Document ${document}`];
  let written = 0;
  for (let block = 1; written < bytes; block += 1) {
    const drawn = blocks[Math.floor(random() * blocks.length)] ?? "";
    if (block % BLOCKS_A_SECTION === 1) parts.push(`## Part ${Math.ceil(block / BLOCKS_A_SECTION)}`);
    parts.push(
      `${drawn.replaceAll(/([.!?。:;])(\s)/g, `$1 [${document}.${block}]$2`)} [${document}.${block}]`,
    );
    written += Buffer.byteLength(drawn);
  }
  return `${parts.join("\n\n")}\n`;
}

/** A standard normal number. Source: Box and Muller, 1958. */
const normal = (random: () => number) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** 0 to below 1. Source: Tommy Ettinger's mulberry32, public domain. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
