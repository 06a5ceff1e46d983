// What parts are told that no single setting says: limits and places, worked out from the configuration.
import { availableParallelism, tmpdir, totalmem, userInfo } from "node:os";
import { join } from "node:path";
import type { ChunkLimits } from "./chunkers/chunker.ts";
import { leaveRoomForContext } from "./chunkers/context-room.ts";
import type { Config } from "./config/config.ts";
import { Failure } from "./failure/failure.ts";

// 200 MB of text is more than any book; above it a document is something else.
const MOST_CHARS = 400_000_000;

/** `maxTokens`: what the model reads at most. */
export function chunkLimits(config: Config, maxTokens: number): ChunkLimits {
  const limits = {
    tokens: Math.min(config.chunkTokens, maxTokens),
    overlapTokens: config.chunkOverlapTokens,
    chars: config.embeddingCharLimit,
    headingPrefix: config.chunkHeadingPrefix,
  };
  return config.contextualChunks ? leaveRoomForContext(limits) : limits;
}

/** How files are read: limits of one file, and how many at once. */
export function extraction(config: Config) {
  return {
    limits: {
      timeoutMs: config.extractTimeoutSeconds * 1000,
      memoryMb: config.extractMemoryMb,
      maxChars: MOST_CHARS,
    },
    // Parsing is work for a core; more children than cores only take memory.
    concurrency: Math.min(config.jobConcurrency, Math.max(2, availableParallelism())),
  };
}

/** Above so many bytes of RSS no new job is claimed. */
export function memoryBytes(config: Config): number {
  if (config.memoryLimitMb !== null) return config.memoryLimitMb * 1024 * 1024;
  const constrained = process.constrainedMemory();
  const available = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  return available * 0.8;
}

/** Where originals are copied to while they are read, and how large they may be. */
export function copyLimits(config: Config) {
  return {
    tempDir: join(tmpdir(), `rag-worker-${userInfo().username}`),
    maxBytes: config.maxFileMb * 1024 * 1024,
  };
}

/** Where a sync looks for originals. */
export const originsOfSync = (config: Config) => ({ ...origins(config), bucket: config.storageBucket });

/** Where originals may come from. Throws `config.invalid`. */
export function origins(config: Config) {
  const { supabaseUrl, supabaseKey, documentRoot } = config;
  if (config.storageBucket !== null && (supabaseUrl === null || supabaseKey === null)) {
    throw new Failure("config.invalid", {
      says: "RAG_STORAGE_BUCKET needs SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.",
    });
  }
  return {
    documentRoot,
    storage: supabaseUrl !== null && supabaseKey !== null ? { url: supabaseUrl, key: supabaseKey } : null,
  };
}
