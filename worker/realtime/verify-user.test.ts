// Tokens as Supabase makes them, and as somebody makes them who would like to be somebody else.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openVerifyUser } from "./verify-user.ts";

const SECRET = "a-secret-of-at-least-thirty-two-bytes!!";
let server: Server;
let url: string;
let asked = 0;
let isAway = false;
let keys: Record<"es256" | "rs256" | "stranger", CryptoKey>;
let published: string;

beforeAll(async () => {
  const [es, rs, stranger] = await Promise.all([
    generateKeyPair("ES256"),
    generateKeyPair("RS256"),
    generateKeyPair("ES256"),
  ]);
  keys = { es256: es.privateKey, rs256: rs.privateKey, stranger: stranger.privateKey };
  published = JSON.stringify({
    keys: [
      { ...(await exportJWK(es.publicKey)), kid: "es", alg: "ES256", use: "sig" },
      { ...(await exportJWK(rs.publicKey)), kid: "rs", alg: "RS256", use: "sig" },
    ],
  });
  server = createServer((request, response) => {
    asked += 1;
    const found = !isAway && request.url === "/auth/v1/.well-known/jwks.json";
    response.writeHead(found ? 200 : 503, { "content-type": "application/json" });
    response.end(found ? published : "{}");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // SAFETY: it listens on a port.
});
afterAll(() => server.close());

const claims = { sub: "ann", aud: "authenticated", role: "authenticated" };
const shared = (payload: JWTPayload = claims, expires: string | number = "1h", secret = SECRET) =>
  new SignJWT(payload)
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(secret));
const signed = (alg: "ES256" | "RS256", kid: string, key: CryptoKey, payload: JWTPayload = claims) =>
  new SignJWT(payload).setProtectedHeader({ alg, kid }).setExpirationTime("1h").sign(key);
const verify = (token: string) => openVerifyUser({ secret: SECRET, url })(token);

test("a user is known by the shared secret, with the end of his token", async () => {
  const user = await verify(await shared());

  expect(user.id).toBe("ann");
  expect(user.expiresAt).toBeGreaterThan(Date.now() + 3_500_000);
});

test("a user is known by the project's keys, which are fetched once", async () => {
  const verifyOne = openVerifyUser({ secret: null, url });
  const before = asked;

  const users = [
    await verifyOne(await signed("ES256", "es", keys.es256)),
    await verifyOne(await signed("RS256", "rs", keys.rs256)),
  ];

  expect(users.map(({ id }) => id)).toEqual(["ann", "ann"]);
  expect(asked - before).toBe(1);
});

test("a user id that is SQL, or anything else, is that user's id", async () => {
  const sub = "' or 1=1; --";
  expect((await verify(await shared({ ...claims, sub }))).id).toBe(sub);
});

const bad: readonly (readonly [string, () => string | Promise<string>])[] = [
  ["expired", () => shared(claims, Math.floor(Date.now() / 1000) - 60)],
  ["unsigned", () => new UnsecuredJWT(claims).setExpirationTime("1h").encode()],
  ["signed with another secret", () => shared(claims, "1h", "another-secret-of-thirty-two-bytes!!!")],
  ["signed with a key that is not published", () => signed("ES256", "es", keys.stranger)],
  ["of a key that nobody knows", () => signed("ES256", "who", keys.stranger)],
  ["signed by HMAC with the published key", () => shared(claims, "1h", published)],
  ["without a user", () => shared({ aud: "authenticated" })],
  ["of an empty user", () => shared({ ...claims, sub: "" })],
  ["for somebody else than users", () => shared({ ...claims, aud: "machines" })],
  [
    "without an end",
    () => new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET)),
  ],
  ["changed after it was signed", async () => (await shared()).replace(/\.[^.]+\./, ".eyJzdWIiOiJiZW4ifQ.")],
  ["no token", () => "…"],
  ["far too long", () => "a".repeat(100_000)],
];
test.each(bad)("a token that is %s is refused, and not quoted", async (_, make) => {
  const token = await make();
  const refused: unknown = await verify(token).catch((thrown: unknown) => thrown);

  expect(refused).toMatchObject({ code: "gateway.unauthorised" });
  expect(JSON.stringify(refused) + String(refused)).not.toContain(token);
});

test("with keys alone a shared secret proves nothing, and the other way round", async () => {
  await expect(openVerifyUser({ secret: null, url })(await shared())).rejects.toMatchObject({
    code: "gateway.unauthorised",
  });
  const byKey = await signed("ES256", "es", keys.es256);
  await expect(openVerifyUser({ secret: SECRET, url: null })(byKey)).rejects.toMatchObject({
    code: "gateway.unauthorised",
  });
});

test("keys that cannot be fetched are no verdict about the user", async () => {
  isAway = true;
  try {
    const token = await signed("ES256", "es", keys.es256);
    await expect(openVerifyUser({ secret: null, url })(token)).rejects.toMatchObject({
      code: "realtime.unreachable",
    });
  } finally {
    isAway = false;
  }
});

test("without secret and project there is nobody to ask", () => {
  expect(() => openVerifyUser({ secret: null, url: null })).toThrow(/SUPABASE_JWT_SECRET/);
});
