import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { failureFromSql, passesByItself } from "./sqlstate.ts";

const error = (code: string, message = "", more: object = {}) =>
  Object.assign(new Error(message), { code, ...more });

test.each([
  ["28P01", "database.denied"],
  ["3D000", "database.denied"],
  ["42501", "database.denied"],
  ["42883", "database.not-migrated"],
  ["42P01", "database.not-migrated"],
  ["42703", "database.not-migrated"],
  ["PGRST202", "database.not-migrated"],
  ["57014", "database.timeout"],
  ["55P03", "database.timeout"],
  ["25P03", "database.timeout"],
  ["57P01", "database.unreachable"],
  ["57P03", "database.unreachable"],
  ["08006", "database.unreachable"],
  ["08P01", "database.unreachable"],
  ["53300", "database.unreachable"],
  ["53100", "database.unreachable"],
  ["25006", "database.unreachable"],
  ["PGRST000", "database.unreachable"],
  ["PGRST301", "database.denied"],
  ["PGRST203", "database.rejected"],
  ["ECONNREFUSED", "database.unreachable"],
  ["ECONNRESET", "database.unreachable"],
  ["CONNECTION_CLOSED", "database.unreachable"],
  ["CONNECT_TIMEOUT", "database.unreachable"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "database.denied"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "database.denied"],
  ["40001", "database.conflict"],
  ["40P01", "database.conflict"],
  ["23505", "database.rejected"],
  ["XX000", "database.rejected"],
  ["42704", "database.rejected"],
])("%s is %s", (code, failureCode) => {
  expect(failureFromSql(error(code)).code).toBe(failureCode);
});

test.each([
  ["42704", 'type "vector" does not exist'],
  ["42704", 'type "extensions.vector" does not exist'],
  ["0A000", 'extension "vector" is not available'],
  ["58P01", 'could not open extension control file "/usr/share/vector.control"'],
])("a server without the vector extension is named as such (%s %s)", (code, message) => {
  expect(failureFromSql(error(code, message)).code).toBe("database.no-pgvector");
});

test.each([
  "ENOTFOUND",
  "ENETUNREACH",
])("%s on a project's direct host points to the session pooler", (code) => {
  const failure = failureFromSql(error(code), { host: "db.abcdefghijkl.supabase.co" });

  expect(failure.message).toContain("session pooler string");
});

test("the same error on another host does not", () => {
  expect(failureFromSql(error("ENOTFOUND"), { host: "db.example.com" }).message).not.toContain("pooler");
});

test("a pooler that hangs up with a fatal internal error gets advice and another try", () => {
  const failure = failureFromSql(error("XX000", "Tenant or user not found", { severity: "FATAL" }));

  expect(failure.message).toContain("postgres.<project ref>");
  expect(passesByItself(failure)).toBe(true);
});

test("nothing that a driver hangs on its error travels on", () => {
  const thrown = error("23505", 'duplicate key value violates unique constraint "x"', {
    detail: "Key (content)=(secret text) already exists.",
    parameters: ["secret text"],
    query: "insert … secret text",
  });

  const failure = failureFromSql(thrown);

  expect(JSON.stringify([failure, failure.message, failure.cause, String(failure.cause)])).not.toContain(
    "secret",
  );
  expect(failure.cause).not.toHaveProperty("detail");
});

test("a message that quotes a value is left out", () => {
  const failure = failureFromSql(error("22P02", 'invalid input syntax for type uuid: "secret text"'));

  expect(String(failure.cause)).not.toContain("secret");
});

test("a Failure stays what it is", () => {
  const failure = new Failure("worker.stopping");

  expect(failureFromSql(failure)).toBe(failure);
});

test.each([
  new Error("no code"),
  "a text",
  undefined,
])("what has no code is rejected, with its cause (%s)", (thrown) => {
  const failure = failureFromSql(thrown);

  expect([failure.code, failure.cause]).toStrictEqual(["database.rejected", thrown]);
});
