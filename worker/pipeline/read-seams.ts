// How the chunks of a document's former text begin, so that an edit changes the chunks around it and no others.
import { z } from "zod";
import type { Seams } from "../chunkers/chunker.ts";
import type { Generation } from "./begin-generation.ts";
import type { StepContext } from "./step-context.ts";

const beginnings = z.array(z.string());

// 40 characters each: a call stays far below what an API gateway takes.
const PAGE = 1000;
// 40 MB of a document that nobody edits by hand; what lies behind is cut by its own text alone.
const MOST_SEAMS = 200_000;

export async function readSeams(generation: Generation, step: StepContext): Promise<Seams> {
  const seams = new Map<string, number[]>();
  const { former } = generation;
  if (former === null) return seams;
  let number = 0;
  for (let first = 0; first < Math.min(former.chunks, MOST_SEAMS); first += PAGE) {
    const args = {
      p_document_id: step.document.id,
      p_generation: former.generation,
      p_first: first,
      p_limit: PAGE,
    };
    const page = beginnings.parse(await step.call("rag_read_seams", args, { signal: step.signal }));
    step.touch();
    for (const seam of page) {
      const begin = seams.get(seam);
      if (begin === undefined) seams.set(seam, [number]);
      else begin.push(number);
      number += 1;
    }
  }
  return seams;
}
