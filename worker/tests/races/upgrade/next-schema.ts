// From the released schema to the next one: what this tree adds, and behind it a migration of the test's own, for a
// tree that was just released adds nothing.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIGRATIONS_FOLDER, type Migrated, migrate } from "../../../database/migrate.ts";
import { openPostgresSession } from "../../../database/postgres-session.ts";

export const NEXT_FILE = "99991231000000_rag_next.sql";
const GRANTS = join(MIGRATIONS_FOLDER, "20261122000700_rag_grants.sql");

export async function migrateToNext(url: string): Promise<Migrated> {
  const folder = await mkdtemp(join(tmpdir(), "rag-next-"));
  const session = await openPostgresSession({ url });
  try {
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true });
    const own = await readFile(new URL("./next.sql", import.meta.url), "utf8");
    await writeFile(join(folder, NEXT_FILE), `${own}\n${await readFile(GRANTS, "utf8")}`);
    return await migrate(session, folder);
  } finally {
    await session.close();
    await rm(folder, { recursive: true });
  }
}
