// The examples that applications copy, each run as it stands: against a real Postgres behind an API like Supabase's,
// a Storage like its, and in a real browser.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type App, progressRoute, uploadRoute } from "../../../scripts/demo/app/upload-route.ts";
import { createRagClient } from "../../client/index.ts";
import { type Leg, openLeg } from "../contracts/open-databases.ts";
import { describeWith } from "../services.ts";
import { type PostgrestStandIn, startPostgrest } from "../stand-ins/postgrest.ts";
import { openStorageStandIn, type StorageStandIn } from "../stand-ins/storage.ts";
import { openBrowser, openPage } from "./dashboard-world.ts";
import { openWorld, type RagWorld, root } from "./rag-process.ts";

const demo = (path: string) => join(root, "scripts/demo", path);

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // SAFETY: listens on TCP.
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

describeWith(["postgres", "pgbouncer"], "an application's example", () => {
  let leg: Leg;
  let api: PostgrestStandIn;
  let storage: StorageStandIn;
  let world: RagWorld;
  beforeAll(async () => {
    [leg, storage, world] = await Promise.all([openLeg("postgres"), openStorageStandIn(), openWorld()]);
    api = await startPostgrest(leg.url);
    storage.put("documents", "there", new Uint8Array());
  });
  afterAll(async () => {
    await world?.close();
    await api?.close();
    await storage?.close();
    await leg?.close();
  });

  /** The user's name stands in the request's header, in the place of a session. */
  const openApp = (): App => {
    const rag = createRagClient(createClient(api.url, api.key));
    return {
      supabase: createClient(storage.url, storage.key),
      rag: { ...rag, follow: (id, options) => rag.follow(id, { ...options, everyMs: 20 }) },
      bucket: "documents",
      async userOf(request) {
        const id = request.headers.get("x-user");
        return id === null ? null : { id, tenant: "acme co" };
      },
    };
  };

  const upload = (file: File | string | null, headers: Record<string, string> = { "x-user": "ann" }) => {
    const form = new FormData();
    if (file !== null) form.set("file", file);
    return uploadRoute(openApp())(
      new Request("https://app.example/api/documents", {
        method: "POST",
        body: form,
        headers: { "content-length": "2000", ...headers },
      }),
    );
  };
  const watch = (id: string, user: string | null) =>
    progressRoute(openApp())(
      new Request("https://app.example/api/jobs", { headers: user === null ? {} : { "x-user": user } }),
      { params: Promise.resolve({ id }) },
    );

  test("an uploaded file is stored and queued for its user, and its progress ends with its job", async () => {
    const answer = await upload(new File(["The ladder is in the shed."], "Über uns.txt"));
    const { job_id, document_id } = (await answer.json()) as { job_id: string; document_id: string };
    const [row] = await leg.sql.query("select * from public.rag_documents where id = $1", [document_id]);
    const stream = await watch(job_id, "ann");
    await leg.database.call("rag_cancel_jobs", { p_filter: { job_ids: [job_id] } });
    const events = await stream.text();

    expect(answer.status).toBe(202);
    expect(row).toMatchObject({ tenant_id: "acme co", user_id: "ann", title: "Über uns.txt" });
    expect(row?.source_uri).toMatch(/^storage:\/\/documents\/acme%20co\/[0-9a-f-]{36}\.txt$/);
    expect(storage.requests.some((route) => route.startsWith("POST /object/documents/acme%"))).toBe(true);
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    expect(events.trimEnd().split("\n\n").at(-1)).toMatch(/^data: \{"status":"cancelled"/);
  });

  test("nobody, no file, an empty one and one too large are refused before anything is stored", async () => {
    const before = storage.requests.length;
    const statuses = await Promise.all([
      upload(new File(["text"], "a.txt"), {}),
      upload(null),
      upload("not a file"),
      upload(new File([], "empty.txt")),
      upload(new File(["text"], "a.txt"), { "x-user": "ann", "content-length": "60000000" }),
    ]);

    expect(statuses.map(({ status }) => status)).toEqual([401, 400, 400, 400, 413]);
    expect(storage.requests).toHaveLength(before);
  });

  test("another user's job, an unknown one and something that is no id look alike", async () => {
    const { job_id } = (await (await upload(new File(["text"], "a.txt"))).json()) as { job_id: string };
    const answers = await Promise.all([
      watch(job_id, "ben"),
      watch(job_id, null),
      watch(randomUUID(), "ann"),
      watch("x' or true --", "ann"),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(new Set(await Promise.all(answers.map((answer) => answer.text())))).toHaveLength(1);
  });

  test("the Edge Function queues what lies in its user's own folder, and nothing else", async () => {
    const project = await serve(async (request, response) => {
      if (request.url === "/auth/v1/user") {
        const known = request.headers.authorization === "Bearer anns-session";
        response.writeHead(known ? 200 : 401, { "content-type": "application/json" });
        response.end(JSON.stringify(known ? { id: "ann" } : { message: "invalid JWT" }));
        return;
      }
      const body = await new Response(request as unknown as ReadableStream).text(); // SAFETY: async iterable.
      const answer = await fetch(`${api.url}${request.url}`, {
        method: "POST",
        headers: { apikey: String(request.headers.apikey), "content-type": "application/json" },
        body,
      });
      response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
    });
    let handler: (request: Request) => Promise<Response> = () => Promise.reject(new Error("not served"));
    const environment = new Map([
      ["SUPABASE_URL", project.url],
      ["SUPABASE_SERVICE_ROLE_KEY", api.key],
    ]);
    vi.stubGlobal("Deno", {
      env: environment,
      serve(given: typeof handler) {
        handler = given;
      },
    });
    try {
      await import("../../../scripts/demo/edge/enqueue.ts");
      const ask = (body: unknown, session = "anns-session", method = "POST") =>
        handler(
          new Request("https://project.example/functions/v1/enqueue", {
            method,
            headers: { authorization: `Bearer ${session}` },
            ...(method === "POST" && { body: typeof body === "string" ? body : JSON.stringify(body) }),
          }),
        );

      const taken = await ask({ path: "ann/letters/a.pdf" });
      const { document_id } = (await taken.json()) as { document_id: string };
      const refused = await Promise.all([
        ask({ path: "ben/a.pdf" }),
        ask({ path: "ann/../ben/a.pdf" }),
        ask({ path: 7 }),
        ask("{"),
        ask("x".repeat(5000)),
        ask({ path: "ann/a.pdf" }, "bens-forged-session"),
        ask(null, "anns-session", "GET"),
      ]);
      const [row] = await leg.sql.query("select * from public.rag_documents where id = $1", [document_id]);

      expect(taken.status).toBe(202);
      expect(row).toMatchObject({
        source_uri: "storage://documents/ann/letters/a.pdf",
        user_id: "ann",
        title: "letters/a.pdf",
      });
      expect(refused.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 401, 405]);
    } finally {
      vi.unstubAllGlobals();
      project.close();
    }
  });

  test("the SQL integration enqueues once, follows its table, and finds what a worker has read", async () => {
    const script = await readFile(demo("plain.sql"), "utf8");
    const sql = postgres(leg.url, { max: 1, onnotice: () => {} });
    const settings = {
      DATABASE_URL: leg.url,
      RAG_DOCUMENT_ROOT: demo("samples"),
      RAG_WAKE_BUS: "silent",
    };
    try {
      await sql`delete from rag_ingestion_queue`;
      const first = await sql.unsafe(script).simple();
      const worked = await world.rag(["worker", "--once"], settings);
      const second = await sql.unsafe(script).simple();
      const [jobs] = await sql`select count(*)::integer as count from rag_ingestion_queue`;
      const log = second.at(-3) as unknown as readonly { status: string; title: string }[]; // SAFETY: its third last.

      expect(worked.code, worked.err).toBe(0);
      expect(first.at(-1)).toHaveLength(0);
      expect(second.at(-1)).toContainEqual(
        expect.objectContaining({
          content: expect.stringContaining("A drill may be kept for seven days."),
        }),
      );
      expect(log.map(({ status }) => status)).toEqual(["completed", "completed"]);
      expect(jobs?.count).toBe(2);
    } finally {
      await sql.end();
    }
  });
});

describeWith("chromium", "the progress element", () => {
  test("shows a job from its queue to its end, as text, and says when it is over", async () => {
    const step = (more: object) =>
      `data: ${JSON.stringify({ stage: null, processed_chunks: 0, total_chunks: null, error_detail: null, ...more })}\n\n`;
    const element = stripTypeScriptTypes(await readFile(demo("app/upload-progress.ts"), "utf8"));
    const page = `<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>waits</title>
      <script type=module src=/element.js></script><rag-progress src=/good></rag-progress><rag-progress src=/bad></rag-progress>
      <script>
        addEventListener("rag-complete", ({ detail }) => { document.title = detail.status; });
        addEventListener("rag-failed", ({ detail }) => { document.body.dataset.failed = detail.status; });
      </script>`;
    const halfway = step({ status: "processing", processed_chunks: 3, total_chunks: 12 });
    let finish: () => void = () => {};
    const asked: string[] = [];
    const site = await serve((request, response) => {
      asked.push(request.url ?? "");
      const type = request.url === "/" ? "text/html" : "text/javascript";
      if (request.url === "/" || request.url === "/element.js")
        return response.writeHead(200, { "content-type": type }).end(request.url === "/" ? page : element);
      response.writeHead(200, { "content-type": "text/event-stream" }).write(step({ status: "queued" }));
      if (request.url === "/bad") {
        const detail = "<img src=x onerror=alert(1)>";
        return response.end(step({ status: "failed", error_detail: detail }));
      }
      response.write(halfway);
      finish = () => response.end(step({ status: "complete", processed_chunks: 12, total_chunks: 12 }));
    });
    const browser = await openBrowser();
    try {
      const { page: tab, wrong } = await openPage(browser, site.url);
      await tab.goto(site.url);
      const [good, bad] = [tab.locator("rag-progress").first(), tab.locator("rag-progress").last()];

      await good.getByText("Reading…").waitFor();
      expect(await good.locator("progress").getAttribute("value")).toBe("3");
      expect(await good.locator("progress").getAttribute("max")).toBe("12");
      finish();
      await good.getByText("Ready to search").waitFor();
      await bad.getByText("Could not be read: <img src=x").waitFor();

      expect(await tab.title()).toBe("complete");
      expect(await tab.locator("body").getAttribute("data-failed")).toBe("failed");
      expect(asked.filter((path) => path === "/good" || path === "/bad")).toHaveLength(2);
      expect(wrong).toEqual([]);
    } finally {
      await browser.close();
      site.close();
    }
  });
});
