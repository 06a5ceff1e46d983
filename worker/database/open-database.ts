// Picks the transport: DATABASE_URL if set, else Supabase RPC when address and key are set, else embedded. Each is
// loaded only when it is the one.
import type { Config } from "../config/config.ts";
import { Failure } from "../failure/failure.ts";
import type { Database } from "./database.ts";

export type DatabaseConfig = Pick<
  Config,
  "databaseUrl" | "supabaseUrl" | "supabaseKey" | "embeddedDir" | "poolMax" | "poolTimeoutSeconds"
>;

/**
 * Postgres and Supabase connect with the first call, so a worker may start while they are away; the
 * embedded database is open when this returns. Throws `config.invalid` or, embedded, `database.locked`.
 */
export async function openDatabase(config: DatabaseConfig): Promise<Database> {
  const { databaseUrl, supabaseUrl, supabaseKey, embeddedDir, poolMax, poolTimeoutSeconds } = config;
  if (databaseUrl !== null) {
    const { openPostgres } = await import("./postgres.ts");
    return await openPostgres({ url: databaseUrl, poolMax, poolTimeoutSeconds });
  }
  // Half of it is a mistake: the embedded database would take the documents to a disk that nobody looks at.
  if ((supabaseUrl === null) !== (supabaseKey === null))
    throw new Failure("config.invalid", {
      says: "SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY (or SUPABASE_SECRET_KEY) belong together: one of them is missing.",
    });
  if (supabaseUrl !== null && supabaseKey !== null) {
    const { openSupabase } = await import("./supabase.ts");
    return await openSupabase({ url: supabaseUrl, key: supabaseKey });
  }
  const { openEmbedded } = await import("./embedded.ts");
  return await openEmbedded({ dir: embeddedDir, patienceSeconds: poolTimeoutSeconds });
}
