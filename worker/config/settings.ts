// The one table of settings. The frozen Config, .env.example, the README's table, `rag doctor` and log
// redaction all come from it. A setting is added together with the code that obeys it.
import { address, choice, flag, integer, list, seconds, secret, text } from "./setting.ts";

export const settings = {
  // Database
  databaseUrl: address("DATABASE_URL", ["postgres", "postgresql"], {
    says: "Postgres, direct or pooled. Wins over the Supabase API.",
  }),
  supabaseUrl: address("SUPABASE_URL", ["http", "https"], {
    says: "Supabase project: RPC transport and Storage.",
  }),
  supabaseKey: secret(["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY"], {
    says: "Key of the service role, legacy or sb_secret_….",
  }),
  embeddedDir: text("RAG_EMBEDDED_DIR", {
    fallback: ".rag",
    says: "Embedded database, model cache, sockets.",
  }),
  poolMax: integer("RAG_POOL_MAX", {
    fallback: 3,
    min: 2,
    max: 100,
    says: "Postgres connections of one replica.",
  }),
  poolTimeoutSeconds: seconds("RAG_POOL_TIMEOUT_SECONDS", {
    fallback: 30,
    min: 1,
    max: 300,
    says: "Longest wait for a connection.",
  }),

  // Queue
  pollIntervalMs: integer("RAG_POLL_INTERVAL_MS", {
    fallback: 10_000,
    min: 100,
    max: 600_000,
    says: "Longest pause between two looks at the queue when idle.",
  }),
  workerId: text("RAG_WORKER_ID", {
    fallback: null,
    fallbackSays: "host, pid, start time, random",
    says: "Name of this replica; unique per start.",
  }),
  kinds: list("RAG_KINDS", ["document", "relationships", "sync"], {
    fallback: ["document"],
    fallbackSays: "document",
    says: "Job kinds this replica takes. A kind that no replica takes waits.",
  }),
  jobConcurrency: integer("RAG_JOB_CONCURRENCY", { fallback: 4, min: 1, max: 1000, says: "Jobs at once." }),
  leaseSeconds: seconds("RAG_LEASE_SECONDS", {
    fallback: 60,
    min: 2,
    max: 900,
    says: "How long a silent worker keeps its jobs.",
  }),
  stallSeconds: seconds("RAG_STALL_SECONDS", {
    fallback: 300,
    min: 5,
    max: 86_400,
    says: "A step without progress for this long is ended.",
  }),
  maxAttempts: integer("RAG_MAX_ATTEMPTS", {
    fallback: 5,
    min: 1,
    max: 100,
    says: "Attempts of a job that `rag ingest` enqueues.",
  }),
  graceSeconds: seconds("RAG_GRACE_SECONDS", {
    fallback: 25,
    min: 1,
    max: 3600,
    says: "Time to finish or release jobs after SIGTERM or SIGINT.",
  }),
  retentionDays: integer("RAG_RETENTION_DAYS", {
    fallback: 30,
    min: 1,
    max: 36_500,
    says: "Age in days at which `rag prune` deletes finished jobs.",
  }),
  memoryLimitMb: integer("RAG_MEMORY_LIMIT_MB", {
    fallback: null,
    fallbackSays: "80 % of the cgroup or machine",
    min: 128,
    max: 4_194_304,
    says: "No new claim above this RSS.",
  }),

  // Wake-ups
  wakeBus: choice("RAG_WAKE_BUS", ["auto", "redis", "nats", "postgres", "silent"], {
    fallback: "auto",
    says: "Who tells the worker of new jobs, beside polling. auto: Redis when its URL is set, else NATS when its URL is set, else LISTEN on DATABASE_URL when a trial notification arrives.",
  }),
  listenChannel: text("RAG_LISTEN_CHANNEL", {
    fallback: "rag_jobs",
    says: "Channel of LISTEN.",
  }),
  redisUrl: address("REDIS_URL", ["redis", "rediss"], {
    says: "Redis for wake-ups, on the channel parse_jobs.",
  }),
  natsUrl: address("NATS_URL", ["nats", "tls"], {
    says: "NATS for wake-ups, on the subject parse_jobs. A user name without a password is a token.",
  }),

  // Originals
  documentRoot: text("RAG_DOCUMENT_ROOT", {
    fallback: null,
    says: "Folder below which file:/// documents are read. Must exist at start when set.",
  }),
  storageBucket: text("RAG_STORAGE_BUCKET", {
    fallback: null,
    says: "Supabase Storage bucket for files given to `rag ingest`.",
  }),
  keepOriginals: flag("RAG_KEEP_ORIGINALS", {
    fallback: false,
    says: "Keep bytes stored in rag_originals after ingestion.",
  }),
  maxFileMb: integer("RAG_MAX_FILE_MB", {
    fallback: 200,
    min: 1,
    max: 4096,
    says: "Larger is source.too-large.",
  }),

  // Extraction
  extractTimeoutSeconds: seconds("RAG_EXTRACT_TIMEOUT_SECONDS", {
    fallback: 120,
    min: 1,
    max: 3600,
    says: "Time limit for reading one file.",
  }),
  extractMemoryMb: integer("RAG_EXTRACT_MEMORY_MB", {
    fallback: 1024,
    min: 128,
    max: 65_536,
    says: "Memory limit for reading one file.",
  }),

  // Chunks
  chunkStrategy: choice("RAG_CHUNK_STRATEGY", ["recursive", "semantic", "fixed"], {
    fallback: "recursive",
    says: "How text is cut: recursive follows its structure, semantic its meaning (embeds everything twice), fixed fills equal windows.",
  }),
  chunkTokens: integer("RAG_CHUNK_TOKENS", {
    fallback: 256,
    min: 16,
    max: 8192,
    says: "Token budget of a chunk, never above the model's limit.",
  }),
  chunkOverlapTokens: integer("RAG_CHUNK_OVERLAP_TOKENS", {
    fallback: 0,
    min: 0,
    max: 2048,
    says: "Tokens shared by neighbouring chunks.",
  }),
  embeddingCharLimit: integer("RAG_EMBEDDING_CHAR_LIMIT", {
    fallback: 1200,
    min: 0,
    max: 100_000,
    says: "Caps a chunk together with the token budget, whichever is reached first; 0 switches it off.",
  }),

  // Embedding
  embeddingProvider: choice("RAG_EMBEDDING_PROVIDER", ["auto", "openai", "llama-server", "embedded"], {
    fallback: "auto",
    says: "auto: OpenAI when its key or OPENAI_BASE_URL is set, llama-server when its URL is set, else the embedded model.",
  }),
  embeddingModel: text("RAG_EMBEDDING_MODEL", {
    fallback: null,
    fallbackSays: "text-embedding-3-small for OpenAI, all-MiniLM-L6-v2 embedded, what another server serves",
    says: "Model name.",
  }),
  embeddingDimensions: integer("RAG_EMBEDDING_DIMENSIONS", {
    fallback: null,
    fallbackSays: "the model's own",
    min: 1,
    max: 16_000,
    says: "Dimensions of a vector.",
  }),
  embeddingBatch: integer("RAG_EMBEDDING_BATCH", {
    fallback: 16,
    min: 1,
    max: 2048,
    says: "Texts in one request.",
  }),
  embeddingConcurrency: integer("RAG_EMBEDDING_CONCURRENCY", {
    fallback: 4,
    min: 1,
    max: 64,
    says: "Embedding requests in flight.",
  }),
  openaiApiKey: secret("OPENAI_API_KEY", { says: "OpenAI, or any server that speaks its protocol." }),
  openaiBaseUrl: address("OPENAI_BASE_URL", ["http", "https"], {
    says: "Another server that speaks the OpenAI protocol, such as http://127.0.0.1:8081/v1.",
  }),
  llamaServerUrl: address("LLAMA_SERVER_URL", ["http", "https"], { says: "A llama-server that others run." }),

  // Status server
  port: integer("PORT", {
    fallback: null,
    fallbackSays: "8080, or the next free one",
    min: 0,
    max: 65_535,
    says: "Port of the status server.",
  }),
  httpHost: text("RAG_HTTP_HOST", {
    fallback: null,
    fallbackSays: "127.0.0.1; :: when PORT is set",
    says: "Address the status server binds to.",
  }),
  httpToken: secret("RAG_HTTP_TOKEN", {
    says: "Token for reading /health off loopback. Without it only /live, /ready and /metrics answer there.",
  }),

  // Logs
  logLevel: choice("LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
    fallback: "info",
    says: "Least level that is logged.",
  }),
} as const;

export type Settings = typeof settings;
