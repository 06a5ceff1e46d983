import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { environmentOf, readConfig } from "./config.ts";
import { settings } from "./settings.ts";

const failureOf = (environment: Record<string, string>): Failure => {
  try {
    readConfig(environment);
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
    throw thrown;
  }
  throw new Error("the configuration was accepted");
};

describe("reading", () => {
  test("an empty environment gives every setting its default", () => {
    const config = readConfig({});

    expect(config).toEqual(
      Object.fromEntries(Object.entries(settings).map(([key, setting]) => [key, setting.fallback])),
    );
  });

  test("values arrive as what they are, not as text", () => {
    const config = readConfig({
      RAG_POLL_INTERVAL_MS: "2500",
      RAG_KEEP_ORIGINALS: " Yes ",
      RAG_KINDS: "document, sync",
      RAG_EMBEDDING_PROVIDER: "openai",
      DATABASE_URL: " postgresql://u:p@db.example/x ",
    });

    expect(config).toMatchObject({
      pollIntervalMs: 2500,
      keepOriginals: true,
      kinds: ["document", "sync"],
      embeddingProvider: "openai",
      databaseUrl: "postgresql://u:p@db.example/x",
    });
  });

  test.each(["", "   ", "\t"])("an empty value (%j) means not set", (empty) => {
    const config = readConfig({ RAG_POLL_INTERVAL_MS: empty, DATABASE_URL: empty, RAG_KINDS: empty });

    expect(config).toEqual(readConfig({}));
  });

  test("the legacy name of a key wins over the new one, and an empty one does not count", () => {
    const both = readConfig({ SUPABASE_SERVICE_ROLE_KEY: "legacy", SUPABASE_SECRET_KEY: "new" });
    const emptied = readConfig({ SUPABASE_SERVICE_ROLE_KEY: "", SUPABASE_SECRET_KEY: "new" });

    expect(both.supabaseKey).toBe("legacy");
    expect(emptied.supabaseKey).toBe("new");
  });

  test("nobody can change the configuration later", () => {
    const config = readConfig({});

    expect(() => Object.assign(config, { port: 1 })).toThrow(TypeError);
  });
});

describe("refusing", () => {
  test("every bad setting is named at once, each with what it accepts", () => {
    const failure = failureOf({
      RAG_POLL_INTERVAL_MS: "soon",
      RAG_LEASE_SECONDS: "1",
      DATABASE_URL: "mysql://db.example/x",
      RAG_KEEP_ORIGINALS: "perhaps",
      RAG_KINDS: "document,dance",
      LOG_LEVEL: "loud",
    });

    expect(failure).toMatchObject({ code: "config.invalid", kind: "misconfigured" });
    expect(failure.message.match(/must be/g)).toHaveLength(6);
    for (const named of [
      "RAG_POLL_INTERVAL_MS must be 100..600000",
      "RAG_LEASE_SECONDS must be 2..900",
      "DATABASE_URL must be an address that starts with postgres:// or postgresql://",
      "RAG_KEEP_ORIGINALS must be true or false",
      "RAG_KINDS must be a list of document, relationships, sync",
      "LOG_LEVEL must be trace, debug",
    ])
      expect(failure.message).toContain(named);
  });

  test.each([
    ["DATABASE_URL", "hunter2-not-an-address"],
    ["OPENAI_BASE_URL", "ftp://user:hunter2@example.com"],
    ["SUPABASE_URL", "hunter2"],
    ["RAG_LEASE_SECONDS", "hunter2"],
    ["RAG_EMBEDDING_PROVIDER", "hunter2"],
  ])("the bad value of %s is never repeated", (name, value) => {
    const failure = failureOf({ [name]: value });

    expect(failure.message).toContain(name);
    expect(failure.message + JSON.stringify(failure) + String(failure.stack)).not.toContain("hunter2");
  });

  test.each([
    ["RAG_JOB_CONCURRENCY", "0"],
    ["RAG_JOB_CONCURRENCY", "1001"],
    ["RAG_JOB_CONCURRENCY", "1.5"],
    ["RAG_JOB_CONCURRENCY", "4 jobs"],
    ["RAG_JOB_CONCURRENCY", "NaN"],
    ["RAG_JOB_CONCURRENCY", "Infinity"],
    ["RAG_KINDS", ","],
    ["PORT", "65536"],
    ["PORT", "-1"],
  ])("%s=%s is out of bounds", (name, value) => {
    expect(failureOf({ [name]: value }).message).toContain(`${name} must be`);
  });

  test("an overlap as large as the chunk is refused: every chunk would only repeat the one before", () => {
    const failure = failureOf({ RAG_CHUNK_TOKENS: "64", RAG_CHUNK_OVERLAP_TOKENS: "64" });

    expect(failure.message).toContain(
      "RAG_CHUNK_OVERLAP_TOKENS (64) must be less than RAG_CHUNK_TOKENS (64)",
    );
    expect(readConfig({ RAG_CHUNK_TOKENS: "64", RAG_CHUNK_OVERLAP_TOKENS: "63" }).chunkOverlapTokens).toBe(
      63,
    );
  });

  test("the name that was used is the name in the message", () => {
    const failure = failureOf({ RAG_MAX_FILE_MB: "none" });

    expect(failure.message).toBe("Wrong settings: RAG_MAX_FILE_MB must be 1..4096.");
  });
});

