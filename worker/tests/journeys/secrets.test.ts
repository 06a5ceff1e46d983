// Secrets and document text, looked for in all that a worker and its commands let out, in good times and bad: a real
// worker, with a canary in every secret setting, among servers that repeat all they are sent in their errors.
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { settings } from "../../config/settings.ts";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { makePdf } from "../../extractors/testing/make-pdf.ts";
import { describeWith, type FreshDatabase, freshDatabase, serviceUrl } from "../services.ts";
import { startEchoServer } from "../stand-ins/echo-server.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { canariesIn, canary, plantCanaries, schemesOf, secretKeys } from "./canaries.ts";
import { type Ended, openWorld, type RagWorld, type RunningRag } from "./rag-process.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });
const PATIENCE = { timeout: 90_000, interval: 200 };
const WORKER_MS = 500_000;

const TEXT = "The quillwort grows below the waterline.";
const TITLE = "Merger with Initech";
/** Of a document, and nobody's but its readers'. */
const WORDS = /quillwort|initech/i;
// Where a document and what is made of it belongs. Nothing else may hold a word of it.
const HOLDS_TEXT =
  /^rag_(documents|segments|document_chunks|originals|analyses|segment_analyses|vectors?_.*|.*term.*|.*text.*|.*passages.*)$/;

