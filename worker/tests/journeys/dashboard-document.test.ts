// The page of a document that Claude has analysed and that others are related to, opened while it is worked on.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { describeWith } from "../services.ts";
import { type ClaudeServer, startClaudeServer } from "../stand-ins/claude.ts";
import {
  type DashboardWorld,
  openBrowser,
  openDashboardWorld,
  openPage,
  picture,
  scan,
  signIn,
} from "./dashboard-world.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
const PATIENCE = { timeout: 60_000, interval: 200 };

describeWith("chromium", "the page of a document", () => {
  let claude: ClaudeServer;
  let world: DashboardWorld;
  let browser: Browser;
  beforeAll(async () => {
    claude = await startClaudeServer();
    world = await openDashboardWorld(0, {
      RAG_ENABLE_CLAUDE_ANALYSIS: "true",
      ANTHROPIC_API_KEY: "sk-ant-test",
      ANTHROPIC_BASE_URL: claude.baseUrl,
      RAG_RELATIONSHIPS: "true",
    });
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await world?.close();
    await claude?.close();
  });

  test("is brought up to date by itself: chunks, what Claude says, and the documents related to it", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    await world.call("rag_pause_jobs", { p_scope: "all" });
    const id = await world.enqueue({
      external_id: "harvest",
      title: "The harvest of 2024",
      content: "# Harvest\n\nThe barley was cut in August. The roof of the barn waits for task:ab-1.\n",
    });
    const { document_id: document } = (await world.call("rag_describe_job", { p_job_id: id })) as {
      document_id: string;
    };
    await signIn(page, world.url);
    await page.goto(`${world.url}/#/documents/${document}`);
    await page.getByText("Nothing of it can be found yet: no job has completed.").waitFor();

    await world.call("rag_resume_jobs", { p_scope: "all" });

    await page.getByText(/The barley was cut in August/).waitFor();
    await page.getByRole("heading", { name: "What it is about" }).waitFor();
    await page.getByRole("heading", { name: "Related documents" }).waitFor();
    await page.getByText("task:ab-1 (not here yet)").waitFor();
    await vi.waitFor(async () => expect(await world.statusOf(id)).toBe("complete"), PATIENCE);
    await scan(page);
    await picture(page, "document-analysed");
    expect(wrong).toEqual([]);
    await close();
  });
});
