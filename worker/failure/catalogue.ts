// Every way a job can end badly: its code, what kind of trouble it is, and who is told what.
// Codes are stable and searchable; the kind alone decides what happens to the job (DESIGN, failure model).

export type FailureKind =
  | "transient"
  | "waiting"
  | "permanent"
  | "stopping"
  | "lease-lost"
  | "misconfigured"
  | "defect";

type Entry = {
  readonly kind: FailureKind;
  /** What the person who gave us the document reads. Ends by saying what to do. */
  readonly user: string;
  /** What the person who runs the worker reads. */
  readonly operator: string;
};

const entry = (kind: FailureKind, user: string, operator: string): Entry => ({ kind, user, operator });

export const catalogue = {
  // Sources
  "source.not-found": entry(
    "permanent",
    "The file was not found where the document says it is. Upload it again or correct its address.",
    "Nothing is stored at source_uri. Check the path, the bucket and RAG_DOCUMENT_ROOT.",
  ),
  "source.outside-root": entry(
    "permanent",
    "The file lies outside the folder this worker may read. Move it below the document root or upload it.",
    "source_uri leaves RAG_DOCUMENT_ROOT (by .., a link or an absolute path) and was refused.",
  ),
  "source.unsupported": entry(
    "permanent",
    "The document's address is of a kind this worker does not read. Use storage://, file:/// or inline:.",
    "source_uri has an unknown scheme, or file:/// is used while RAG_DOCUMENT_ROOT is not set.",
  ),
  "source.too-large": entry(
    "permanent",
    "The file is larger than this worker accepts. Split it, or ask the operator to raise the limit.",
    "The original is larger than RAG_MAX_FILE_MB.",
  ),
  "source.unreachable": entry(
    "transient",
    "The file could not be read just now. It will be tried again.",
    "The source answered with an error that may pass (network, 5xx, a cut body).",
  ),
  "source.denied": entry(
    "misconfigured",
    "The worker may not read the place where the file is stored. The operator has to correct its key.",
    "The source refused our credentials. Check SUPABASE_SERVICE_ROLE_KEY or SUPABASE_SECRET_KEY and the bucket name.",
  ),
  "source.changed": entry(
    "transient",
    "The file changed while it was read. It will be read again.",
    "The original's size or content changed between the first byte and the last.",
  ),

  "source.unreadable": entry(
    "permanent",
    "The worker may not open this file. Correct the file's permissions or upload it.",
    "The operating system refused to open the file below RAG_DOCUMENT_ROOT. Check its owner and mode.",
  ),
  "source.no-space": entry(
    "waiting",
    "The worker's disk is full. The job goes on by itself when there is room.",
    "No space left for the temporary copy of an original. Make room in the temporary folder.",
  ),

  // Extraction
  "extract.encrypted": entry(
    "permanent",
    "The file is protected by a password. Remove the password and upload it again.",
    "The document is encrypted; nothing was read.",
  ),
  "extract.corrupt": entry(
    "permanent",
    "The file is damaged or cut short and could not be read. Export it again and upload the new copy.",
    "The parser refused the structure of the file (corrupt or truncated).",
  ),
  "extract.empty": entry(
    "permanent",
    "The file is empty. Upload a file that has content.",
    "The original has no bytes, or only white space.",
  ),
  "extract.unsupported": entry(
    "permanent",
    "This type of file is not supported. Convert it to PDF, an Office or OpenDocument format, EPUB, HTML or text.",
    "No extractor for this media type. Convert the file or remove it.",
  ),
  "extract.no-text": entry(
    "permanent",
    "The file holds no text, only pictures (a scan). Run text recognition (OCR) on it and upload the result.",
    "No extractable text: a scan or image-only document.",
  ),
  "extract.too-large": entry(
    "permanent",
    "The file unpacks to more than this worker accepts. Split it into smaller files.",
    "A size limit was exceeded while unpacking or parsing (zip bomb, huge tree or too many entries).",
  ),
  "extract.timeout": entry(
    "permanent",
    "The file took too long to read. Split it or export it again in a simpler form.",
    "Extraction ran longer than RAG_EXTRACT_TIMEOUT_SECONDS and was ended.",
  ),
  "extract.crashed": entry(
    "permanent",
    "The file made its reader stop. Export it again in a simpler form.",
    "The extraction process died (often out of memory; see RAG_EXTRACT_MEMORY_MB).",
  ),
  "extract.not-started": entry(
    "misconfigured",
    "The worker could not start its file reader. The operator has to repair the installation.",
    "The extraction process ended before it had loaded its code. Run npm ci again, and check RAG_EXTRACT_MEMORY_MB.",
  ),

  // Chunking
  "chunk.empty-segment": entry(
    "permanent",
    "A segment of the transcript has no text. Remove it or give it content.",
    "A row of rag_segments has empty content.",
  ),
  "chunk.no-segments": entry(
    "permanent",
    "The transcript has no segments. Insert its rows into rag_segments before the queue row.",
    "No row in rag_segments for this document.",
  ),
  "chunk.over-limit": entry(
    "permanent",
    "The document has more chunks than this worker accepts. Split it.",
    "The chunk count passed the hard limit of one document.",
  ),

  // Embedding
  "embed.input-rejected": entry(
    "permanent",
    "The embedding provider refused a piece of this document. Remove or change the text it names.",
    "The provider rejected an input by itself (too long, not valid). Lower RAG_CHUNK_TOKENS if it was too long.",
  ),
  "embed.bad-answer": entry(
    "transient",
    "The embedding provider gave an answer that cannot be used. It will be tried again.",
    "Count, order or finiteness of the returned vectors was wrong, or the body was not JSON.",
  ),
  "embed.wrong-dimension": entry(
    "misconfigured",
    "The embedding model does not fit what is stored. The operator has to correct the configuration.",
    "The provider's vectors have another dimension than configured. Check RAG_EMBEDDING_MODEL and RAG_EMBEDDING_DIMENSIONS.",
  ),
  "embed.rate-limited": entry(
    "waiting",
    "The embedding provider asked us to slow down. The job goes on by itself.",
    "429 from the embedding provider; released until the time it named.",
  ),
  "embed.batch-pending": entry(
    "waiting",
    "The text is in a batch at the embedding provider, which may take up to a day. The job goes on by itself.",
    "RAG_OPENAI_BATCH is on: half the price for an answer within 24 hours. rag_llm_batches shows how it stands.",
  ),
  "embed.budget-spent": entry(
    "waiting",
    "The day's budget for paid work is spent. The job goes on by itself when the next day begins (UTC).",
    "RAG_DAILY_BUDGET_USD is reached. Raise it and restart the worker to go on at once; rag cost tells who spent it.",
  ),
  "embed.unavailable": entry(
    "transient",
    "The embedding provider could not be reached. It will be tried again.",
    "Network error, timeout or 5xx from the embedding provider.",
  ),
  "embed.circuit-open": entry(
    "waiting",
    "The embedding provider does not answer at the moment. The job goes on by itself when it does.",
    "Several requests to the embedding provider failed in a row; none is sent until one has been tried again.",
  ),
  "embed.denied": entry(
    "misconfigured",
    "The embedding provider refused the worker's key. The operator has to correct it.",
    "401 or 403 from the embedding provider. Check OPENAI_API_KEY and OPENAI_BASE_URL.",
  ),
  "embed.refused": entry(
    "misconfigured",
    "The embedding provider refuses every text. The operator has to correct the configuration.",
    "Even a plain word is rejected as an input. Does this server speak the OpenAI protocol, with this model?",
  ),
  "embed.model-missing": entry(
    "misconfigured",
    "The embedding model is not available. The operator has to correct the configuration.",
    "The model does not exist at the provider, or its file is missing or damaged.",
  ),
  "embed.model-mismatch": entry(
    "misconfigured",
    "This worker is set up for another embedding model than the stored vectors. The operator has to correct it.",
    "The stored vectors are of another model (rag model shows which). Set RAG_EMBEDDING_PROVIDER, RAG_EMBEDDING_MODEL and RAG_EMBEDDING_DIMENSIONS to it, or change the model: rag model switch.",
  ),
  "embed.same-content": entry(
    "waiting",
    "The same content is being embedded for another document. The job goes on by itself and uses its vectors.",
    "Another worker has a document of the same content, model and chunking at work; this one waits, so that it is paid once.",
  ),
  "embed.model-switching": entry(
    "waiting",
    "The embedding model is being changed. The job goes on by itself in a moment.",
    "For two minutes at most no document is begun, so that the last ones can be embedded with both models (rag model).",
  ),
  "embed.server-down": entry(
    "waiting",
    "The embedding server on this machine ended or is not ready yet. The job goes on by itself.",
    "The llama-server this worker started died or was not ready in time; it is started again after a pause. See LLAMA_SERVER_STARTUP_TIMEOUT_SECONDS.",
  ),
  "embed.no-memory": entry(
    "waiting",
    "The embedding model has no room in the worker's memory just now. The job goes on by itself.",
    "llama-server was not started, because its model would not fit into the free memory of this machine or container.",
  ),

  // Analysis
  "analyse.refused": entry(
    "permanent",
    "Claude declined to analyse a part of this document. The rest is analysed, and all of it can be searched.",
    "stop_reason was refusal for a group of segments; recorded in rag_segment_analyses.",
  ),
  "analyse.truncated": entry(
    "permanent",
    "The analysis of a part of this document did not fit. The rest is analysed, and all of it can be searched.",
    "An answer reached its limit of tokens twice; recorded in rag_segment_analyses.",
  ),
  "analyse.bad-answer": entry(
    "permanent",
    "Claude's analysis of a part of this document could not be read. The rest is analysed, and all of it can be searched.",
    "Two answers in a row were not of the shape that was asked for; recorded in rag_segment_analyses.",
  ),
  "analyse.input-rejected": entry(
    "permanent",
    "Claude could not be asked about a part of this document. The rest is analysed, and all of it can be searched.",
    "The request was refused as invalid (400, 413, 422); recorded in rag_segment_analyses. Does RAG_CLAUDE_MODEL take structured outputs?",
  ),
  "analyse.too-long": entry(
    "permanent",
    "A part of this document is too long to be analysed. The rest is analysed, and all of it can be searched.",
    "A segment is larger than a prompt, or the model's context was exceeded; recorded in rag_segment_analyses. Write shorter segments.",
  ),
  "analyse.rate-limited": entry(
    "waiting",
    "Claude asked us to slow down. The job goes on by itself.",
    "429 from Anthropic; released until the time it named. Lower RAG_CLAUDE_CONCURRENCY or ask for a higher limit.",
  ),
  "analyse.overloaded": entry(
    "waiting",
    "Claude is overloaded at the moment. The job goes on by itself.",
    "529 (overloaded_error) from Anthropic, several times in a row.",
  ),
  "analyse.unavailable": entry(
    "transient",
    "Claude could not be reached. It will be tried again.",
    "Network error, timeout, 5xx, or a page instead of an answer from ANTHROPIC_BASE_URL or a proxy before it.",
  ),
  "analyse.denied": entry(
    "misconfigured",
    "Claude refused the worker's key. The operator has to correct it.",
    "401, 402 or 403 from Anthropic. Check ANTHROPIC_API_KEY, its workspace and the credit of the account.",
  ),
  "analyse.model-missing": entry(
    "misconfigured",
    "The model that analyses is not available. The operator has to correct the configuration.",
    "404 from Anthropic. Check RAG_CLAUDE_MODEL.",
  ),
  "analyse.batch-pending": entry(
    "waiting",
    "The document is in a batch at Claude, which may take up to a day. The job goes on by itself.",
    "RAG_CLAUDE_MODE is batch: half the price for an answer within 24 hours. rag_llm_batches shows how it stands.",
  ),

  // Database
  "database.unreachable": entry(
    "transient",
    "The database could not be reached. The job goes on when it is back.",
    "No connection to the database (network, restart, pool). Check DATABASE_URL or SUPABASE_URL.",
  ),
  "database.denied": entry(
    "misconfigured",
    "The worker may not use the database. The operator has to correct its key.",
    "Check DATABASE_URL (user, password, database name), or the service_role key and the grants of the migrations.",
  ),
  "database.not-migrated": entry(
    "misconfigured",
    "The database is not set up for this worker. The operator has to run the migrations.",
    "A function or table of ours is missing. Run: npm run rag -- migrate (or supabase db push).",
  ),
  "database.no-pgvector": entry(
    "misconfigured",
    "The database lacks the vector extension. The operator has to enable it.",
    "pgvector is not installed on this server. Install it (Supabase: Database > Extensions > vector).",
  ),
  "database.conflict": entry(
    "transient",
    "Two changes met in the database. It will be tried again.",
    "Serialization failure or deadlock (40001, 40P01).",
  ),
  "database.timeout": entry(
    "transient",
    "The database took too long to answer. It will be tried again.",
    "A statement ran into its time limit (57014, 55P03). A held lock or a missing index is the usual cause: see rag doctor.",
  ),
  "database.rejected": entry(
    "defect",
    "The database did not accept what the worker wrote. It will be tried again.",
    "An unexpected SQL error; the SQLSTATE is in the log.",
  ),
  "database.locked": entry(
    "misconfigured",
    "Another process uses the embedded database.",
    "Another live process owns the embedded database and does not answer on its socket. Stop it, or set RAG_EMBEDDED_DIR.",
  ),

  // Jobs
  "job.lease-lost": entry(
    "lease-lost",
    "Another worker has taken over this job.",
    "The lease token is no longer the row's; nothing was written.",
  ),
  "job.superseded": entry(
    "permanent",
    "A newer job for the same document took this one's place.",
    "A later queue row for the same document was inserted while this one waited.",
  ),
  "job.cancelled": entry("permanent", "The job was cancelled.", "Cancelled by rag_cancel_jobs."),
  "job.stalled": entry(
    "transient",
    "A step of this job made no progress for too long. It will be tried again.",
    "No progress for RAG_STALL_SECONDS; the step was ended.",
  ),
  "job.worker-lost": entry(
    "transient",
    "The worker that had this job disappeared. It is tried again.",
    "A worker died or lost its database for longer than its lease; the reaper put the job back.",
  ),
  "job.incomplete": entry(
    "defect",
    "Not everything that was read was stored. It will be tried again.",
    "rag_complete_job counted other chunks than the worker cut; nothing went live.",
  ),
  "job.attempts-spent": entry(
    "permanent",
    "The job was tried as often as allowed and did not succeed. Look at its errors, then retry it.",
    "attempts reached max_attempts; the last workers may have died while working on it.",
  ),
  "job.kind-unsupported": entry(
    "permanent",
    "This kind of job is not known to this worker.",
    "A claimed job's kind has no pipeline in this version.",
  ),
  "job.document-first": entry(
    "waiting",
    "The document is still to be read. Its relationships are found when that has ended.",
    "A job of the kind document waits or works for the same document.",
  ),
  "job.sync-under-way": entry(
    "waiting",
    "Another look through what is stored is under way. This one begins when it has ended.",
    "One job of the kind sync runs at a time.",
  ),
  "job.unreadable": entry(
    "permanent",
    "The job's row holds something this worker cannot read. Look at the document's row and correct it.",
    "A claimed row did not have the expected shape: a version of the schema that is newer than this worker?",
  ),
  "job.document-gone": entry(
    "permanent",
    "The document of this job no longer exists.",
    "rag_documents has no row for this job's document_id.",
  ),

  // Wake-ups. They are about no job: the next look at the queue finds it, and the bus is tried again.
  "wake.unreachable": entry(
    "transient",
    "The wake-up server cannot be reached. The queue is looked at every few seconds meanwhile.",
    "No connection to REDIS_URL or NATS_URL, or to the database for LISTEN. It is tried again every few seconds.",
  ),
  "wake.denied": entry(
    "transient",
    "The wake-up server refused the user name or password, or the channel. The queue is looked at every few seconds meanwhile.",
    "Check the credentials in REDIS_URL or NATS_URL, and whether they may subscribe to parse_jobs.",
  ),
  "wake.deaf": entry(
    "transient",
    "The database's notifications do not arrive here. The queue is looked at now and then instead.",
    "LISTEN needs a session of its own: give DATABASE_URL a direct or session-pooled address, or set REDIS_URL or NATS_URL.",
  ),

  // Messages from outside. They are about no job: there is none yet.
  "ingress.malformed": entry(
    "permanent",
    "The message does not have the form it must have. Correct what sends it.",
    "The message lies in rag_dead_letters, whose detail names the field. Correct the sender and send it again.",
  ),
  "ingress.too-large": entry(
    "permanent",
    "The message is too large. Store the content and send its address instead.",
    "A message may have 1 MiB. The first 64 KiB of it lie in rag_dead_letters.",
  ),
  "ingress.unknown-subject": entry(
    "permanent",
    "Nobody listens to this subject.",
    "The README lists the subjects.",
  ),
  "ingress.refused": entry(
    "permanent",
    "The database did not accept what the message or row says. Correct it and send it again.",
    "rag_dead_letters has the database's own sentence in detail.",
  ),

  "ingress.too-many-gone": entry(
    "permanent",
    "More than half of the known files are gone. None of their documents was deleted.",
    "Is the volume mounted? If they are meant to be gone: rag ingest FOLDER --delete-missing.",
  ),

  // Events to users. They are about no job's success: whoever missed one asks the database.
  "realtime.unreachable": entry(
    "transient",
    "Progress cannot be shown live just now. The job goes on.",
    "Supabase Realtime did not answer, or asked us to slow down. What is newest is sent when it is back.",
  ),
  "realtime.denied": entry(
    "misconfigured",
    "Progress cannot be shown live. The operator has to correct the key.",
    "Supabase Realtime refused SUPABASE_SERVICE_ROLE_KEY or SUPABASE_SECRET_KEY.",
  ),
  "realtime.refused": entry(
    "permanent",
    "Progress could not be shown live.",
    "Supabase Realtime did not accept an event; it was left out.",
  ),
  "trace.unreachable": entry(
    "transient",
    "Traces cannot be sent just now. The job goes on.",
    "The collector at OTEL_EXPORTER_OTLP_ENDPOINT did not answer in time. It has to take OTLP over HTTP, often on port 4318. Traces are left out until it does; jobs do not wait.",
  ),
  "trace.refused": entry(
    "permanent",
    "Traces were not accepted. The job goes on.",
    "The collector at OTEL_EXPORTER_OTLP_ENDPOINT refused traces. Check the address, the path and OTEL_EXPORTER_OTLP_HEADERS.",
  ),
  "trace.too-many": entry(
    "transient",
    "Some traces were left out. The job goes on.",
    "More spans wait for the collector than are kept. It is too slow, or away; OTEL_TRACES_SAMPLER takes fewer jobs.",
  ),
  "gateway.unauthorised": entry(
    "permanent",
    "The connection has no valid token. Sign in again.",
    "The token is missing, expired, unsigned or signed by another key. Check SUPABASE_JWT_SECRET or SUPABASE_URL.",
  ),
  "gateway.full": entry(
    "transient",
    "Too many connections are open. Try again in a moment.",
    "The gateway holds as many sockets as it may, in all or of one user. Start another one.",
  ),

  // The process
  "worker.stopping": entry(
    "stopping",
    "The worker is shutting down; the job goes on elsewhere.",
    "Released on SIGTERM or SIGINT without counting the attempt.",
  ),
  "worker.absent": entry(
    "waiting",
    "No worker is running. The jobs wait in the queue until one is started.",
    "No worker gave a sign of life on this database. Start one with: npm run worker:rag",
  ),
  "config.invalid": entry(
    "misconfigured",
    "The worker's configuration is not valid.",
    "README.md lists every setting; npm run rag -- doctor checks them all.",
  ),
  "usage.invalid": entry(
    "misconfigured",
    "The command was not understood.",
    "Wrong usage of the command line.",
  ),
  unexpected: entry(
    "defect",
    "Something unexpected happened. It will be tried again.",
    "A thrown value nobody expected; its stack is in the log.",
  ),
} as const satisfies Record<string, Entry>;

export type FailureCode = keyof typeof catalogue;
