// The dashboard as an operator uses it: a real worker and a real browser.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { describeWith } from "../services.ts";
import {
  type DashboardWorld,
  openBrowser,
  openDashboardWorld,
  openPage,
  picture,
  scan,
  signIn,
  TOKEN,
} from "./dashboard-world.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
const PATIENCE = { timeout: 60_000, interval: 200 };
const HOSTILE = `<img src=x onerror="document.title='taken'">`;

describeWith("chromium", "the dashboard", () => {
  let world: DashboardWorld;
  let browser: Browser;
  beforeAll(async () => {
    world = await openDashboardWorld(400);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await world?.close();
  });

  const longText = (about: string) =>
    Array.from(
      { length: 60 },
      (_, place) =>
        `## Part ${place}\n\n${`The ${about} of part ${place} is kept in the cellar. `.repeat(12)}\n\n`,
    ).join("");

  test("asks for the token, shows a running ingest as it goes, and what it came to", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    await page.goto(world.url);
    await page.getByLabel(/Token/).fill("another");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("That is not the token of this worker.").waitFor();
    await scan(page);
    await picture(page, "sign-in");
    await page.getByLabel(/Token/).fill(TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Waits for work.").waitFor();

    // Long enough to be seen twice also where the page is slow.
    const content = ["sowing", "summer", "harvest"].map(longText).join("");
    await world.enqueue({ external_id: "live", title: "The harvest", content });

    const bar = page.getByRole("progressbar", { name: "Progress of The harvest" });
    const done = async () => Number(await bar.getAttribute("value", { timeout: 100 }).catch(() => null));
    await vi.waitFor(async () => expect(await done()).toBeGreaterThan(0), PATIENCE);
    const early = await done();
    await picture(page, "overview-live");
    await vi.waitFor(async () => expect(await done()).toBeGreaterThan(early), PATIENCE);
    await bar.waitFor({ state: "detached", timeout: 60_000 });
    await page.goto(`${world.url}/#/jobs`);
    await page
      .getByRole("row", { name: /The harvest/ })
      .getByText("complete", { exact: true })
      .waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  test("shows why a job failed and what to do, and retries it", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    const id = await world.enqueue({ source_uri: "file:///report.md", title: "Quarterly report" });
    await vi.waitFor(async () => expect(await world.statusOf(id)).toBe("failed"), PATIENCE);
    await signIn(page, world.url);

    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Jobs" }).click();
    await page.getByRole("button", { name: "failed", exact: true }).click();
    const row = page.getByRole("row", { name: /Quarterly report/ });
    await row.getByText("source.not-found").waitFor();
    await scan(page);
    await row.getByRole("link", { name: "Quarterly report" }).click();
    await page.getByText("What to do:").waitFor();
    await scan(page);
    await picture(page, "job-failed");
    await world.write("report.md", "# Report\n\nThe year was good.\n");
    await page.getByRole("button", { name: "Retry" }).click();

    await page.getByText("1 job back in the queue.").waitFor();
    await page.locator(".head").getByText("complete").waitFor({ timeout: 60_000 });
    expect(await world.statusOf(id)).toBe("complete");
    expect(wrong).toEqual([]);
    await close();
  });

  test("pauses the queue with a reason and resumes it, by the keyboard alone", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    await signIn(page, world.url);

    await page.getByRole("button", { name: "Pause the queue" }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel(/Why/).fill("The roof leaks");
    await scan(page);
    await picture(page, "pause");
    await page.keyboard.press("Enter");

    await page.getByText(/All jobs, since .*: The roof leaks/).waitFor();
    const waiting = await world.enqueue({ external_id: "held", title: "Held back", content: "Some words." });
    await page.goto(`${world.url}/#/jobs?status=queued`);
    await page.getByText(/the end of the pause of all jobs/).waitFor();
    await picture(page, "jobs-paused");
    expect(await world.statusOf(waiting)).toBe("queued");
    await page.goto(`${world.url}/#/`);
    await page.getByRole("button", { name: "Resume" }).focus();
    await page.keyboard.press("Enter");
    await vi.waitFor(async () => expect(await world.statusOf(waiting)).toBe("complete"), PATIENCE);
    expect(wrong).toEqual([]);
    await close();
  });

  test("cancels what waits, all that fits, after telling how many", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    await world.call("rag_pause_jobs", { p_scope: "tenant", p_name: "bulk" });
    for (const name of ["one", "two", "three"])
      await world.enqueue({ external_id: name, tenant_id: "bulk", title: `Bulk ${name}`, content: "Words." });
    await signIn(page, world.url);
    await page.goto(`${world.url}/#/jobs?status=queued&tenant=bulk`);

    await page.getByRole("button", { name: "Prioritise all that fit" }).click();
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Set the priority of 3 jobs?" }).waitFor();
    await page.getByRole("button", { name: "Set priority", exact: true }).click();
    await page.getByText("3 jobs given the new priority.").waitFor();
    await page.getByRole("button", { name: "Cancel all that fit" }).click();
    await page.getByRole("heading", { name: "Cancel 3 jobs?" }).waitFor();
    await scan(page);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();

    await page.getByText("3 jobs cancelled.").waitFor();
    await page.getByText("No job fits this filter.").waitFor();
    await world.call("rag_resume_jobs", { p_scope: "tenant", p_name: "bulk" });
    expect(wrong).toEqual([]);
    await close();
  });

  test("retries the failed jobs that are selected, then all that fit the filter", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    const ids: string[] = [];
    for (const name of ["one", "two", "three"])
      ids.push(
        await world.enqueue({
          source_uri: `file:///lost-${name}.md`,
          tenant_id: "lost",
          title: `Lost ${name}`,
        }),
      );
    const statuses = () => Promise.all(ids.map(world.statusOf));
    await vi.waitFor(async () => expect(await statuses()).toEqual(Array(3).fill("failed")), PATIENCE);
    for (const name of ["one", "two", "three"]) await world.write(`lost-${name}.md`, `Found ${name}.\n`);
    await signIn(page, world.url);
    await page.goto(`${world.url}/#/jobs?status=failed&tenant=lost`);

    await page.getByRole("checkbox", { name: /Select Lost one/ }).check();
    await page.getByRole("checkbox", { name: /Select Lost two/ }).check();
    await page.getByRole("button", { name: "Retry 2 selected" }).click();
    await page.getByRole("heading", { name: "Retry 2 jobs?" }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Retry", exact: true }).click();
    await page.getByText("2 jobs back in the queue.").waitFor();
    await vi.waitFor(
      async () => expect(await statuses()).toEqual(["complete", "complete", "failed"]),
      PATIENCE,
    );
    await page.getByRole("button", { name: "Retry all that fit" }).click();
    await page.getByRole("heading", { name: "Retry 1 job?" }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Retry", exact: true }).click();

    await vi.waitFor(async () => expect(await statuses()).toEqual(Array(3).fill("complete")), PATIENCE);
    expect(wrong).toEqual([]);
    await close();
  });

  test("pauses one tenant from its jobs, resumes it, and finds a year in a title although ids look like it", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    await signIn(page, world.url);
    await page.goto(`${world.url}/#/jobs?tenant=acme`);

    await page.getByRole("button", { name: "Pause tenant acme" }).click();
    await page.getByLabel(/Why/).fill("Moving house");
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByText("Paused: tenant acme.").waitFor();
    const held = await world.enqueue({
      external_id: "budget",
      tenant_id: "acme",
      title: "Budget 2025",
      content: "Words.",
    });
    await page.goto(`${world.url}/#/jobs?tenant=acme&text=2025`);
    await page.getByText("Budget 2025").waitFor();
    expect(await world.statusOf(held)).toBe("queued");
    await page.getByRole("button", { name: "Resume tenant acme" }).click();

    await vi.waitFor(async () => expect(await world.statusOf(held)).toBe("complete"), PATIENCE);
    expect(wrong).toEqual([]);
    await close();
  });

  test("shows a document's chunks and what a query finds in it; a title with a tag is text", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    const id = await world.enqueue({
      external_id: "hostile",
      title: HOSTILE,
      content: `# Wells\n\n${longText("well").slice(0, 3000)}\n\nThe ferry leaves at noon.\n`,
    });
    await vi.waitFor(async () => expect(await world.statusOf(id)).toBe("complete"), PATIENCE);
    await signIn(page, world.url);
    await page.goto(`${world.url}/#/jobs/${id}`);
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    await page.getByRole("link", { name: "Its chunks, and a search in it" }).click();

    await page
      .getByText(/tokens$/)
      .first()
      .waitFor();
    await page.getByLabel("Query").fill("when does the ferry leave");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByText(/passages?, best first/).waitFor();
    await page.getByText("The ferry leaves at noon.").first().waitFor();
    await scan(page);
    await picture(page, "document");
    await page.goto(`${world.url}/#/search?q=ferry`);
    await page.getByText(/passages?, best first/).waitFor();
    await scan(page);
    await picture(page, "search");
    expect(await page.title()).not.toContain("taken");
    expect(wrong).toEqual([]);
    await close();
  });

  test("HTML in every name, in texts, in an error, in a pause and in the page's own address is shown as it is", async () => {
    const { page, wrong, close } = await openPage(browser, world.url);
    const names = {
      tenant_id: HOSTILE,
      collection: HOSTILE,
      version: HOSTILE,
      user_id: HOSTILE,
      tags: [HOSTILE],
    };
    const good = await world.enqueue({
      ...names,
      external_id: HOSTILE,
      title: `Whole ${HOSTILE}`,
      metadata: { [HOSTILE]: HOSTILE },
      media_type: "text/plain",
      content: `The quay is ${HOSTILE} and <script>document.title='taken'</script> closed.`,
    });
    const bad = await world.enqueue({
      ...names,
      title: `Broken ${HOSTILE}`,
      source_uri: `file:///${encodeURIComponent(`${HOSTILE}.md`)}`,
    });
    await vi.waitFor(async () => expect(await world.statusOf(good)).toBe("complete"), PATIENCE);
    await vi.waitFor(async () => expect(await world.statusOf(bad)).toBe("failed"), PATIENCE);
    await world.call("rag_pause_jobs", { p_scope: "tenant", p_name: HOSTILE, p_reason: HOSTILE });
    await signIn(page, world.url);
    const document = ((await world.call("rag_describe_job", { p_job_id: good })) as { document_id: string })
      .document_id;
    const hostile = encodeURIComponent(HOSTILE);

    for (const [path, seen] of [
      ["#/", `Broken ${HOSTILE}`],
      [`#/jobs?tenant=${hostile}`, `Broken ${HOSTILE}`],
      [`#/jobs?code=${hostile}`, "No job fits this filter."],
      [`#/jobs?tenant=${encodeURIComponent("' or '1'='1")}`, "No job fits this filter."],
      [`#/jobs?text=${hostile}&status=${hostile}`, null],
      [`#/jobs?text=${encodeURIComponent("'; drop table rag_documents; --")}`, "No job fits this filter."],
      [`#/jobs/${bad}`, `Broken ${HOSTILE}`],
      [`#/jobs/${hostile}`, null],
      [`#/documents/${document}`, "The quay is"],
      [`#/search?q=${hostile}`, null],
      ["#/search?q=quay", "The quay is"],
      [`#/${hostile}`, null],
    ] as const) {
      await page.goto(`${world.url}/${path}`);
      await page.locator("main").waitFor();
      if (seen !== null) await page.getByText(seen).first().waitFor();
      const made = await page.evaluate("document.querySelectorAll('[onerror], script:not([src])').length");
      expect([path, await page.title(), made]).toEqual([path, expect.not.stringContaining("taken"), 0]);
    }

    await world.call("rag_resume_jobs", { p_scope: "tenant", p_name: HOSTILE });
    // What was asked wrongly is refused by the server, which the browser notes, and is no complaint of the page.
    expect(wrong.filter((one) => !/status of 400/.test(one))).toEqual([]);
    await close();
  });

  test.each([
    ["light", { width: 1440, height: 900 }],
    ["dark", { width: 1280, height: 860 }],
    ["light", { width: 390, height: 844 }],
    ["dark", { width: 390, height: 844 }],
  ] as const)("is readable in %s at %j, without scrolling sideways", async (colorScheme, viewport) => {
    const { page, wrong, close } = await openPage(browser, world.url, { colorScheme, viewport });
    await signIn(page, world.url);
    for (const [name, path] of [
      ["overview", "#/"],
      ["jobs", "#/jobs"],
      ["search", "#/search"],
    ]) {
      await page.goto(`${world.url}/${path}`);
      await page.locator(".card").first().waitFor();
      if (name === "jobs") await page.getByRole("link", { name: "Quarterly report" }).first().waitFor();
      await scan(page);
      await picture(page, `${name}-${colorScheme}-${viewport.width}`);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(viewport.width);
    }
    expect(wrong).toEqual([]);
    await close();
  });
});
