// What may be said of a document beside its content: as JSON, as fields of a form, or in the query of an address.
import { z } from "zod";
import { sanitise, sanitiseJson } from "../document/sanitise.ts";

const text = (most: number) => z.string().min(1).max(most).transform(sanitise);
const tags = z.union([
  z.array(text(200)).max(100),
  z.string().transform((list) =>
    list
      .split(",")
      .map((tag) => sanitise(tag.trim()))
      .filter(Boolean),
  ),
]);
const metadata = z
  .union([
    z.record(z.string(), z.unknown()),
    z
      .string()
      .transform((value, context) => {
        try {
          return JSON.parse(value) as unknown;
        } catch {
          context.addIssue("not JSON");
          return z.NEVER;
        }
      })
      .pipe(z.record(z.string(), z.unknown())),
  ])
  // SAFETY: a record stays one.
  .transform((given) => sanitiseJson(given) as Record<string, unknown>);

const fields = {
  document_id: z.uuid(),
  external_id: text(500),
  tenant_id: text(500),
  user_id: text(500),
  collection: text(200),
  title: text(2000),
  version: text(200),
  media_type: text(200),
  tags,
  metadata,
  priority: z.coerce.number().int().min(0).max(9),
  max_attempts: z.coerce.number().int().min(1).max(100),
  run_at: z.string().max(64),
  dedupe_key: text(200),
};

/** Of a form or a query. */
export const uploadFields = z.strictObject(fields).partial();
export type UploadFields = z.infer<typeof uploadFields>;

/** Of a JSON body: where the document is, or what it says. */
export const documentBody = z
  .strictObject({
    ...fields,
    source_uri: text(4000).refine((uri) => /^(storage:\/\/|file:\/\/\/)/.test(uri), {
      message: "must start with storage:// or file:///",
    }),
    content: z.string().transform(sanitise),
    traceparent: text(100),
  })
  .partial()
  .refine(({ source_uri, content }) => (source_uri === undefined) !== (content === undefined), {
    message: "needs a source_uri or a content, and not both",
  });
