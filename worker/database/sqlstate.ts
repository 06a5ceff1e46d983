// SQLSTATE, PostgREST code or network error -> Failure. One table for all three transports.
// The database's own message is never repeated (it may quote document text), except where our functions
// wrote it; it stays in the cause for the log's stack.
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";

type Verdict = readonly [code: FailureCode, says?: string];

// Ordered: the first prefix that fits decides. PostgREST's own codes stand beside SQLSTATEs.
const verdicts: readonly (readonly [prefix: string, ...Verdict])[] = [
  ["40", "database.conflict"],
  ["28", "database.denied", "The database refused the user name or password."],
  ["42501", "database.denied"],
  ["3D000", "database.denied", "There is no database of that name on this server."],
  ["42883", "database.not-migrated"],
  ["42P01", "database.not-migrated"],
  ["42703", "database.not-migrated"],
  ["3F000", "database.not-migrated"],
  ["57014", "database.timeout"],
  ["55P03", "database.timeout"],
  ["25P0", "database.timeout"],
  ["57P", "database.unreachable", "The database is restarting or closed the connection."],
  [
    "08P01",
    "database.rejected",
    "The server or a pooler in front of it did not accept the protocol we speak.",
  ],
  ["08", "database.unreachable"],
  ["53300", "database.unreachable", "The database has no free connection."],
  ["53100", "database.unreachable", "The database's disk is full."],
  ["53", "database.unreachable", "The database is short of memory or disk."],
  ["25006", "database.unreachable", "The database accepts no writes just now (read-only)."],
  ["P0001", "database.rejected"],

  ["PGRST202", "database.not-migrated"],
  ["PGRST205", "database.not-migrated"],
  ["PGRST106", "database.not-migrated", "The API does not expose the schema public."],
  ["PGRST3", "database.denied"],
  ["PGRST0", "database.unreachable", "The API lost its connection to the database."],

  ["CONNECT_TIMEOUT", "database.unreachable", "The database did not answer in time."],
  ["CONNECTION_", "database.unreachable"],
  ["SASL_SIGNATURE_MISMATCH", "database.denied", "The server could not prove that it knows the password."],
  ["ECONNREFUSED", "database.unreachable", "Nothing listens at the database's address."],
  ["ENOTFOUND", "database.unreachable", "The database's host name is unknown."],
  ["EAI_AGAIN", "database.unreachable", "The database's host name could not be looked up."],
  ["ENETUNREACH", "database.unreachable", "There is no route to the database's address."],
  ["EHOSTUNREACH", "database.unreachable", "There is no route to the database's address."],
  ["ECONN", "database.unreachable"],
  ["ETIMEDOUT", "database.unreachable", "The database did not answer in time."],
  ["EPIPE", "database.unreachable"],
  ["ENOENT", "database.unreachable", "The database's socket file does not exist."],
  ["EACCES", "database.denied", "This user may not open the database's socket file."],
  ["ERR_SSL", "database.unreachable", "The server does not speak TLS as sslmode asks."],
  ["ERR_TLS", "database.denied", "The server's certificate is not for this host name (sslmode=verify-full)."],
  [
    "SELF_SIGNED",
    "database.denied",
    "The server's certificate is not trusted; give its CA with sslrootcert.",
  ],
  [
    "DEPTH_ZERO_SELF",
    "database.denied",
    "The server's certificate is not trusted; give its CA with sslrootcert.",
  ],
  ["UNABLE_TO_", "database.denied", "The server's certificate is not trusted; give its CA with sslrootcert."],
];

/** Codes under which a server says that an extension, or a type of it, is not there. */
const absences = new Set(["42704", "0A000", "58P01"]);

/** What our own functions raise about a request: their sentence is ours and holds no document text. */
const ownSentences = new Set(["P0001", "P0002", "22023"]);

// A project's direct address has only IPv6; most platforms that run containers have none.
const IPV6_ONLY_HOST = /^db\.[a-z0-9]+\.supabase\.(co|in|red)$/;
const IPV6_ADVICE =
  "The project's direct address is reachable over IPv6 only: use the session pooler string (Connect > Session pooler).";
const noRoute = new Set([
  "ENOTFOUND",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "CONNECT_TIMEOUT",
]);

// Supavisor reports an unknown tenant and a full pool with the same code, as FATAL: only advice can tell.
const POOLER_ADVICE =
  "The pooler closed the connection: either its client limit is reached, or the user name is not postgres.<project ref>.";

/** Turns whatever a transport threw into a Failure of the `database.*` family. */
export function failureFromSql(thrown: unknown, where: { readonly host?: string | null } = {}): Failure {
  if (thrown instanceof Failure) return thrown;
  const error = factsOf(thrown);
  if (error === null) return new Failure("database.rejected", { cause: thrown });
  const facts = { sqlstate: error.code };
  if (absences.has(error.code) && /\bvector\b/.test(error.message))
    return new Failure("database.no-pgvector", { cause: thrown, facts });
  if (noRoute.has(error.code) && IPV6_ONLY_HOST.test(where.host ?? ""))
    return new Failure("database.unreachable", { cause: thrown, facts, says: IPV6_ADVICE });
  if (error.code === "XX000" && error.severity === "FATAL")
    return new Failure("database.unreachable", { cause: thrown, facts, says: POOLER_ADVICE });
  const own = ownSentences.has(error.code) && error.message !== "" ? error.message : undefined;
  return failureFromCode(error.code, { cause: thrown, says: own });
}

/** The same for a bare code, for transports that answer errors instead of throwing them. */
export function failureFromCode(
  code: string,
  options: { readonly cause?: unknown; readonly says?: string | undefined; readonly status?: number } = {},
): Failure {
  const [, failureCode, says] = verdicts.find(([prefix]) => code.startsWith(prefix)) ?? [
    code,
    "database.rejected" as const,
  ];
  return new Failure(failureCode, {
    cause: options.cause,
    says: options.says ?? says,
    facts: { sqlstate: code, status: options.status },
  });
}

/** Trouble that may be over in a moment; every function is idempotent, so the same call may be sent again. */
export function passesByItself(failure: Failure): boolean {
  return failure.code === "database.unreachable" || failure.code === "database.conflict";
}

function factsOf(thrown: unknown): { code: string; message: string; severity: string | null } | null {
  if (!(thrown instanceof Error) || !("code" in thrown) || typeof thrown.code !== "string") return null;
  const severity = "severity" in thrown && typeof thrown.severity === "string" ? thrown.severity : null;
  return { code: thrown.code, message: thrown.message, severity };
}
