import { enableCompileCache, getCompileCacheDir } from "node:module";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test, vi } from "vitest";
import { programEnvironment, threadEnvironment } from "./program-environment.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a program sees where things are, and none of our secrets", () => {
  vi.stubEnv("PATH", "/usr/bin");
  vi.stubEnv("CUDA_VISIBLE_DEVICES", "0");
  for (const name of ["OPENAI_API_KEY", "DATABASE_URL", "SUPABASE_SECRET_KEY", "LLAMA_API_KEY", "HF_TOKEN"])
    vi.stubEnv(name, "canary");

  const seen = programEnvironment();

  expect(seen).toMatchObject({ PATH: "/usr/bin", CUDA_VISIBLE_DEVICES: "0" });
  expect(Object.values(seen)).not.toContain("canary");
});

test("a thread keeps its compiled code where we keep ours, and sees nothing else", async () => {
  vi.stubEnv("OPENAI_API_KEY", "canary");
  enableCompileCache();
  const seen = new Worker(
    `require("node:worker_threads").parentPort.postMessage(
      { keptIn: require("node:module").getCompileCacheDir(), env: Object.keys(process.env) })`,
    { eval: true, env: threadEnvironment() },
  );

  const answer = await new Promise((resolve) => seen.once("message", resolve));

  expect(answer).toEqual({ keptIn: getCompileCacheDir(), env: ["NODE_COMPILE_CACHE"] });
});
