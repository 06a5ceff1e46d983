// The one table of settings. The frozen Config, .env.example, the README's table, `rag doctor` and log
// redaction all come from it. A setting is added together with the code that obeys it.
import {
  address,
  amounts,
  choice,
  dollars,
  flag,
  integer,
  list,
  patterns,
  seconds,
  secret,
  share,
  text,
} from "./setting.ts";

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
    says: "Postgres connections of one replica; one more while it builds a vector index.",
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
    fallback: ["document", "relationships", "sync"],
    fallbackSays: "all",
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
  activityRetentionDays: integer("RAG_ACTIVITY_RETENTION_DAYS", {
    fallback: 90,
    min: 1,
    max: 36_500,
    says: "Age in days at which a month of the activity log is dropped, and dead letters are.",
  }),
  memoryLimitMb: integer("RAG_MEMORY_LIMIT_MB", {
    fallback: null,
    fallbackSays: "80 % of the cgroup or machine",
    min: 128,
    max: 4_194_304,
    says: "No new claim above this RSS.",
  }),
  indexMemoryMb: integer("RAG_INDEX_MEMORY_MB", {
    fallback: 256,
    min: 16,
    max: 65_536,
    says: "Memory on the database's machine for building one vector index: 60,000 rows of 1,536 dimensions fit 256 MB. More gives fewer, larger indexes.",
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
    says: "NATS for wake-ups, on the subject parse_jobs, and for messages. A user name without a password is a token.",
  }),

  // Ways in
  natsMessages: choice("RAG_NATS_MESSAGES", ["auto", "plain", "off"], {
    fallback: "auto",
    says: "Takes messages from NATS when its URL is set. auto: through JetStream where there is one (a subject that no stream keeps gets the stream rag_messages). plain: without streams; what comes while no worker listens is lost.",
  }),
  watchRoot: flag("RAG_WATCH_ROOT", {
    fallback: false,
    says: "Keeps the index as the document root is: everything below it, what changes, moves and goes.",
  }),
  watchIntervalSeconds: seconds("RAG_WATCH_INTERVAL_SECONDS", {
    fallback: 300,
    min: 1,
    max: 86_400,
    says: "Longest time between two looks through the document root; changes that the system tells of are seen within seconds.",
  }),
  watchSettleSeconds: seconds("RAG_WATCH_SETTLE_SECONDS", {
    fallback: 2,
    min: 0,
    max: 3600,
    says: "A file below the watched root is taken when it has not changed for so long.",
  }),
  watchTenant: text("RAG_WATCH_TENANT", {
    fallback: "default",
    says: "Whose documents the files below the watched root are.",
  }),
  watchCollection: text("RAG_WATCH_COLLECTION", {
    fallback: "default",
    says: "The collection they belong to.",
  }),
  onMissingFile: choice("RAG_ON_MISSING_FILE", ["keep", "delete"], {
    fallback: "keep",
    says: "What becomes of a document whose file is gone from the document root or from a folder that is ingested again.",
  }),

  // Events out
  realtime: choice("RAG_REALTIME", ["auto", "redis", "supabase", "both", "off"], {
    fallback: "auto",
    says: "Where events of jobs go: the Redis channel rag_realtime, private topics of Supabase Realtime. auto: wherever there is an address.",
  }),
  gateway: flag("RAG_GATEWAY", {
    fallback: false,
    says: "Serves WebSocket users on /ws of the status server; rag gateway serves them in a process of its own.",
  }),
  jwtSecret: secret("SUPABASE_JWT_SECRET", {
    says: "Shared secret of user tokens (HS256). Tokens signed with a key are checked against the JWKS of SUPABASE_URL.",
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
  chunkHeadingPrefix: flag("RAG_CHUNK_HEADING_PREFIX", {
    fallback: false,
    says: "Embeds each chunk with the headings it stands under before its text, inside the token budget.",
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
    says: "auto: OpenAI when its key or OPENAI_BASE_URL is set, llama-server when its URL or a model file is set, else the embedded model.",
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
    says: "Texts that make a request; more of them share one when they wait.",
  }),
  embeddingConcurrency: integer("RAG_EMBEDDING_CONCURRENCY", {
    fallback: 4,
    min: 1,
    max: 64,
    says: "Most embedding requests in flight; fewer while the provider refuses some.",
  }),
  onBadChunk: choice("RAG_ON_BAD_CHUNK", ["fail", "skip"], {
    fallback: "fail",
    says: "What becomes of a document with a chunk that the provider refuses. fail: it fails with the chunk named, everything else is kept for the retry. skip: it goes live without that chunk, which is recorded.",
  }),
  openaiApiKey: secret("OPENAI_API_KEY", { says: "OpenAI, or any server that speaks its protocol." }),
  openaiBaseUrl: address("OPENAI_BASE_URL", ["http", "https"], {
    says: "Another server that speaks the OpenAI protocol, such as http://127.0.0.1:8081/v1.",
  }),
  openaiBatch: flag("RAG_OPENAI_BATCH", {
    fallback: false,
    says: "Embed documents through OpenAI's Batch API: half the price, an answer within 24 hours. Searches are still asked at once.",
  }),
  llamaServerUrl: address("LLAMA_SERVER_URL", ["http", "https"], {
    says: "A llama-server that others run. Wins over LLAMA_SERVER_MODEL.",
  }),
  llamaServerApiKey: secret("LLAMA_SERVER_API_KEY", {
    says: "The key of the llama-server at LLAMA_SERVER_URL, where it was started with --api-key.",
  }),
  llamaServerModel: text("LLAMA_SERVER_MODEL", {
    fallback: null,
    says: "Model file (GGUF) of a llama-server that this worker starts when a text waits, and ends.",
  }),
  llamaServerBin: text("LLAMA_SERVER_BIN", {
    fallback: "llama-server",
    says: "The program: a path, or a name on PATH.",
  }),
  llamaServerHost: text("LLAMA_SERVER_HOST", {
    fallback: null,
    fallbackSays: "a UNIX socket in a private folder; 127.0.0.1 when LLAMA_SERVER_PORT is set",
    says: "Loopback address the started llama-server binds to.",
  }),
  llamaServerPort: integer("LLAMA_SERVER_PORT", {
    fallback: null,
    fallbackSays: "a free one, where no UNIX socket is used",
    min: 1,
    max: 65_535,
    says: "Port the started llama-server binds to. Two workers on one machine need two.",
  }),
  llamaServerCtxSize: integer("LLAMA_SERVER_CTX_SIZE", {
    fallback: 2048,
    min: 32,
    max: 131_072,
    says: "Longest text in the model's tokens, never above what the model reads.",
  }),
  llamaServerThreads: integer("LLAMA_SERVER_THREADS", {
    fallback: null,
    fallbackSays: "one less than the cores, at most 4",
    min: 1,
    max: 256,
    says: "Threads of the started llama-server.",
  }),
  llamaServerStartupTimeoutSeconds: seconds("LLAMA_SERVER_STARTUP_TIMEOUT_SECONDS", {
    fallback: 60,
    min: 1,
    max: 3600,
    says: "Time for loading the model.",
  }),
  llamaServerShutdownTimeoutSeconds: seconds("LLAMA_SERVER_SHUTDOWN_TIMEOUT_SECONDS", {
    fallback: 10,
    min: 1,
    max: 300,
    says: "From SIGTERM to SIGKILL when the started llama-server is to end.",
  }),
  llamaServerIdleSeconds: seconds("LLAMA_SERVER_IDLE_SECONDS", {
    fallback: 300,
    min: 1,
    max: 86_400,
    says: "The started llama-server ends after so long without a text, and its memory is free again.",
  }),

  // Analysis
  enableClaudeAnalysis: flag("RAG_ENABLE_CLAUDE_ANALYSIS", {
    fallback: false,
    says: "Claude says of each document what it is about: summary, topics, entities, key points, questions; of conversations also decisions, action items and sentiment. Needs ANTHROPIC_API_KEY; costs money.",
  }),
  anthropicApiKey: secret("ANTHROPIC_API_KEY", { says: "Key for Claude." }),
  anthropicBaseUrl: address("ANTHROPIC_BASE_URL", ["http", "https"], {
    says: "Another server that speaks Anthropic's protocol, such as a gateway.",
  }),
  claudeModel: text("RAG_CLAUDE_MODEL", { fallback: "claude-haiku-5-5", says: "The model that analyses." }),
  claudeConcurrency: integer("RAG_CLAUDE_CONCURRENCY", {
    fallback: 3,
    min: 1,
    max: 64,
    says: "Requests to Claude in flight, over all jobs of this replica.",
  }),
  claudeMode: choice("RAG_CLAUDE_MODE", ["direct", "batch"], {
    fallback: "direct",
    says: "batch: through the Message Batches API, half the price for an answer within 24 hours.",
  }),
  contextualChunks: flag("RAG_CONTEXTUAL_CHUNKS", {
    fallback: false,
    says: "Claude writes a line for each chunk that says where it stands in its document; it is embedded and found by its words, and not cited. Needs RAG_ENABLE_CLAUDE_ANALYSIS.",
  }),

  // Cost
  prices: amounts("RAG_PRICES", {
    says: 'Prices that are added to the known ones or override them: a JSON object from model to US dollars per million tokens, such as {"my-model": 0.02}; for Claude {"my-claude": {"input": 0.1, "output": 0.5}}.',
  }),
  dailyBudgetUsd: dollars("RAG_DAILY_BUDGET_USD", {
    fallback: null,
    says: "Most that all replicas together pay in a day (UTC), in US dollars. Paid work then waits for the next day; what costs nothing goes on.",
  }),

  // Relationships and integrity
  relationships: flag("RAG_RELATIONSHIPS", {
    fallback: false,
    fallbackSays: "off",
    says: "Queue a job that relates each document to others whenever its content goes live.",
  }),
  referencePatterns: patterns("RAG_REFERENCE_PATTERNS", {
    fallback: ["(task|page|memory):([a-f0-9-]+)"],
    fallbackSays: "(task|page|memory):([a-f0-9-]+)",
    groups: 2,
    says: "What references to entities look like in a text: regular expressions that Postgres and JavaScript both read, with one group for the type and one for the id.",
  }),
  syncIntervalMinutes: integer("RAG_SYNC_INTERVAL_MINUTES", {
    fallback: 0,
    min: 0,
    max: 43_200,
    says: "Look through everything that is stored so often, by one replica at a time (rag sync --full); 0 never.",
  }),
  syncRepair: flag("RAG_SYNC_REPAIR", {
    fallback: false,
    says: "Let the look on an interval repair what it finds, and not only tell of it.",
  }),

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
    says: "Token for /health and the dashboard off loopback, and for POST /search, /embed, /documents, /messages and /jobs/actions, which are off without it.",
  }),

  publicUrl: address("RAG_PUBLIC_URL", ["https", "http"], {
    says: "Where people reach the dashboard, such as https://rag.example.com; alerts link to it.",
  }),

  // Alerts
  alertSlackUrl: address("RAG_ALERT_SLACK_URL", ["https", "http"], {
    says: "Incoming webhook of Slack for alerts.",
  }),
  alertDiscordUrl: address("RAG_ALERT_DISCORD_URL", ["https", "http"], {
    says: "Webhook of a Discord channel for alerts.",
  }),
  alertWebhookUrl: address("RAG_ALERT_WEBHOOK_URL", ["https", "http"], {
    says: "Any address that takes alerts as JSON, signed by Standard Webhooks.",
  }),
  alertWebhookSecret: secret("RAG_ALERT_WEBHOOK_SECRET", {
    says: "Key of that signature: any text, or whsec_ and base64. Unsigned without it.",
  }),
  alertJobSeconds: seconds("RAG_ALERT_JOB_SECONDS", {
    fallback: 300,
    min: 10,
    max: 86_400,
    says: "A job at work for longer is told as an alert.",
  }),
  alertQueueSeconds: seconds("RAG_ALERT_QUEUE_SECONDS", {
    fallback: 900,
    min: 10,
    max: 604_800,
    says: "A job that could be taken and waits for longer is told as an alert.",
  }),

  // Traces: the names are OpenTelemetry's own
  otelEndpoint: address("OTEL_EXPORTER_OTLP_ENDPOINT", ["http", "https"], {
    says: "Collector that takes a trace of each job, by OTLP over HTTP (often port 4318); v1/traces is added to it. Without one nothing is traced.",
  }),
  otelTracesEndpoint: address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ["http", "https"], {
    says: "The whole address for traces; wins over OTEL_EXPORTER_OTLP_ENDPOINT.",
  }),
  otelHeaders: secret(["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"], {
    says: "Headers for the collector: name=value, separated by commas, values percent-encoded.",
  }),
  otelTimeoutMs: integer(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], {
    fallback: 10_000,
    min: 1,
    max: 600_000,
    says: "Milliseconds that one export may take, tries again included.",
  }),
  otelCompression: choice(
    ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
    ["none", "gzip"],
    { fallback: "none", says: "How exports are compressed." },
  ),
  otelServiceName: text("OTEL_SERVICE_NAME", {
    fallback: null,
    fallbackSays: "service.name of OTEL_RESOURCE_ATTRIBUTES, else rag-ingestion-worker",
    says: "service.name of the traces.",
  }),
  otelResourceAttributes: text("OTEL_RESOURCE_ATTRIBUTES", {
    fallback: null,
    says: "More attributes of every trace, such as deployment.environment.name=production,service.namespace=docs.",
  }),
  otelSampler: choice(
    "OTEL_TRACES_SAMPLER",
    [
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ],
    { fallback: "parentbased_always_on", says: "Which jobs are traced." },
  ),
  otelSamplerArg: share("OTEL_TRACES_SAMPLER_ARG", {
    fallback: 1,
    says: "Share of jobs that the samplers by ratio take.",
  }),
  traceparent: text("TRACEPARENT", {
    fallback: null,
    says: "The span under which rag ingest runs (W3C Trace Context): the traces of its jobs go on from there.",
  }),
  otelDisabled: flag("OTEL_SDK_DISABLED", { fallback: false, says: "true: nothing is traced." }),

  // Logs
  logLevel: choice("LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
    fallback: "info",
    says: "Least level that is logged.",
  }),
} as const;

export type Settings = typeof settings;
