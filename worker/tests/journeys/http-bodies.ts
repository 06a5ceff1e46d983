// What is sent over HTTP by somebody who means no good, made by fast-check: texts, values, filters, and the body that
// each POST expects, right or with something wrong in it.
import fc from "fast-check";

export const SOME_ID = "00000000-0000-4000-8000-000000000001";

// Texts that something on the way may take for more than text.
const nasty = fc.constantFrom(
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\uffff\u202e",
  "'; drop table rag_documents; --",
  '" or 1=1 --',
  "%' escape '",
  "$1 {} [] %s %n \\",
  "<script>alert(1)</script>",
  "../../../../etc/passwd",
  "file:///../../etc/passwd",
  "http://169.254.169.254/",
  "storage://bucket/\u0000",
  "__proto__",
  "constructor",
  "NaN",
  "-1",
  "1e400",
  "99999999999999999999",
  "infinity",
  "2024-13-45T99:99:99",
  "0000-00-00",
  "(((((((((",
  "a & | ! <-> b:*",
  "x".repeat(5_000),
);
export const text = fc.oneof(
  { weight: 2, arbitrary: nasty },
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string(),
);
export const id = fc.oneof(fc.uuid(), fc.constant(SOME_ID), fc.constant(SOME_ID.toUpperCase()), text);
export const value: fc.Arbitrary<unknown> = fc.oneof(
  text,
  id,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(text, { maxLength: 3 }),
  fc.dictionary(text, text, { maxKeys: 3 }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.constant(nested(200)),
);

function nested(depth: number): unknown {
  return depth === 0 ? [] : [nested(depth - 1)];
}

const status = fc.constantFrom("queued", "processing", "complete", "failed", "cancelled");
export const filter = fc.record(
  {
    job_ids: fc.array(id, { maxLength: 3 }),
    job_id_prefix: fc.oneof(
      fc.string({ unit: fc.constantFrom(..."0123456789abcdef-"), maxLength: 40 }),
      text,
    ),
    document_ids: fc.array(id, { maxLength: 3 }),
    status: fc.array(fc.oneof({ weight: 5, arbitrary: status }, text), { maxLength: 3 }),
    kind: fc.oneof(fc.constantFrom("document", "reembed", "relationships", "sync"), text),
    tenant_id: text,
    collection: text,
    error_code: text,
    worker_id: text,
    waits_for: fc.array(
      fc.constantFrom("slot", "time", "backoff", "document", "pause", "cap", "worker", "kind"),
    ),
    older_than_seconds: fc.oneof(fc.nat(), fc.double()),
    text,
  },
  { requiredKeys: [] },
);
export const about = {
  document_id: id,
  external_id: text,
  tenant_id: text,
  user_id: text,
  collection: text,
  title: text,
  version: text,
  media_type: fc.oneof(fc.constantFrom("text/plain", "application/pdf", "text/html"), text),
  tags: fc.oneof(fc.array(text, { maxLength: 4 }), text),
  metadata: fc.oneof(fc.dictionary(text, value, { maxKeys: 4 }), text),
  priority: fc.oneof(fc.integer({ min: -1, max: 10 }), text),
  max_attempts: fc.oneof(fc.integer({ min: 0, max: 101 }), text),
  run_at: fc.oneof(
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.constantFrom("infinity", "-infinity", "now", "tomorrow", "294277-01-01"),
    text,
  ),
  dedupe_key: text,
};
export const partly = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(fields, { requiredKeys: [] });

/** What each POST expects, more or less. */
export const bodies: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  "/search": fc
    .tuple(
      fc.record({ query: text }),
      partly({
        limit: fc.integer({ min: -1, max: 101 }),
        mode: fc.constantFrom("text", "vector", "hybrid", "other"),
        weight: fc.double(),
        filter: partly({
          tenant_id: text,
          collection: text,
          document_ids: fc.array(id, { maxLength: 3 }),
          tags: fc.array(text, { maxLength: 3 }),
          metadata: fc.dictionary(text, value, { maxKeys: 3 }),
        }),
      }),
    )
    .map(([asked, more]) => ({ ...asked, ...more })),
  "/embed": fc.record({ texts: fc.array(text, { maxLength: 4 }) }),
  "/jobs/actions": fc.oneof(
    partly({
      action: fc.constantFrom("retry", "cancel", "prioritise"),
      filter,
      count_only: fc.boolean(),
      at_most: fc.integer({ min: 0, max: 1001 }),
      priority: fc.integer({ min: -1, max: 10 }),
    }),
    partly({
      action: fc.constantFrom("pause", "resume"),
      scope: fc.constantFrom("kind", "tenant", "other"),
      name: text,
      reason: text,
    }),
  ),
  "/documents": fc.oneof(
    fc.tuple(fc.record({ content: text }), partly(about)).map(([asked, more]) => ({ ...asked, ...more })),
    fc.record({ content: text }),
    partly({ ...about, source_uri: fc.oneof(fc.constant("file:///a.txt"), text), content: text }),
  ),
  "/messages": fc
    .tuple(
      fc.record({
        subject: fc.constantFrom(
          "vector.index.request",
          "mcp.task.created",
          "mcp.page.updated",
          "relationship.analyze.request",
          "data.sync.request",
          "data.validate.request",
          "nobody.listens",
        ),
        message_id: text,
        timestamp: fc.oneof(fc.constant("2026-01-01T00:00:00Z"), text),
      }),
      fc.record({
        data: partly({
          entity_type: fc.oneof(fc.constant("task"), text),
          entity_id: text,
          title: text,
          content: text,
          metadata: fc.dictionary(text, value, { maxKeys: 3 }),
          tags: fc.array(text, { maxLength: 3 }),
          sync_type: fc.oneof(fc.constantFrom("full", "incremental", "validation"), text),
          entity_ids: fc.array(id, { maxLength: 3 }),
          context: fc.dictionary(text, value, { maxKeys: 2 }),
          tenant_id: text,
        }),
      }),
    )
    .map(([envelope, rest]) => ({ ...envelope, ...rest })),
};

/** One field of it has another value, or one more is there. */
export const spoilt = (body: fc.Arbitrary<unknown>) =>
  fc
    .tuple(body, text, value, fc.nat(20))
    .map(([whole, name, wrong, at]) =>
      typeof whole === "object" && whole !== null
        ? { ...whole, [Object.keys(whole)[at] ?? name]: wrong }
        : wrong,
    );

export const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => new Uint8Array(array));
export const form = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(...Object.keys(about), "other"), text), { maxLength: 5 }),
    text,
    text,
  )
  .map(([fields, name, content]) =>
    [
      ...fields.map(
        ([field, said]) => `--b\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${said}\r\n`,
      ),
      `--b\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n\r\n${content}\r\n--b--\r\n`,
    ].join(""),
  );
