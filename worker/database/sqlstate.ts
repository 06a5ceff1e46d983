// SQLSTATE, PostgREST code or network error -> Failure. One table for all three transports.
// The database's own message never becomes ours, except where our functions wrote it. The error itself does
// not travel on either: the drivers hang the statement, its parameters and whole rows on it.
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
  ["55000", "database.unreachable", "The database accepts no connections just now."],
  ["57P", "database.unreachable", "The database is restarting or closed the connection."],
  // Also 08P01: a pooler says so when its server connection died under a statement.
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
  const facts = factsOf(thrown);
  if (facts === null) return new Failure("database.rejected", { cause: thrown });
  if (noRoute.has(facts.code) && IPV6_ONLY_HOST.test(where.host ?? ""))
    return failing("database.unreachable", facts, IPV6_ADVICE);
  if (facts.code === "XX000" && facts.severity === "FATAL")
    return failing("database.unreachable", facts, POOLER_ADVICE);
  return failureFromFacts(facts);
}

/** What is known of an error, whichever transport brought it. */
export type ErrorFacts = {
  /** SQLSTATE, PostgREST code or network code. */
  readonly code: string;
  readonly message: string;
  readonly severity?: string | undefined;
  /** HTTP status, over RPC. */
  readonly status?: number;
};

export function failureFromFacts(facts: ErrorFacts): Failure {
  if (absences.has(facts.code) && /\bvector\b/.test(facts.message))
    return failing("database.no-pgvector", facts);
  const [, code, says] = verdicts.find(([prefix]) => facts.code.startsWith(prefix)) ?? [
    "",
    "database.rejected",
  ];
  const own = ownSentences.has(facts.code) && facts.message !== "" ? facts.message : undefined;
  return failing(code, facts, own ?? says);
}

/** Trouble that may be over in a moment; every function is idempotent, so the same call may be sent again. */
export function passesByItself(failure: Failure): boolean {
  return failure.code === "database.unreachable" || failure.code === "database.conflict";
}

/** The database's words about an error, for the log: without the values that some of them quote. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly code: string;

  constructor({ code, message }: ErrorFacts) {
    // Class 22 quotes the value it stumbled over. Details and hints, which may hold whole rows, are never kept.
    super(
      code.startsWith("22") && !ownSentences.has(code)
        ? "the message quotes a value and is left out"
        : message,
    );
    this.code = code;
  }
}

function failing(code: FailureCode, facts: ErrorFacts, says?: string): Failure {
  return new Failure(code, {
    says,
    cause: new SqlError(facts),
    facts: { sqlstate: facts.code, ...(facts.status === undefined ? {} : { status: facts.status }) },
  });
}

function factsOf(thrown: unknown): ErrorFacts | null {
  if (!(thrown instanceof Error) || !("code" in thrown) || typeof thrown.code !== "string") return null;
  const severity = "severity" in thrown && typeof thrown.severity === "string" ? thrown.severity : undefined;
  return { code: thrown.code, message: thrown.message, severity };
}
