// Requests that nobody should send, made by fast-check: right ones with something wrong in them, and plain nonsense.
import fc from "fast-check";
import {
  about,
  bodies,
  bytes,
  filter,
  form,
  id,
  partly,
  SOME_ID,
  spoilt,
  text,
  value,
} from "./http-bodies.ts";

export type Asking = {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
};

/** Closed without a token, and nothing but POST. */
export const mutatingPaths = ["/search", "/embed", "/jobs/actions", "/documents", "/messages"];
/** Closed without a token, and only read. */
export const readPaths = [
  "/health",
  "/events",
  "/jobs",
  `/jobs/${SOME_ID}`,
  `/documents/${SOME_ID}`,
  `/documents/${SOME_ID}/chunks`,
];

const encoded = (name: string, said: string) =>
  `${encodeURIComponent(name)}=${encodeURIComponent(said.toWellFormed())}`;
const query = fc.oneof(
  fc.constant(""),
  text.map((said) => `?${encodeURIComponent(said.toWellFormed())}`),
  fc
    .tuple(
      fc.oneof(
        filter.map((one) => JSON.stringify(one)),
        text,
      ),
      fc.oneof(
        fc.constantFrom(
          "2026-01-01T00:00:00+00:00",
          "2026-99-99T99:99:99",
          "0000-00-00T00:00:00",
          "9999-12-31T23:59:59.9+99",
        ),
        text,
      ),
      id,
      fc.oneof(fc.nat(300).map(String), text),
    )
    .map(
      ([one, before, beforeId, limit]) =>
        `?${[encoded("filter", one), encoded("before", before), encoded("before_id", beforeId), encoded("limit", limit)].join("&")}`,
    ),
  filter.map((one) => `?${encoded("filter", JSON.stringify(one))}`),
  fc.tuple(text, text).map(([after, limit]) => `?${encoded("after", after)}&${encoded("limit", limit)}`),
  fc.constantFrom("?after=1", "?limit=200", "?filter=%", "?limit=1&limit=2", "?after=-1&limit=1e2", "?%00"),
);
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...readPaths) },
  { weight: 2, arbitrary: fc.constantFrom(...mutatingPaths) },
  fc.constantFrom(
    "/",
    "/live",
    "/ready",
    "/metrics",
    "/ws",
    "/dashboard/page.js",
    "/dashboard/..%2fassets.ts",
  ),
  fc.webPath(),
  text.map((said) => `/jobs/${encodeURIComponent(said.toWellFormed())}`),
  text.map((said) => `/${encodeURIComponent(said.toWellFormed())}`),
);
const method = fc.oneof(
  { weight: 5, arbitrary: fc.constant("GET") },
  fc.constantFrom("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"),
);
const types = fc.constantFrom(
  "application/json",
  "application/json; charset=utf-16",
  "text/plain",
  "application/pdf",
  "application/zip",
  "multipart/form-data; boundary=b",
  "multipart/form-data",
  "a",
);
const printable = fc.string({ unit: fc.constantFrom(...'abcXYZ019 -_.;=,/"*'), maxLength: 60 });
const strange = fc.dictionary(
  fc.constantFrom(
    "if-none-match",
    "accept",
    "range",
    "x-forwarded-for",
    "origin",
    "cookie",
    "accept-encoding",
  ),
  printable,
  { maxKeys: 3 },
);
const authorisation = (token: string) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant({ authorization: `Bearer ${token}` }) },
    fc.constant({}),
    printable.map((said) => ({ authorization: said.trim() })),
  );

/** A request; most have the token, for what is behind it is what can go wrong. */
export function anyRequest(token: string): fc.Arbitrary<Asking> {
  const reading = fc.tuple(path, query, method, types, strange, fc.oneof(text, bytes)).map(
    ([where, asked, how, type, headers, body]): Asking => ({
      path: where + asked,
      method: how,
      headers: { ...headers, "content-type": type },
      body,
    }),
  );
  const sending = fc.constantFrom(...mutatingPaths).chain((where) => {
    const right = bodies[where] ?? value;
    const json = fc.oneof({ weight: 3, arbitrary: right }, { weight: 2, arbitrary: spoilt(right) }, value);
    return json.map(
      (body): Asking => ({
        path: where,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body) ?? "",
      }),
    );
  });
  const uploading = fc.tuple(fc.oneof(form, bytes, text), types, partly(about)).map(
    ([body, type, fields]): Asking => ({
      path: `/documents?${Object.entries(fields)
        .map(([name, said]) => encoded(name, typeof said === "string" ? said : (JSON.stringify(said) ?? "")))
        .join("&")}`,
      method: "POST",
      headers: { "content-type": type },
      body,
    }),
  );
  return fc
    .tuple(
      fc.oneof({ weight: 4, arbitrary: reading }, { weight: 5, arbitrary: sending }, uploading),
      authorisation(token),
    )
    .map(([asking, allowed]) => ({ ...asking, headers: { ...asking.headers, ...allowed } }));
}
