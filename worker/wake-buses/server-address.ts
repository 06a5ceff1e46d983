// REDIS_URL and NATS_URL taken apart here and not by the libraries: one of them knows no credentials in an
// address, and the other repeats in its error what it could not read.
import { Failure } from "../failure/failure.ts";

export type ServerAddress = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls: boolean;
};

const DEFAULT_PORTS: Readonly<Record<string, number>> = { REDIS_URL: 6379, NATS_URL: 4222 };
const TLS_SCHEMES = new Set(["rediss:", "tls:"]);

/** `scheme://user:password@host:port`. Throws `config.invalid` without repeating the address. */
export function readServerAddress(setting: "REDIS_URL" | "NATS_URL", text: string): ServerAddress {
  try {
    const url = new URL(text);
    return {
      host: url.hostname === "" ? "localhost" : url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? (DEFAULT_PORTS[setting] ?? 0) : Number(url.port),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      tls: TLS_SCHEMES.has(url.protocol),
    };
  } catch {
    throw new Failure("config.invalid", {
      says: `${setting} cannot be read. Percent-encode special characters of the password.`,
    });
  }
}
