// What a person waits for who opens the dashboard, in a browser that has never seen it; beside it a page with one line
// and nothing else, which is what this browser on this machine takes for any page. In turns, a new context each time.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium, type Page } from "playwright-core";
import { openActivity } from "../../worker/activity/activity.ts";
import type { Database } from "../../worker/database/database.ts";
import { openLog } from "../../worker/log/log.ts";
import { startStatusServer } from "../../worker/status/status-server.ts";
import { someActivity, someState } from "../../worker/status/testing/some-figures.ts";
import { quantile } from "./contestants/quantiles.ts";

const ROUNDS = 11;
const EMPTY_PAGE = '<!doctype html><html lang="en"><title>Empty</title><p>One line.</p></html>';
/** When the first figures are in the page and drawn. */
const NOTE_FIGURES = `globalThis.figuresShown = new Promise((resolve) =>
  new MutationObserver((_, observer) => {
    if (document.querySelector(".tiles") === null) return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now()));
  }).observe(document, { subtree: true, childList: true }))`;

type Seen = { readonly contestant: string; readonly metric: string; readonly value: number };

/** Medians, in milliseconds since the browser was sent there. */
export async function measurePaint(database: Database, executablePath: string): Promise<readonly Seen[]> {
  const server = await startDashboard(database);
  // In a process of its own, as the dashboard's policy has it for ours.
  const empty = createServer((_, response) =>
    response
      .setHeader("content-type", "text/html; charset=utf-8")
      .setHeader("cross-origin-opener-policy", "same-origin")
      .end(EMPTY_PAGE),
  ).listen(0, "127.0.0.1");
  await once(empty, "listening");
  const emptyUrl = `http://127.0.0.1:${(empty.address() as AddressInfo).port}/`;
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const times: Record<"empty" | "paint" | "figures", number[]> = { empty: [], paint: [], figures: [] };
  try {
    // The first one starts the browser's own processes.
    for (let round = -1; round < ROUNDS; round += 1) {
      const empty = await visit(browser, emptyUrl, firstPaint);
      const [paint, figures] = await visit(browser, server.url, async (page) => {
        return [await firstPaint(page), await page.evaluate<number>("figuresShown")] as const;
      });
      if (round < 0) continue;
      times.empty.push(empty);
      times.paint.push(paint);
      times.figures.push(figures);
    }
  } finally {
    await browser.close();
    await server.close();
    empty.close();
  }
  const medianOf = (name: keyof typeof times) => quantile(times[name], 0.5);
  return [
    { contestant: "an empty page", metric: "first paint", value: medianOf("empty") },
    { contestant: "browser", metric: "first paint", value: medianOf("paint") },
    { contestant: "browser", metric: "figures shown", value: medianOf("figures") },
  ];
}

async function visit<T>(browser: Browser, url: string, look: (page: Page) => Promise<T>): Promise<T> {
  const context = await browser.newContext();
  try {
    await context.addInitScript(NOTE_FIGURES);
    const page = await context.newPage();
    await page.goto(url);
    return await look(page);
  } finally {
    await context.close();
  }
}

/** As the browser notes it, waited for: a busy one paints after everything was loaded. */
const firstPaint = (page: Page): Promise<number> =>
  page.evaluate<number>(`new Promise((resolve) => new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") resolve(entry.startTime);
  }).observe({ type: "paint", buffered: true }))`);

const startDashboard = (database: Database) =>
  startStatusServer({
    port: 0,
    host: "127.0.0.1",
    token: null,
    activity: openActivity(),
    log: openLog({ level: "silent", terminal: false, secrets: [] }),
    state: () => someState,
    stats: () => database.call("rag_queue_stats", {}),
    activityLog: () => someActivity,
    describe: { database: "bench", transport: "postgres", provider: "none", model: "none" },
    version: "0",
    memoryBytes: 1e12,
    searchable: { database, embedder: () => Promise.reject(new Error("nobody embeds here")) },
    wake: () => {},
    budgetUsd: null,
  });
