import { expect, test } from "vitest";
import { readConfig } from "../../config/config.ts";
import { explainTransport, isOlder } from "./check-database.ts";

test.each([
  ["0.8.0", true],
  ["0.8.3", true],
  ["0.8.4", false],
  ["0.8.10", false],
  ["0.9", false],
  ["0.7.99", true],
  ["1.0.0", false],
])("pgvector %s is older than 0.8.4: %s", (version, older) => {
  expect(isOlder(version, "0.8.4")).toBe(older);
});

test.each([
  [{ DATABASE_URL: "postgres://h/d", SUPABASE_URL: "https://x.supabase.co" }, "green", "postgres"],
  [{ SUPABASE_URL: "https://x.supabase.co", SUPABASE_SECRET_KEY: "k" }, "green", "supabase RPC"],
  [{}, "green", "embedded"],
  // Half a Supabase configuration would quietly end in a local database.
  [{ SUPABASE_URL: "https://x.supabase.co" }, "red", "the service role key is missing"],
  [{ SUPABASE_SERVICE_ROLE_KEY: "k" }, "red", "SUPABASE_URL is missing"],
])("%j is %s: %s", (environment, status, says) => {
  const finding = explainTransport(readConfig(environment));

  expect(finding.status).toBe(status);
  expect(finding.says).toContain(says);
});
