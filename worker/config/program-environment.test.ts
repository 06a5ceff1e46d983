import { afterEach, expect, test, vi } from "vitest";
import { programEnvironment } from "./program-environment.ts";

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
