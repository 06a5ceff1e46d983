// Tests stand beside their files; those that need several rooms stand in worker/tests.
import { defineConfig } from "vitest/config";
import { CountReporter } from "./worker/tests/report-counts.ts";

export default defineConfig({
  test: {
    include: ["worker/**/*.test.ts", "scripts/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    // Processes, for the embedded database and native models do not survive in shared threads.
    pool: "forks",
    // Minutes, not seconds: real servers, child processes and models on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    reporters: ["default", new CountReporter(process.env.RAG_TEST_REPORT)],
  },
});
