// The recipes for a watched bucket and for Realtime's topics, on real Postgres with stand-ins for Supabase's schemas.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { type Leg, openLeg } from "./open-databases.ts";
import { World } from "./world.ts";

const recipe = (name: string) =>
  readFile(new URL(`../../../supabase/recipes/${name}.sql`, import.meta.url), "utf8");

describeWith(["postgres", "pgbouncer"], "recipes", () => {
  let leg: Leg;
  let world: World;
  beforeAll(async () => {
    leg = await openLeg("postgres");
    world = await new World(leg).start();
  });
  afterAll(() => leg?.close());

  test("an object of the bucket is a document from its upload to its deletion, run twice or once", async () => {
    await leg.sql.script(`create schema storage;
      create table storage.objects (id uuid primary key, bucket_id text, name text, owner_id text, version text)`);
    const id = randomUUID();
    await leg.sql.query("insert into storage.objects values ($1, 'documents', 'early.pdf', 'ann', '1')", [
      id,
    ]);
    const documents = () =>
      leg.sql.query("select external_id, source_uri, user_id from public.rag_documents order by source_uri");

    await leg.sql.script(await recipe("watched_bucket"));
    await leg.sql.script(await recipe("watched_bucket"));
    await leg.sql.query("insert into storage.objects values ($1, 'documents', 'later.pdf', 'ben', '1')", [
      randomUUID(),
    ]);
    await leg.sql.query("insert into storage.objects values ($1, 'avatars', 'face.png', 'ben', '1')", [
      randomUUID(),
    ]);
    const there = await documents();
    await leg.sql.query("delete from storage.objects where id = $1", [id]);

    expect(there).toMatchObject([
      { external_id: id, source_uri: "storage://documents/early.pdf", user_id: "ann" },
      { source_uri: "storage://documents/later.pdf", user_id: "ben" },
    ]);
    expect(await documents()).toMatchObject([{ source_uri: "storage://documents/later.pdf" }]);
  });

  test("a signed-in user may join his own topic and that of his own job, and send to neither", async () => {
    await leg.sql.script(`create schema realtime; grant usage on schema realtime to authenticated;
      create table realtime.messages (topic text, extension text);
      alter table realtime.messages enable row level security;
      grant select, insert on realtime.messages to authenticated;
      create function realtime.topic() returns text language sql stable
        as $$ select nullif(current_setting('realtime.topic', true), '') $$;
      grant execute on function realtime.topic() to authenticated`);
    await leg.sql.script(await recipe("realtime_topics"));
    await leg.sql.script(await recipe("realtime_topics"));
    const { jobId } = await world.enqueue({ user_id: "ann" });

    /** As Realtime asks: may this user read a message of this topic. */
    const mayJoin = async (sub: string | null, topic: string) => {
      await leg.sql.query("delete from realtime.messages");
      await leg.sql.query("insert into realtime.messages values ($1, 'broadcast')", [topic]);
      return await leg.sql.transaction(async (session) => {
        await session.query(
          "select set_config('request.jwt.claims', $1, true), set_config('realtime.topic', $2, true)",
          [sub === null ? "" : JSON.stringify({ sub }), topic],
        );
        await session.script("set local role authenticated");
        return (await session.query("select 1 from realtime.messages")).length === 1;
      });
    };
    const evil = "ann' or true; --";

    expect(await mayJoin("ann", "rag:user:ann")).toBe(true);
    expect(await mayJoin("ann", `rag:job:${jobId}`)).toBe(true);
    expect(await mayJoin(evil, `rag:user:${evil}`)).toBe(true);
    for (const [sub, topic] of [
      ["ben", "rag:user:ann"],
      ["ben", `rag:job:${jobId}`],
      [evil, "rag:user:ann"],
      [null, "rag:user:"],
      [null, `rag:job:${jobId}`],
      ["ann", `rag:job:${randomUUID()}`],
      ["ann", "rag:job:' or true; --"],
      ["ann", "rag:user:%"],
    ] as const)
      expect(await mayJoin(sub, topic), `${sub} ${topic}`).toBe(false);
    await expect(
      leg.sql.transaction(async (session) => {
        await session.script("set local role authenticated");
        await session.query("insert into realtime.messages values ('rag:user:ann', 'broadcast')");
      }),
    ).rejects.toThrow();
  });
});
