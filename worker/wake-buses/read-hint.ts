// Whether what came over the wire can be a hint at all. What it says is never used: the queue in the database
// knows which jobs there are, so a false hint costs one look at it.
import { z } from "zod";

const anyId = z.union([z.string(), z.number()]).nullish();
const hint = z.looseObject({ job_id: anyId, document_id: anyId });

// Postgres lets a notification carry so much; a hint has two ids and a path.
const LONGEST = 8000;

/** An object with ids as enqueuing clients and the insert trigger send it, or nothing at all (`NOTIFY rag_jobs`). */
export function isHint(payload: string | Uint8Array): boolean {
  if (payload.length === 0) return true;
  if (payload.length > LONGEST) return false;
  try {
    const text = typeof payload === "string" ? payload : new TextDecoder().decode(payload);
    return hint.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}
