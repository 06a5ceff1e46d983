// What Supabase Storage means by its errors. It answers HTTP 400 to nearly everything, overload and
// missing objects alike: the code in the body decides, then the status in the body, then HTTP's own.
// Never the message, which names the object.
import { z } from "zod";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";

const codes: Readonly<Record<string, FailureCode>> = {
  NoSuchKey: "source.not-found",
  InvalidKey: "source.not-found",
  NoSuchBucket: "source.denied",
  InvalidBucketName: "source.not-found",
  InvalidJWT: "source.denied",
  AccessDenied: "source.denied",
  InvalidSignature: "source.denied",
  TenantNotFound: "source.denied",
  EntityTooLarge: "source.too-large",
  InvalidMimeType: "source.unsupported",
};

const sentences: Readonly<Record<string, string>> = {
  InvalidKey:
    "The file's name in Storage has characters that Supabase Storage does not allow (only ASCII letters, digits and simple signs). Rename it and upload it again.",
  InvalidBucketName: "The document's address names a bucket that cannot exist. Correct its address.",
  EntityTooLarge:
    "The file is larger than the Storage bucket accepts. Split it, or raise the bucket's limit.",
  InvalidMimeType:
    "The Storage bucket does not accept files of this type. Allow it in the bucket's settings.",
};

// The error of storage-js: `status` is HTTP's, `statusCode` the body's (or its code, or HTTP's again).
const storageError = z.object({
  status: z.number().optional(),
  statusCode: z.string().optional(),
  code: z.string().optional(),
  originalError: z.unknown().optional(),
});

/** Turns what a Storage call gave or threw into a Failure (`source.*`); a Failure stays what it is. */
export function storageFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const parsed = storageError.safeParse(thrown);
  if (!parsed.success) return new Failure("source.unreachable", { cause: thrown });
  const { status, statusCode, code, originalError } = parsed.data;
  // Our own reason for giving up comes back wrapped.
  if (originalError instanceof Failure) return originalError;
  const facts = { status, storageStatus: statusCode, storageCode: code };
  const known = code === undefined ? undefined : codes[code];
  if (code !== undefined && known !== undefined)
    return new Failure(known, { cause: thrown, facts, says: sentences[code] });
  if (status === 404 && code === undefined)
    return new Failure("source.denied", {
      cause: thrown,
      facts,
      says: "SUPABASE_URL leads to no Storage API.",
    });
  return new Failure(byStatus(Number(statusCode), status), { cause: thrown, facts });
}

function byStatus(inBody: number, http: number | undefined): FailureCode {
  const status = Number.isInteger(inBody) ? inBody : (http ?? 0);
  if (status === 404) return "source.not-found"; // older servers send no code
  if (status === 401 || status === 403) return "source.denied";
  if (status === 413) return "source.too-large";
  return "source.unreachable";
}