describeWith("postgres", "nothing that leaves a worker", () => {
  let world: RagWorld;
  let database: FreshDatabase;
  let sql: Awaited<ReturnType<typeof openPostgresSession>>;
  let provider: EmbeddingServer;
  let echo: Awaited<ReturnType<typeof startEchoServer>>;
  let administrator: postgres.Sql;
  let planted: Readonly<Record<string, string>>;
  let worker: RunningRag;
  let url: string;
  const role = canary("role").replaceAll("-", "_").slice(0, 40);
  const password = canary("docpassword");
  const ids: Record<string, string> = {};

  beforeAll(async () => {
    [world, database, echo] = await Promise.all([
      openWorld(),
      freshDatabase(),
      // Storage and Realtime fail as servers do; what Claude is asked is refused as a request, but for the start's check.
      startEchoServer((path) =>
        path.includes("count_tokens") ? { input_tokens: 1 } : path.includes("anthropic") ? 400 : 500,
      ),
    ]);
    sql = await openPostgresSession({ url: database.url });
    await migrate(sql);
    administrator = postgres(serviceUrl("postgres"), { max: 1, onnotice: () => {} });
    planted = plantCanaries(
      (key, schemes, bird) =>
        schemes.includes("http")
          ? `${echo.url}/${key.toLowerCase()}/${bird}?token=${bird}`
          : `${schemes[0]}://user:${bird}@127.0.0.1:9`,
      {
        databaseUrl: (bird) => asRole(database.url, bird),
        // What these libraries make of an address with a query is no address any more.
        supabaseUrl: (bird) => `${echo.url}/${bird}`,
        publicUrl: (bird) => `https://user:${bird}@rag.example.com/?token=${bird}`,
        anthropicBaseUrl: (bird) => `${echo.url}/anthropic/${bird}`,
        // Below, once its key is known.
        openaiBaseUrl: () => echo.url,
      },
    );
    const birdOf = (name: string) => /canary-[\w-]+/.exec(planted[name] ?? "")?.[0] ?? "";
    await administrator.unsafe(`create role ${role} login superuser password '${birdOf("DATABASE_URL")}'`);
    provider = await startEmbeddingServer({ dimensions: 8, apiKey: planted.OPENAI_API_KEY ?? "" });
    planted = { ...planted, OPENAI_BASE_URL: provider.baseUrl };
    await mkdir(join(world.folder, "documents"));
    worker = world.start(["worker"], { ...planted, ...ordinary() }, WORKER_MS);
    url = await Promise.race([
      vi.waitFor(() => {
        const found = /"http":"([^"]+)"/.exec(worker.output())?.[1];
        expect(found, worker.output()).toBeDefined();
        return String(found);
      }, PATIENCE),
      worker.ended.then(({ out, err }) => {
        throw new Error(`The worker ended: ${out}${err}`);
      }),
    ]);
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([provider?.close(), echo?.close(), sql?.close()]);
    await database?.drop();
    await administrator?.unsafe(`drop role if exists ${role}`);
    await administrator?.end();
  });

  const asRole = (address: string, bird: string) => {
    const own = new URL(address);
    return Object.assign(own, { username: role, password: bird }).href;
  };
  const ordinary = () => ({
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
    RAG_ENABLE_CLAUDE_ANALYSIS: "true",
    RAG_GATEWAY: "true",
    RAG_STORAGE_BUCKET: "originals",
    RAG_DOCUMENT_ROOT: join(world.folder, "documents"),
    RAG_MAX_ATTEMPTS: "1",
    RAG_HTTP_HOST: "127.0.0.1",
    LOG_LEVEL: "trace",
    PORT: "0",
  });
  const enqueue = async (name: string, request: object, bytes?: string | Uint8Array) => {
    if (bytes !== undefined) await writeFile(join(world.folder, "documents", name), bytes);
    const [row] = await sql.query("select public.rag_enqueue($1::jsonb) as answer", [
      {
        title: `${TITLE} ${name}`,
        max_attempts: 1,
        ...(bytes !== undefined && { source_uri: `file:///${name}` }),
        ...request,
      },
    ]);
    ids[name] = (row?.answer as { job_id: string }).job_id;
  };
  const endOf = async (name: string) => {
    const [row] = await sql.query("select status, error_code from public.rag_ingestion_queue where id = $1", [
      ids[name],
    ]);
    return `${row?.status} ${row?.error_code}`;
  };
  const progressOf = async (name: string) => {
    const [row] = await sql.query(
      "select coalesce(processed_segments, 0) + coalesce(processed_chunks, 0) as done from public.rag_ingestion_queue where id = $1",
      [ids[name]],
    );
    return Number(row?.done);
  };
  const ends = (name: string, end: string) =>
    vi.waitFor(async () => expect([name, await endOf(name)]).toEqual([name, end]), PATIENCE);
  const token = () => ({ authorization: `Bearer ${planted.RAG_HTTP_TOKEN}` });
  const ask = async (path: string, headers: Record<string, string> = token(), init: RequestInit = {}) => {
    const answer = await fetch(url + path, { ...init, headers });
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream"))
      return `${JSON.stringify([...answer.headers])} ${await answer.text()}`;
    const first = await answer.body?.getReader().read();
    return new TextDecoder().decode(first?.value);
  };
  const children = () =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => {
        try {
          const told = readFileSync(`/proc/${pid}/cmdline`, "utf8");
          const ours = told.includes(`extraction-child.ts\0${worker.pid}\0`);
          return ours
            ? [{ pid: Number(pid), told: told + readFileSync(`/proc/${pid}/environ`, "utf8") }]
            : [];
        } catch {
          return []; // It has ended meanwhile.
        }
      });

  test("each secret setting has a canary", () => {
    expect(secretKeys.length).toBeGreaterThan(15);
    for (const key of secretKeys)
      if (key !== "openaiBaseUrl") expect(canariesIn(planted[settings[key].names[0]] ?? "")).toHaveLength(1);
  });

  test("a worker in success, and in as many failures as can be had, says no secret and no word of a document", async () => {
    // From here on failures are told of.
    await vi.waitFor(
      async () => expect(await sql.query("select 1 from public.rag_alerts")).not.toEqual([]),
      PATIENCE,
    );
    await enqueue("good", { content: `${TEXT}\n\n${"A drill may be kept for a fortnight. ".repeat(30)}` });
    await enqueue(
      "locked.pdf",
      { metadata: { password } },
      makePdf({ pages: [[{ text: TEXT, y: 700 }]], password: "user" }),
    );
    await enqueue("cut.docx", {}, Buffer.concat([Buffer.from("PK\u0003\u0004"), Buffer.from(TEXT)]));
    await enqueue("gone.txt", { source_uri: "file:///quillwort.txt" });
    await enqueue("stored", { source_uri: "storage://originals/quillwort.txt" });
    await ends("good", "complete null");
    await ends("locked.pdf", "failed extract.encrypted");
    await ends("cut.docx", "failed extract.corrupt");
    await ends("gone.txt", "failed source.not-found");
    await ends("stored", "failed source.unreachable");
    // The reader of a large file is killed under it.
    await enqueue("large.txt", {}, `${TEXT}\n`.repeat(500_000));
    await vi.waitFor(async () => expect(await progressOf("large.txt")).toBeGreaterThan(0), {
      timeout: 90_000,
      interval: 10,
    });
    const readers = children();
    expect(readers.length).toBeGreaterThan(0);
    expect(canariesIn(readers.map(({ told }) => told).join())).toEqual([]);
    for (const { pid } of readers) process.kill(pid, "SIGKILL");
    await ends("large.txt", "failed extract.crashed");
    // Strangers with keys of their own, in all the places where one may stand.
    const wrong = canary("wrongtoken");
    for (const path of [
      `/jobs?token=${wrong}`,
      `/ws?access_token=${wrong}`,
      "/health",
      `/search?key=${wrong}`,
    ])
      await ask(path, { authorization: `Bearer ${wrong}`, "sec-websocket-protocol": `bearer, ${wrong}` });
    await ask(
      "/search",
      { ...token(), "content-type": "application/json" },
      { method: "POST", body: `{"${TEXT}": "${wrong}"}` },
    );
    // Alerts are sent, and refused by all three.
    await vi.waitFor(
      () => expect(echo.heard.filter(({ path }) => path.startsWith("/alert")).length).toBeGreaterThan(2),
      PATIENCE,
    );
    // Last, for no job is taken afterwards: a provider that says the key it refuses.
    provider.changeKey("another");
    await enqueue("denied", { content: `${TEXT} Denied.` });
    await vi.waitFor(async () => expect(await ask("/ready")).toContain("embed.denied"), PATIENCE);

    const pages = await Promise.all([
      ...["/live", "/ready", "/metrics", "/health", "/nothing"].map((path) => ask(path)),
      ...Object.values(ids).map((id) => ask(`/jobs/${id}`)),
    ]);
    expect(worker.output()).toMatch(/job failed|job\.failed/);
    expect(canariesIn(worker.output())).toEqual([]);
    expect(worker.output()).not.toMatch(WORDS);
    expect(canariesIn(pages.join())).toEqual([]);
    expect(pages.slice(0, 5).join()).not.toMatch(WORDS);
  });

  test("the dashboard shows documents to whoever may see them, and no secret, not the password of a file either", async () => {
    const documents = await sql.query("select id from public.rag_documents");
    const shown = await Promise.all([
      ...["/", "/jobs", "/events"].map((path) => ask(path)),
      ...documents.flatMap(({ id }) => [ask(`/documents/${id}`), ask(`/documents/${id}/chunks`)]),
    ]);
    const live = await sql.query("select to_jsonb(c)::text as row from public.rag_live_chunks c");

    expect(shown.join()).toMatch(WORDS);
    expect(live.length).toBeGreaterThan(0);
    expect(canariesIn(shown.join() + JSON.stringify(live))).toEqual([]);
  });

  test("no table holds a secret, and none but those of documents a word of one", async () => {
    const tables = await sql.query(
      `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace
         and c.relname like 'rag\\_%' and c.relkind = 'r'`,
    );
    const found: [string, string[]][] = [];
    for (const { name } of tables as { name: string }[]) {
      const [row] = await sql.query(
        // The password of a file has to be somewhere: in its document's metadata, which no answer shows.
        `select coalesce(string_agg((to_jsonb(t) ${name === "rag_documents" ? "#- '{metadata,password}'" : ""})::text, ' '), '') as all
         from public.${name} t`,
      );
      const text = String(row?.all);
      const words = HOLDS_TEXT.test(name) ? [] : (text.match(WORDS) ?? []);
      if (canariesIn(text).length + words.length > 0) found.push([name, [...canariesIn(text), ...words]]);
    }

    expect(tables.length).toBeGreaterThan(15);
    expect(found).toEqual([]);
  });

  test("nobody is sent a key that is another's, and alerts carry no word of a document", () => {
    const keyOf: Readonly<Record<string, string | undefined>> = {
      anthropic: planted.ANTHROPIC_API_KEY,
      canary: planted.SUPABASE_SERVICE_ROLE_KEY,
    };
    expect(echo.heard.length).toBeGreaterThan(5);
    for (const { path, said } of echo.heard) {
      const [place = ""] = path.split("/").filter(Boolean);
      const own = keyOf[place.split("-")[0] ?? ""];
      expect([path, canariesIn(own === undefined ? said : said.replaceAll(own, ""))]).toEqual([path, []]);
      if (place.startsWith("alert")) expect(said).not.toMatch(WORDS);
    }
  });

  const silent = (ended: readonly Ended[]) => {
    for (const { out, err } of ended) expect(canariesIn(out + err)).toEqual([]);
  };

  test("no command says a secret, also where it is asked for its stacks", async () => {
    const on = { ...planted, ...ordinary() };
    const failed = ids["locked.pdf"] ?? "";
    const commands = [
      ["doctor"],
      ["doctor", "--json"],
      ["status", "--json"],
      ["job", failed, "--json"],
      ["logs", failed, "--json"],
      ["alert", "test"],
      ["search", "drill", "--json"],
      ["extract", "documents/cut.docx", "--json"],
      ["ingest", "documents/locked.pdf", "--json"],
    ];

    const ended: Ended[] = [];
    // Two at a time: each is a process that loads all of it.
    for (let at = 0; at < commands.length; at += 2)
      ended.push(...(await Promise.all(commands.slice(at, at + 2).map((args) => world.rag(args, on)))));

    silent(ended);
    // They were what they were meant to be: refused by the provider, and by all who were sent an alert.
    expect(ended[0]?.out).toContain("embed.denied");
    expect(ended[5]?.err).toContain("answered 500");
  });

  test("an address that no client takes, one that nobody answers, and one that is none are told without their passwords", async () => {
    const refused = plantCanaries(
      (_key, schemes, bird) => `${schemes.at(-1)}://user:${bird}@127.0.0.1:9/${bird}`,
    );
    const none = plantCanaries((_key, _schemes, bird) => `gopher://user:${bird}@127.0.0.1:9/${bird}`);
    const { DATABASE_URL: _1, ...embedded } = refused;
    const { DATABASE_URL: _2, SUPABASE_URL: _3, ...provided } = refused;
    const debug = { ...ordinary(), RAG_EMBEDDED_DIR: join(world.folder, "other") };
    const wrong = { ...planted, ...ordinary(), DATABASE_URL: asRole(database.url, canary("wrongpassword")) };

    silent(
      await Promise.all([
        world.rag(["doctor"], { ...refused, ...debug }),
        world.rag(["worker"], { ...refused, ...debug }),
      ]),
    );
    silent(
      await Promise.all([
        world.rag(["doctor"], { ...embedded, ...debug }),
        world.rag(["status"], { ...embedded, ...debug }),
      ]),
    );
    silent(
      await Promise.all([
        world.rag(["doctor"], { ...provided, ...debug }),
        world.rag(["alert", "test"], { ...refused, ...debug }),
      ]),
    );
    silent(await Promise.all([world.rag(["worker"], wrong), world.rag(["doctor", "--json"], wrong)]));
    const told = await world.rag(["status", "--json"], none);
    silent([told]);
    for (const key of secretKeys)
      if (schemesOf(key) !== null) expect(told.err).toContain(settings[key].names[0]);
  });

  test("settings in a file, and a misspelt one, are not repeated either", async () => {
    const wrong = canary("misspelt");
    await writeFile(
      join(world.folder, ".env"),
      [
        ...Object.entries({ ...planted, ...ordinary() }).map(([name, value]) => `${name}=${value}`),
        `RAG_HTTP_TOKENS=${wrong}`,
      ].join("\n"),
    );

    const ended = await Promise.all([world.rag(["doctor"]), world.rag(["status"])]);

    silent(ended);
    expect(ended[0]?.out).toContain("RAG_HTTP_TOKENS");
  });
});
