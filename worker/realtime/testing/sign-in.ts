// Tokens of test users, as a Supabase project with a shared secret makes them.
import { SignJWT } from "jose";

export const SECRET = "a-secret-of-at-least-thirty-two-bytes!!";

/** `seconds` from now until it ends. */
export const signIn = (user: string, seconds = 3600): Promise<string> =>
  new SignJWT({ sub: user, aud: "authenticated", role: "authenticated" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));
