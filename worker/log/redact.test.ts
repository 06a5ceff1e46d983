import { expect, test } from "vitest";
import { openRedactor, secretsOf, withoutCredentials } from "./redact.ts";

test.each([
  ["postgres://user:pass@host:5432/db?sslmode=require", "postgres://host:5432/db"],
  ["https://host/v1?api_key=1#x", "https://host/v1"],
  ["redis://:pass@host", "redis://host"],
  ["postgres://user:p@ss@host/db", "postgres://host/db"],
  ["postgres://user:p/a?s#s@host/db", "postgres://host/db"],
  ["cannot reach http://a:b@one, nor http://c:d@two!", "cannot reach http://one, nor http://two!"],
  ["storage://bucket/a@b.pdf", "storage://bucket/a@b.pdf"],
  ["http://[::1]:8080/", "http://[::1]:8080/"],
  ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
  ["file:///handbook.pdf", "file:///handbook.pdf"],
  ["no address, only me@home and a?b", "no address, only me@home and a?b"],
])("%s is shown as %s", (text, shown) => {
  expect(withoutCredentials(text)).toBe(shown);
});

test("a password is found outside its address too, as it is written and as it is encoded", () => {
  const redact = openRedactor(secretsOf({ databaseUrl: "postgres://user:p%40ss-word@host/db" }));

  expect(redact('password authentication failed: "p@ss-word" (p%40ss-word)')).toBe(
    'password authentication failed: "[secret]" ([secret])',
  );
});

test("a key in an address's query is a secret, an option is not", () => {
  const redact = openRedactor(secretsOf({ openaiBaseUrl: "https://host/v1?api-key=abcdef&mode=require" }));

  expect(redact("abcdef require")).toBe("[secret] require");
});

test("a password that is the user's name leaves the word readable", () => {
  const redact = openRedactor(secretsOf({ databaseUrl: "postgres://postgres:postgres@host/db" }));

  expect(redact("database=postgres")).toBe("database=postgres");
  expect(redact("postgres://postgres:postgres@host/db")).toBe("[secret]");
});

test("an address with nothing to hide stays readable, one with a key in its path does not", () => {
  const redact = openRedactor(
    secretsOf({
      supabaseUrl: "https://abc.supabase.co",
      openaiBaseUrl: "https://host/hooks/T0123456789abcdef",
    }),
  );

  expect(redact("https://abc.supabase.co")).toBe("https://abc.supabase.co");
  expect(redact("https://host/hooks/T0123456789abcdef")).toBe("[secret]");
});

test("a very short secret is hidden where it stands alone, and words keep their letters", () => {
  const redact = openRedactor(["ob"]);

  expect(redact("ob")).toBe("[secret]");
  expect(redact("job")).toBe("job");
});

test("a secret that lies across the cut of a long text does not leave its first half", () => {
  const redact = openRedactor(["canary-canary"]);

  expect(redact(`${"x".repeat(3_995)}canary-canary${"x".repeat(9_000)}`)).not.toContain("cana");
});
