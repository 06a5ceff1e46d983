// A worker with its dashboard and a browser that looks at it, for tests.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { openParts } from "../../assemble.ts";
import { withWorker } from "../../cli/with-worker.ts";
import { readConfig } from "../../config/config.ts";
import { openLog } from "../../log/log.ts";
import { serviceUrl } from "../services.ts";
import { startEmbeddingServer } from "../stand-ins/embedding-server.ts";

export const TOKEN = "canary-dashboard-token";

export type DashboardWorld = Awaited<ReturnType<typeof openDashboardWorld>>;

/** A worker on an embedded database of its own, with a provider whose answers take `latencyMs`. */
export async function openDashboardWorld(latencyMs: number, more: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "rag-dashboard-"));
  const documents = join(folder, "documents");
  await mkdir(documents);
  const embedding = await startEmbeddingServer({ dimensions: 8, latencyMs });
  const config = readConfig({
    RAG_EMBEDDED_DIR: join(folder, ".rag"),
    RAG_DOCUMENT_ROOT: documents,
    OPENAI_API_KEY: "canary-openai-key",
    OPENAI_BASE_URL: embedding.baseUrl,
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
    RAG_EMBEDDING_BATCH: "4",
    RAG_EMBEDDING_CONCURRENCY: "1",
    RAG_PRICES: '{"stand-in": 20}',
    RAG_HTTP_TOKEN: TOKEN,
    RAG_HTTP_HOST: "127.0.0.1",
    PORT: "0",
    ...more,
  });
  const parts = await openParts(config, openLog({ level: "silent", terminal: false, secrets: [] }));
  const opened = Promise.withResolvers<string>();
  const closing = Promise.withResolvers<void>();
  const running = withWorker(parts, {}, async (_worker, status) => {
    opened.resolve(status.url);
    await closing.promise;
  });
  running.catch(opened.reject);
  const call = parts.database.call;
  return {
    url: await opened.promise,
    call,
    /** Writes a file below the document root. */
    write: (name: string, content: string) => writeFile(join(documents, name), content),
    async enqueue(request: object): Promise<string> {
      const answer = await call("rag_enqueue", { p_request: { tenant_id: "acme", ...request } });
      return (answer as { job_id: string }).job_id;
    },
    async statusOf(id: string): Promise<unknown> {
      return ((await call("rag_describe_job", { p_job_id: id })) as { status: unknown }).status;
    },
    async close() {
      closing.resolve();
      await running;
      await parts.close();
      await embedding.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: serviceUrl("chromium"),
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  });

/** A page that notes what it should never do: complain, or ask anybody else. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on("console", (message) => {
    // A refusal for want of a token is told by the browser itself.
    if (message.type() === "error" && !message.text().includes("401")) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) wrong.push(`asked ${request.url()}`);
  });
  return { page, wrong, close: () => context.close() };
}

export async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByLabel(/Token/).fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "At work" }).waitFor();
}

/** Fails with what axe finds against WCAG 2.2 A and AA and its best practices. */
export async function scan(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
  )) as { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
  expect(
    found.violations.map(({ id, nodes }) => [id, nodes.map((node) => [node.html, node.failureSummary])]),
  ).toEqual([]);
}

/** For whoever wants to look: RAG_SCREENSHOTS names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.RAG_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
