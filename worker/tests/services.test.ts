import postgres from "postgres";
import { afterEach, expect, test, vi } from "vitest";
import { describeWith, freshDatabase, serviceUrl } from "./services.ts";

test("a server that is not there is named together with the variable that would say where it is", () => {
  vi.stubEnv("RAG_TEST_REDIS_URL", undefined);

  expect(() => serviceUrl("redis")).toThrow("No redis here: RAG_TEST_REDIS_URL is not set.");
});

afterEach(() => {
  vi.unstubAllEnvs();
});

describeWith(["postgres", "pgbouncer"], "a fresh database", () => {
  test("is the same one directly and through PgBouncer, and has the roles of a Supabase project", async () => {
    await using database = await freshDatabase();
    await using direct = connection(database.url);
    await using pooled = connection(database.pgbouncerUrl);

    await direct.sql`create table note (content text)`;
    await pooled.sql`insert into note values ('kept')`;

    expect(await direct.sql`select content from note`).toEqual([{ content: "kept" }]);
    expect(
      await direct.sql`select rolname, rolbypassrls from pg_roles where rolname in ('anon', 'service_role') order by 1`,
    ).toEqual([
      { rolname: "anon", rolbypassrls: false },
      { rolname: "service_role", rolbypassrls: true },
    ]);
  });

  test("is gone after drop, even under an open connection, and a second drop is harmless", async () => {
    const database = await freshDatabase();
    await using held = connection(database.url);
    await held.sql`select 1`;

    await database.drop();
    await database.drop();

    await using late = connection(database.url);
    await expect(late.sql`select 1`).rejects.toThrow(/does not exist/);
  });

  test("knows nothing of its neighbour", async () => {
    await using left = await freshDatabase();
    await using right = await freshDatabase();
    await using onLeft = connection(left.url);
    await using onRight = connection(right.url);

    await onLeft.sql`create table note ()`;

    await expect(onRight.sql`select from note`).rejects.toThrow(/relation "note" does not exist/);
  });
});

function connection(url: string) {
  const sql = postgres(url, { max: 1, prepare: false, onnotice: () => {} });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }) };
}
