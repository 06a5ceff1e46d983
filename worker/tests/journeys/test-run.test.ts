// The promise that a missing server is never a silent pass, kept by describeWith and the counting reporter.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-test-run-"));
  await mkdir(join(folder, "worker"));
  await symlink(join(process.cwd(), "node_modules"), join(folder, "node_modules"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

test("without servers a run passes and names each test that it left out, last of all the counts", async () => {
  await given(
    'test("adds", () => {}); describeWith("nats", "a bus", () => { test("delivers", () => {}); });',
  );

  const run = await runTests({});

  expect(run.exitCode).toBe(0);
  expect(run.says).toContain("worker/given.test.ts > a bus [no nats] > delivers");
  expect(run.lastLine).toBe("1 passed, 0 failed, 1 skipped");
  expect(run.counts).toEqual({ passed: 1, failed: 0, skipped: 1 });
});

test("where servers are demanded a missing one is a failure, not a skip", async () => {
  await given('describeWith(["nats", "redis"], "a bus", () => { test("delivers", () => {}); });');

  const run = await runTests({ RAG_TEST_REQUIRE_SERVICES: "1" });

  expect(run.exitCode).toBe(1);
  expect(run.says).toContain("there is no nats, redis");
  expect(run.counts).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("a file that cannot be read counts as a failure", async () => {
  await given('throw new Error("broken on purpose");');

  const run = await runTests({});

  expect(run.exitCode).toBe(1);
  expect(run.counts).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

async function given(body: string): Promise<void> {
  const services = join(process.cwd(), "worker/tests/services.ts");
  const head = `import { test } from "vitest"; import { describeWith } from ${JSON.stringify(services)};`;
  await writeFile(join(folder, "worker/given.test.ts"), `${head}\n${body}\n`);
}

async function runTests(environment: Record<string, string>) {
  const report = join(folder, "counts.json");
  const args = [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--root",
    folder,
    "--config",
    join(process.cwd(), "vitest.config.ts"),
  ];
  const env = { PATH: process.env.PATH, RAG_TEST_REPORT: report, NO_COLOR: "1", ...environment };
  const { exitCode, stdout, stderr } = await new Promise<{
    exitCode: number;
    stdout: string;
    stderr: string;
  }>((resolve) => {
    execFile(process.execPath, args, { env, timeout: 50_000 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
  const counts: unknown = JSON.parse(await readFile(report, "utf8"));
  return { exitCode, counts, says: stdout + stderr, lastLine: stdout.trimEnd().split("\n").at(-1) };
}
