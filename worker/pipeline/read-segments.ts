// Segments that are in the database already: a transcript's, or what an earlier run extracted.
import { z } from "zod";
import type { Segment } from "../document/segment.ts";
import type { Generation } from "./begin-generation.ts";
import type { StepContext } from "./step-context.ts";

const rows = z.array(
  z
    .object({
      seq: z.number().int(),
      content: z.string(),
      page_number: z.number().int().nullable(),
      section: z.string().nullable(),
      speaker: z.string().nullable(),
      started_ms: z.number().nullable(),
      ended_ms: z.number().nullable(),
    })
    .transform(
      (row): Segment => ({
        seq: row.seq,
        content: row.content,
        pageNumber: row.page_number,
        section: row.section,
        speaker: row.speaker,
        startedMs: row.started_ms,
        endedMs: row.ended_ms,
      }),
    ),
);

// An extractor's segment is at most about 8,000 characters: a page of 100 stays below 1 MB.
const PAGE = 100;

export async function* readSegments(generation: Generation, step: StepContext): AsyncIterable<Segment> {
  let after = -2_147_483_648;
  for (;;) {
    const page = rows.parse(
      await step.call(
        "rag_read_segments",
        {
          p_document_id: step.document.id,
          p_generation: generation.number,
          p_after_seq: after,
          p_limit: PAGE,
        },
        { signal: step.signal },
      ),
    );
    step.touch();
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.seq;
  }
}
