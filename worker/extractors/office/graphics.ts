// What stands in a document of Word or PowerPoint as a part of its own and has words: diagrams (SmartArt) and charts.
import type { Block } from "../cut-segments.ts";
import type { ZipArchive } from "../zip-archive.ts";
import { createChartReader } from "./chart.ts";
import { readWholePart } from "./package.ts";
import { createTextBodyReader } from "./text-body.ts";

const DIAGRAM = /\/diagrams\/[^/]+\.xml$/i;
const CHART = /\/charts\/[^/]+\.xml$/i;

export const isGraphic = (part: string): boolean => DIAGRAM.test(part) || CHART.test(part);

/** Throws what reading an entry throws. */
export async function readGraphic(zip: ZipArchive, part: string): Promise<readonly Block[]> {
  if (CHART.test(part)) {
    const chart = createChartReader();
    await readWholePart(zip, part, chart);
    return chart.blocks;
  }
  const blocks: Block[] = [];
  await readWholePart(
    zip,
    part,
    createTextBodyReader(({ text }) => void blocks.push({ kind: "line", text })),
  );
  return blocks;
}
