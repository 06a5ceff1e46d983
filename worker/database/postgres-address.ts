// DATABASE_URL taken apart. The library would send every unknown query parameter of the address to the
// server as a start-up option, which poolers refuse, and fill gaps from PG* variables: so nothing of the
// address reaches it except what is named here.
import { readFileSync } from "node:fs";
import { Failure } from "../failure/failure.ts";

export type PostgresAddress = {
  readonly host: string;
  readonly port: number;
  /** UNIX socket instead of host and port. */
  readonly path: string | null;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** `prefer`: TLS when the server has it. An object: verified, with these tls.connect options. */
  readonly tls:
    | false
    | "prefer"
    | "require"
    | { readonly ca?: string; readonly checkServerIdentity?: () => undefined };
  /** For people, without credentials. */
  readonly describes: string;
};

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…&host=/socket/folder`.
 * Other parameters (`pgbouncer=true`, `connection_limit` and the like) are left alone.
 * Throws `config.invalid` without repeating the address.
 */
export function readAddress(text: string): PostgresAddress {
  try {
    return read(new URL(text));
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    throw new Failure("config.invalid", {
      says: "DATABASE_URL cannot be read. Percent-encode special characters of the password.",
    });
  }
}

function read(url: URL): PostgresAddress {
  const folder = [url.searchParams.get("host"), decodeURIComponent(url.hostname)].find((host) =>
    host?.startsWith("/"),
  );
  const host = url.hostname === "" ? "localhost" : url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? 5432 : Number(url.port);
  const user = decodeURIComponent(url.username) || "postgres";
  const database = decodeURIComponent(url.pathname.slice(1)) || user;
  return {
    host,
    port,
    path: folder === undefined || folder === null ? null : `${folder}/.s.PGSQL.${port}`,
    user,
    password: decodeURIComponent(url.password),
    database,
    tls: folder ? false : tlsOf(url.searchParams, host),
    describes: `postgres ${folder ?? host}:${port}/${database}`,
  };
}

function tlsOf(parameters: URLSearchParams, host: string): PostgresAddress["tls"] {
  const mode = parameters.get("sslmode") ?? parameters.get("ssl") ?? "";
  const ca = authorityOf(parameters.get("sslrootcert"));
  switch (mode) {
    case "disable":
    case "false":
      return false;
    case "":
      return LOOPBACK.test(host) ? false : "prefer";
    case "allow":
    case "prefer":
      return "prefer";
    case "require":
    case "no-verify":
    case "true":
      return "require";
    case "verify-ca":
      return { ...ca, checkServerIdentity: () => undefined };
    case "verify-full":
      return ca;
    default:
      throw new Failure("config.invalid", {
        says: "DATABASE_URL: sslmode must be disable, prefer, require, verify-ca or verify-full.",
      });
  }
}

function authorityOf(path: string | null): { readonly ca?: string } {
  if (path === null || path === "system") return {};
  try {
    return { ca: readFileSync(path, "utf8") };
  } catch (thrown) {
    throw new Failure("config.invalid", {
      says: `DATABASE_URL: sslrootcert ${path} cannot be read.`,
      cause: thrown,
    });
  }
}
