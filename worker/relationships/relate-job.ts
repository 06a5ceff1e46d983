// A job of the kind relationships.
import type { Activity } from "../activity/activity.ts";
import { done, type RunKind } from "../document/run-kind.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { relateDocument } from "./relate-document.ts";

// Whoever deletes or repairs a document holds it for milliseconds.
const BUSY_WAIT_MS = 1000;
// One message asks for both, and a small document is read in less.
const DOCUMENT_WAIT_MS = 2000;

export function openRelating(
  call: SqlCall,
  activity: Activity,
  { referencePatterns: patterns }: { readonly referencePatterns: readonly string[] },
): RunKind {
  return async ({ id: jobId, document, lease }, { signal }) => {
    if (document === null) throw new Failure("job.document-gone");
    const related = await relateDocument(call, document.id, { patterns, lease }, signal);
    switch (related.state) {
      case "lease_lost":
        return { kind: "lost" };
      case "gone":
        throw new Failure("job.document-gone");
      case "busy":
        return { kind: "release", failure: new Failure("database.conflict"), delayMs: BUSY_WAIT_MS };
      case "pending":
        return { kind: "release", failure: new Failure("job.document-first"), delayMs: DOCUMENT_WAIT_MS };
      case "related": {
        const { written, removed, unresolved } = related;
        activity.say("document.related", { jobId, documentId: document.id, written, removed, unresolved });
        return done;
      }
    }
  };
}