describe("where settings come from", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "config-"));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  test("the environment wins over .env.local, and .env.local over .env", async () => {
    await writeFile(join(folder, ".env"), "A=env\nB=env\nC=env\n");
    await writeFile(join(folder, ".env.local"), 'A=local\nB="local value" # a comment\n');

    const environment = environmentOf(folder, { A: "own" });

    expect(environment).toMatchObject({ A: "own", B: "local value", C: "env" });
  });

  test("without files the environment stands alone", () => {
    expect(environmentOf(folder, { A: "own" })).toEqual({ A: "own" });
  });

  test("a file that cannot be read is told by its name", async () => {
    await mkdir(join(folder, ".env"));

    expect(() => environmentOf(folder, {})).toThrow(
      expect.objectContaining({ code: "config.invalid", message: expect.stringContaining(".env") }),
    );
  });
});

describe("the table", () => {
  const rows = Object.values(settings);

  test("no name in the environment belongs to two settings", () => {
    const names = rows.flatMap((setting) => setting.names);

    expect(new Set(names).size).toBe(names.length);
  });

  test("keys, tokens and addresses that may carry a password are secret, and a secret has no default", () => {
    const likely = rows.filter(({ names }) => /(KEY|TOKEN|SECRET|_URL)$/.test(names[0]));

    expect(likely.length).toBeGreaterThan(4);
    expect(likely.filter((setting) => !setting.secret)).toEqual([]);
    expect(rows.filter((setting) => setting.secret && setting.fallback !== null)).toEqual([]);
  });

  test.each(
    rows.map((setting) => [setting.names[0], setting] as const),
  )("%s accepts its own default", (_, setting) => {
    if (setting.fallback === null) return;
    const parsed = setting.parse.safeParse(String(setting.fallback));

    expect(parsed.success && parsed.data).toEqual(setting.fallback);
  });

  test.each(
    rows.map((setting) => [setting.names[0], setting] as const),
  )("%s says what it is for", (_, setting) => {
    expect(setting.says).toMatch(/^[\p{L}:].*\.$/u);
    expect(setting.says).not.toContain("\n");
  });
});

describe("money", () => {
  test("prices are a JSON object, and a budget may be a fraction or nothing at all", () => {
    const config = readConfig({ RAG_PRICES: ' {"a/b": 0.02, "free": 0} ', RAG_DAILY_BUDGET_USD: "0.5" });

    expect(config).toMatchObject({ prices: { "a/b": 0.02, free: 0 }, dailyBudgetUsd: 0.5 });
  });

  test.each([
    "0.02",
    "{",
    '{"a": -1}',
    '{"a": "0.02"}',
    "[]",
  ])("prices of %s are refused in a sentence", (prices) => {
    expect(failureOf({ RAG_PRICES: prices }).message).toContain("RAG_PRICES must be a JSON object");
  });
});
