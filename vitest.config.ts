// Tests stand beside their files; those that need several rooms stand in worker/tests.
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { CountReporter } from "./worker/tests/report-counts.ts";

export default defineConfig({
  test: {
    include: ["worker/**/*.test.ts", "scripts/**/*.test.ts"],
    // The corpus is no part of the repository: a checkout without it has nothing to score.
    exclude: ["**/node_modules/**", ...(process.env.RAG_CORPUS_DIR ? [] : ["**/corpus.test.ts"])],
    setupFiles: [join(import.meta.dirname, "worker/tests/patience.ts")],
    // Processes, for the embedded database and native models do not survive in shared threads.
    pool: "forks",
    // Minutes, not seconds: real servers, child processes and models on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    // postgres.js asks for array types on its own account, in a query that nobody can catch. Suites that restart or
    // end servers meet it; whatever we asked ourselves is not meant.
    onUnhandledError: (error) =>
      "query" in error && /from pg_catalog\.pg_type a\b/.test(String(error.query)) ? false : undefined,
    reporters: ["default", new CountReporter(process.env.RAG_TEST_REPORT)],
  },
});
