// What must be right before a worker claims its first job: each wrong thing ends the start with one sentence.
// What may pass (a provider that is away for a moment) does not.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { type Embedder, identityOf } from "../embedders/embedder.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";

const described = z.object({
  pgvector: z.string().nullable(),
  models: z.array(
    z.object({ model: z.string(), dimensions: z.number(), quantisation: z.string(), state: z.string() }),
  ),
});

/**
 * Throws `database.*` when the schema is not there, `embed.model-mismatch` when the vectors are another's and no
 * switch to this model was asked for.
 */
export async function checkDatabase(
  call: SqlCall,
  embedder: Pick<Embedder, "model" | "dimensions" | "quantisation">,
) {
  const answer = described.parse(await call("rag_describe_database", {}));
  if (answer.pgvector === null) throw new Failure("database.no-pgvector");
  const live = answer.models.find((model) => model.state === "live");
  const own = identityOf(embedder);
  if (live && !answer.models.some((model) => model.state !== "retired" && identityOf(model) === own)) {
    throw new Failure("embed.model-mismatch", {
      facts: {
        configured: embedder.model,
        dimensions: embedder.dimensions,
        quantisation: embedder.quantisation ?? "none",
        live: live.model,
        liveDimensions: live.dimensions,
        liveQuantisation: live.quantisation,
      },
    });
  }
}

/**
 * One text through the provider, but for one that would start a server for it. Throws only what no job could
 * succeed with (wrong key, model, dimension).
 */
export async function checkEmbedder(embedder: Embedder, signal: AbortSignal): Promise<void> {
  if (embedder.server !== undefined) return;
  try {
    await embedder.embed(["canary"], signal);
  } catch (thrown) {
    const failure = failureFromUnknown(thrown);
    if (failure.kind === "misconfigured") throw failure;
    if (failure.code === "embed.input-rejected") throw new Failure("embed.refused", { cause: failure });
  }
}
