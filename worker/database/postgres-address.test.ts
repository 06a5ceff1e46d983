import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { readAddress } from "./postgres-address.ts";

test("a pooler string of the Supabase dashboard is read in full", () => {
  const address = readAddress(
    "postgresql://postgres.abcdef:p%40ss@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
  );

  expect(address).toMatchObject({
    host: "aws-0-eu-central-1.pooler.supabase.com",
    port: 6543,
    path: null,
    user: "postgres.abcdef",
    password: "p@ss",
    database: "postgres",
    tls: "prefer",
  });
});

test("what people read of an address holds neither user nor password", () => {
  expect(readAddress("postgres://secretuser:secretpass@h:1/d").describes).toBe("postgres h:1/d");
});

test.each([
  ["postgres://u@localhost/d", false],
  ["postgres://u@127.0.0.1/d", false],
  ["postgres://u@[::1]/d", false],
  ["postgres://u@db.example.com/d", "prefer"],
  ["postgres://u@h/d?sslmode=disable", false],
  ["postgres://u@h/d?sslmode=require", "require"],
  ["postgres://u@h/d?ssl=true", "require"],
  ["postgres://u@h/d?sslmode=verify-full", {}],
])("%s uses TLS %j", (url, tls) => {
  expect(readAddress(url).tls).toStrictEqual(tls);
});

test("verify-ca does not ask for the host name", () => {
  expect(readAddress("postgres://u@h/d?sslmode=verify-ca").tls).toHaveProperty("checkServerIdentity");
});

test("sslrootcert is read from its file", () => {
  const folder = mkdtempSync(join(tmpdir(), "rag-ca-"));
  writeFileSync(join(folder, "ca.crt"), "CERTIFICATE");

  expect(readAddress(`postgres://u@h/d?sslmode=verify-full&sslrootcert=${folder}/ca.crt`).tls).toStrictEqual({
    ca: "CERTIFICATE",
  });
  rmSync(folder, { recursive: true });
});

test.each([
  "postgres:///d?host=/var/run/postgresql",
  "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
])("%s is a UNIX socket", (url) => {
  expect(readAddress(url)).toMatchObject({
    path: "/var/run/postgresql/.s.PGSQL.5432",
    tls: false,
    database: "d",
  });
});

test.each([
  "postgres://u:p%ZZ@h/d",
  "not an address",
  "postgres://u@h/d?sslmode=perhaps",
  "postgres://u@h/d?sslrootcert=/no/such/file",
])("%s is a wrong setting, and is not repeated", (url) => {
  let thrown: unknown;
  try {
    readAddress(url);
  } catch (reason) {
    thrown = reason;
  }

  expect(thrown).toBeInstanceOf(Failure);
  expect(thrown).toMatchObject({ code: "config.invalid" });
  expect(String(thrown)).not.toContain(url);
});
