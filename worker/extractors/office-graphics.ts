// What stands in a document of Word or PowerPoint as a part of its own and has words: diagrams (SmartArt) and charts.
import type { Block } from "./cut-segments.ts";
import { createChartReader } from "./office-chart.ts";
import { readWholePart } from "./office-package.ts";
import { createTextBodyReader } from "./office-text-body.ts";
import type { ZipArchive } from "./zip-archive.ts";

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
