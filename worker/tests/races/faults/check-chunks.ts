// Who may write chunks: the holder of the job's token, into its own generation, which no reader sees yet.
import type { ChunksEntry, CommitEntry, History } from "./history.ts";
import type { Violation } from "./violation.ts";

export function checkChunks(history: History): readonly Violation[] {
  const commits = new Map(
    history.filter((entry) => entry.kind === "commit").map((entry) => [entry.of, entry.standing]),
  );
  return history.flatMap((entry) => {
    const says =
      entry.kind === "chunks"
        ? wrongInWrite(entry, copied(entry) ? commits.get(entry.seq) : entry.standing)
        : entry.kind === "commit"
          ? wrongAtCommit(entry)
          : entry.kind === "gone"
            ? `${entry.by ?? "somebody"} deleted ${entry.chunks} chunks that readers see.`
            : null;
    if (says === null) return [];
    const subject = entry.kind === "commit" ? (entry.job_id ?? "unknown") : documentOf(entry);
    return [{ rule: entry.kind === "gone" ? "wrong-live" : "stale-chunk", subject, says, seq: entry.seq }];
  });
}

const documentOf = (entry: History[number]): string =>
  "document_id" in entry && entry.document_id !== null ? entry.document_id : "unknown";

/** What is copied is fenced with its commit, for no lock is held while rows are on their way. */
const copied = ({ by }: ChunksEntry): boolean => by === "rag_open_copy";

/** `standing`: the job's row in the moment in which its lock and the token count. */
function wrongInWrite(entry: ChunksEntry, standing: ChunksEntry["standing"] = null): string | null {
  const what = `Chunks ${entry.first} to ${entry.last} of generation ${entry.generation}`;
  if (entry.live === true) return `${what} were written into a generation that readers see.`;
  if (standing === null) return `${what} were written and no job of the document was at work.`;
  if (standing.status !== "processing") return `${what} were written while the job was ${standing.status}.`;
  if (!standing.ours) return `${what} were written without a lock on the job's row.`;
  if (standing.generation !== entry.generation)
    return `${what} were written while the job worked on generation ${standing.generation}.`;
  if (entry.acting_token !== null && entry.acting_token !== standing.token)
    return `${what} were written by token ${entry.acting_token} while token ${standing.token} held the job.`;
  return null;
}

function wrongAtCommit(entry: CommitEntry): string | null {
  const { standing } = entry;
  if (entry.acting_token === null || standing?.token === entry.acting_token) return null;
  return `Token ${entry.acting_token} committed chunks while token ${standing?.token ?? "none"} held the job.`;
}
