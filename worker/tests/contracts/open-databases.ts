// The database over every transport, for contract suites: each leg a fresh, migrated database of its own.
// The embedded leg always runs; the others run against the real servers (`scripts/services`), are skipped
// under a name that says what is missing, and fail where services are demanded.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import type { Database } from "../../database/database.ts";
import { openEmbedded } from "../../database/embedded.ts";
import { migrate } from "../../database/migrate.ts";
import { openPostgres } from "../../database/postgres.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import type { SqlSession } from "../../database/sql-session.ts";
import { openSupabase } from "../../database/supabase.ts";
import { describeWith, type FreshDatabase, freshDatabase, type ServiceName } from "../services.ts";
import { startPostgrest } from "../stand-ins/postgrest.ts";

export type Leg = {
  readonly name: LegName;
  readonly database: Database;
  /** Superuser SQL on the same database, never through a pooler. */
  readonly sql: SqlSession;
  /** Address of the database itself; empty for the embedded one. */
  readonly url: string;
  close(): Promise<void>;
};

export type LegName = "postgres" | "pgbouncer" | "supabase" | "embedded";

const POOL = { poolMax: 3, poolTimeoutSeconds: 10 };

const needs: Readonly<Record<LegName, readonly ServiceName[]>> = {
  postgres: ["postgres", "pgbouncer"],
  pgbouncer: ["postgres", "pgbouncer"],
  supabase: ["postgres", "pgbouncer"],
  embedded: [],
};

export const legNames = Object.keys(needs) as readonly LegName[];

/**
 * The suite once for each transport. `leg()` is for hooks and tests: the database opens before them
 * (also before hooks that the suite adds) and closes after the last.
 */
export function describeEveryDatabase(name: string, suite: (leg: () => Leg, legName: LegName) => void): void {
  for (const legName of legNames) {
    const body = () => {
      let leg: Leg | undefined;
      beforeAll(async () => {
        leg = await openLeg(legName);
      });
      afterAll(async () => {
        await leg?.close();
      });
      suite(() => {
        if (leg === undefined) throw new Error("The database is open in hooks and tests only.");
        return leg;
      }, legName);
    };
    const title = `${name} (${legName})`;
    if (needs[legName].length === 0) describe(title, body);
    else describeWith(needs[legName], title, body);
  }
}

/** Opens one leg on a database of its own. */
export function openLeg(name: LegName): Promise<Leg> {
  return name === "embedded" ? openEmbeddedLeg() : openServiceLeg(name);
}

async function openEmbeddedLeg(): Promise<Leg> {
  const dir = await mkdtemp(join(tmpdir(), "rag-leg-"));
  const database = await openEmbedded({ dir });
  return {
    name: "embedded",
    database,
    sql: database.session,
    url: "",
    async close() {
      await database.close();
      await rm(dir, { recursive: true });
    },
  };
}

async function openServiceLeg(name: Exclude<LegName, "embedded">): Promise<Leg> {
  const fresh = await freshDatabase();
  const session = await openPostgresSession({ url: fresh.url });
  await migrate(session);
  const { database, close } = await openTransport(name, fresh);
  return {
    name,
    database,
    sql: session,
    url: fresh.url,
    async close() {
      await close();
      await session.close();
      await fresh.drop();
    },
  };
}

async function openTransport(
  name: Exclude<LegName, "embedded">,
  fresh: FreshDatabase,
): Promise<{ readonly database: Database; close(): Promise<void> }> {
  if (name === "supabase") {
    const api = await startPostgrest(fresh.url);
    const database = await openSupabase({ url: api.url, key: api.key, schemaWaitSeconds: 0 });
    return {
      database,
      async close() {
        await database.close();
        await api.close();
      },
    };
  }
  const database = await openPostgres({ url: name === "postgres" ? fresh.url : fresh.pgbouncerUrl, ...POOL });
  return { database, close: () => database.close() };
}
