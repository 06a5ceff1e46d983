// Whether texts become vectors, and whether they fit what is stored.
import type { Parts } from "../../assemble.ts";
import { type Embedder, identityOf } from "../../embedders/embedder.ts";
import { storageClient } from "../../sources/storage-client.ts";
import { storageFailure } from "../../sources/storage-failure.ts";
import type { Described } from "./check-database.ts";
import { attempt, type Finding, green, red, yellow } from "./finding.ts";

const CANARY_LIMIT_MS = 60_000;
const STORAGE_LIMIT_MS = 15_000;

/** `stored` is null when the database could not be asked. */
export async function checkProvider(parts: Parts, stored: Described | null): Promise<readonly Finding[]> {
  return await attempt("provider", async () => {
    const embedder = await parts.embedder();
    const startedAt = performance.now();
    const { vectors } = await embedder.embed(["canary"], AbortSignal.timeout(CANARY_LIMIT_MS));
    const ms = Math.round(performance.now() - startedAt);
    const price = embedder.priceUsdPerMillionTokens;
    return [
      green(
        "provider",
        `${embedder.provider}: ${embedder.model} gave ${vectors[0]?.length ?? 0} dimensions in ${ms} ms, reads ` +
          `${embedder.limits.maxTokensPerInput} tokens at most${price === null ? "" : `, $ ${price} per million`}`,
      ),
      ...(await describeServer(embedder)),
      ...(stored === null ? [] : [checkModel(embedder, stored)]),
      ...checkBudget(parts, embedder),
    ];
  });
}

/** The llama-server that the canary has started; it ends with this command. */
async function describeServer(embedder: Embedder): Promise<Finding[]> {
  const server = await embedder.server?.();
  if (server === undefined) return [];
  const memory = server.rssBytes === null ? "" : `, ${Math.round(server.rssBytes / 1_048_576)} MB`;
  return [
    green("llama-server", `${server.state}: pid ${server.pid}${memory}, ${server.slots} texts at once`),
  ];
}

function checkModel(embedder: Embedder, stored: Described): Finding {
  const live = stored.models.find(({ state }) => state === "live");
  if (live === undefined) return green("model", "none stored yet: the first document decides");
  const [kept, own] = [identityOf(live), identityOf(embedder)];
  if (kept === own) return green("model", `the stored vectors are of ${own}, as configured`);
  if (stored.models.some((model) => model.state === "next" && identityOf(model) === own))
    return green("model", `the stored vectors are of ${kept}; a switch to ${own} is under way: rag model`);
  return red(
    "model",
    `stored are vectors of ${kept}, configured is ${own}`,
    "Vectors of two models cannot be compared. Set RAG_EMBEDDING_PROVIDER, RAG_EMBEDDING_MODEL and " +
      "RAG_EMBEDDING_DIMENSIONS to what is stored, or change the model: rag model switch. Is a key missing that was " +
      "set when it was stored?",
  );
}

function checkBudget({ config }: Parts, embedder: Embedder): Finding[] {
  const most = embedder.limits.maxTokensPerInput;
  if (config.chunkTokens <= most) return [];
  return [
    yellow(
      "chunks",
      `RAG_CHUNK_TOKENS is ${config.chunkTokens}, the model reads ${most}`,
      `Chunks are cut at ${most} tokens. Lower RAG_CHUNK_TOKENS to say the same.`,
    ),
  ];
}

export async function checkStorage({ config }: Parts): Promise<readonly Finding[]> {
  const { storageBucket, supabaseUrl, supabaseKey } = config;
  if (storageBucket === null) return [];
  if (supabaseUrl === null || supabaseKey === null)
    return [
      red(
        "storage",
        `bucket ${storageBucket}, but no project`,
        "RAG_STORAGE_BUCKET needs SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.",
      ),
    ];
  return await attempt("storage", async () => {
    const client = await storageClient(
      { url: supabaseUrl, key: supabaseKey },
      AbortSignal.timeout(STORAGE_LIMIT_MS),
    );
    const { data, error } = await client.getBucket(storageBucket);
    if (error) throw storageFailure(error);
    if (!data.public) return [green("storage", `bucket ${storageBucket} is there and private`)];
    return [
      yellow(
        "storage",
        `bucket ${storageBucket} is public`,
        "Anybody who guesses a name can read the originals. Make the bucket private.",
      ),
    ];
  });
}
