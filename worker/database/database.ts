// The database as the worker sees it: SQL functions by name, over one of three transports.
import type { SqlCall } from "../document/sql-call.ts";
import type { StageChunks } from "../document/stage-chunks.ts";

export type Transport = "postgres" | "supabase" | "embedded";

export type Database = {
  readonly transport: Transport;
  /** See SqlCall. */
  readonly call: SqlCall;
  /** Rows with vectors in bulk, the fastest fenced way there is; the answer is that of rag_stage_chunks. */
  readonly stageChunks: StageChunks;
  /** Where we are connected, without credentials, for people. */
  readonly describes: string;
  /** Waits for calls under way, then closes. Safe to call twice. */
  close(): Promise<void>;
};
