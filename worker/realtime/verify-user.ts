// Who a token speaks for. The algorithm is ours to choose, not the token's: a shared secret checks HS256 alone, the
// published keys ES256 and RS256 alone, and nothing checks a token without a signature.
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from "jose";
import { Failure } from "../failure/failure.ts";

export type User = {
  /** The claim `sub`. A value, whatever it looks like: it is compared, and never part of a statement or a pattern. */
  readonly id: string;
  /** When the token ends, in milliseconds since 1970. */
  readonly expiresAt: number;
};

/** Throws `gateway.unauthorised`; `realtime.unreachable` when the keys cannot be fetched. Never quotes the token. */
export type VerifyUser = (token: string) => Promise<User>;

export type VerifyOptions = {
  readonly secret: string | null;
  /** SUPABASE_URL, whose published keys are used. */
  readonly url: string | null;
};

// Supabase's tokens of users say so; one for anything else is no user's.
const AUDIENCE = "authenticated";
const CLOCKS_DIFFER_S = 5;
const MOST_TOKEN_CHARS = 8192;
const MOST_USER_CHARS = 500;
const KEYS_MS = 5000;
const KEYS_KEPT_MS = 600_000;

/** Throws `config.invalid` when nothing could tell whose a token is. */
export function openVerifyUser({ secret, url }: VerifyOptions): VerifyUser {
  const shared = secret === null ? null : new TextEncoder().encode(secret);
  const published =
    url === null
      ? null
      : createRemoteJWKSet(new URL(`${url.replace(/\/+$/, "")}/auth/v1/.well-known/jwks.json`), {
          timeoutDuration: KEYS_MS,
          cacheMaxAge: KEYS_KEPT_MS,
        });
  if (shared === null && published === null)
    throw new Failure("config.invalid", {
      says: "The gateway needs SUPABASE_JWT_SECRET or SUPABASE_URL to know its users.",
    });
  const shape = {
    clockTolerance: CLOCKS_DIFFER_S,
    requiredClaims: ["exp", "sub"],
    audience: "authenticated",
  };

  const read = async (token: string) => {
    if (token.length > MOST_TOKEN_CHARS) throw unauthorised("too long");
    const { alg } = decodeProtectedHeader(token);
    if (alg === "HS256" && shared !== null)
      return (await jwtVerify(token, shared, { ...shape, algorithms: ["HS256"] })).payload;
    if ((alg === "ES256" || alg === "RS256") && published !== null)
      return (await jwtVerify(token, published, { ...shape, algorithms: ["ES256", "RS256"] })).payload;
    throw unauthorised("algorithm");
  };
  return async (token) => {
    try {
      const { sub = "", exp = 0, aud = AUDIENCE } = await read(token);
      if (![aud].flat().includes(AUDIENCE)) throw unauthorised("aud");
      if (sub === "" || sub.length > MOST_USER_CHARS) throw unauthorised("sub");
      return { id: sub, expiresAt: exp * 1000 };
    } catch (thrown) {
      if (thrown instanceof Failure) throw thrown;
      if (thrown instanceof errors.JWKSTimeout || isNetwork(thrown))
        throw new Failure("realtime.unreachable", {
          says: "The keys that users' tokens are signed with could not be fetched.",
        });
      throw unauthorised(thrown instanceof errors.JOSEError ? thrown.code : "unreadable");
    }
  };
}

const unauthorised = (reason: string) => new Failure("gateway.unauthorised", { facts: { reason } });

/** fetch says so with a TypeError; jose with its general error when the answer was not 200. */
const isNetwork = (thrown: unknown) =>
  (thrown instanceof TypeError && "cause" in thrown) ||
  (thrown instanceof errors.JOSEError && thrown.code === "ERR_JOSE_GENERIC");
