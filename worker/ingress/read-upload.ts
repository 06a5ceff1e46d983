// The bytes of an uploaded file and what is said of it, out of a form or a raw body, as they come. They land in a
// private temporary file, counted and hashed, so that a connection that breaks leaves nothing behind.
import type { IncomingMessage } from "node:http";
import { basename } from "node:path";
import { finished } from "node:stream/promises";
import { Busboy } from "@fastify/busboy";
import type { Original } from "../document/document.ts";
import { mediaTypeOf } from "../document/http-answer.ts";
import { sanitise } from "../document/sanitise.ts";
import { Failure } from "../failure/failure.ts";
import { type CopyLimits, copyToTemporary } from "../sources/temporary-copy.ts";

export type Upload = {
  readonly original: Original;
  readonly fields: Readonly<Record<string, string>>;
};

const MOST_FIELDS = 30;
const MOST_FIELD_BYTES = 64 * 1024;
const MOST_NAME_CHARS = 200;

/**
 * Throws `ingress.malformed` for a form that is none, `source.too-large`, `source.no-space`, and the signal's reason.
 * Whoever holds the original disposes of it.
 */
export async function readUpload(
  request: IncomingMessage,
  limits: CopyLimits,
  signal: AbortSignal,
): Promise<Upload> {
  if (mediaTypeOf(request) === "multipart/form-data") return await readForm(request, limits, signal);
  const fields = Object.fromEntries(new URL(request.url ?? "/", "http://localhost").searchParams);
  const { name = "", ...rest } = fields;
  const declared = mediaTypeOf(request);
  const about = { name: nameOf(name), declaredMediaType: declared === "" ? null : declared };
  const bytes = request.iterator({ destroyOnReturn: false });
  return { original: await copyToTemporary(bytes, about, limits, signal), fields: rest };
}

async function readForm(request: IncomingMessage, limits: CopyLimits, signal: AbortSignal): Promise<Upload> {
  const fields: Record<string, string> = {};
  const originals: Promise<Original>[] = [];
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const form = openForm(request);
  const refuse = (says: string) => stop.abort(malformed(says));
  form.on("field", (name, value, nameCut, valueCut) => {
    if (nameCut || valueCut) refuse("A field of the form is too long.");
    fields[name] = value;
  });
  form.on("file", (_field, file, name, _encoding, type) => {
    const about = { name: nameOf(name), declaredMediaType: type === "" ? null : type };
    const copying = copyToTemporary(file, about, limits, both);
    copying.catch((thrown: unknown) => {
      stop.abort(thrown);
      file.resume();
    });
    originals.push(copying);
  });
  form.on("partsLimit", () => refuse("The form has too many parts."));
  form.on("fieldsLimit", () => refuse("The form has too many fields."));
  form.on("filesLimit", () => refuse("A form carries one file."));
  const stopped = Promise.withResolvers<never>();
  both.addEventListener("abort", () => stopped.reject(both.reason), { once: true });
  try {
    // A connection that breaks ends the form, which then never finishes by itself.
    request.once("aborted", () => refuse("The form ends too early."));
    request.pipe(form);
    await Promise.race([finished(form), stopped.promise]);
    const [original] = await Promise.all(originals);
    if (original === undefined) throw malformed("The form carries no file.");
    return { original, fields };
  } catch (thrown) {
    request.unpipe(form);
    stop.abort(thrown);
    for (const one of await Promise.allSettled(originals))
      if (one.status === "fulfilled") await one.value.dispose();
    signal.throwIfAborted();
    throw stop.signal.reason instanceof Failure ? stop.signal.reason : malformed("The form cannot be read.");
  }
}

function openForm(request: IncomingMessage): InstanceType<typeof Busboy> {
  const { "content-type": type } = request.headers;
  try {
    return new Busboy({
      headers: { ...request.headers, "content-type": type ?? "" },
      limits: {
        fields: MOST_FIELDS,
        parts: MOST_FIELDS + 1,
        files: 1,
        fieldSize: MOST_FIELD_BYTES,
        fieldNameSize: 100,
        headerPairs: 20,
      },
    });
  } catch {
    throw malformed("The form says no boundary.");
  }
}

/** Only a name: nobody's folders. */
function nameOf(given: string): string {
  const name = sanitise(basename(given.replaceAll("\\", "/"))).slice(-MOST_NAME_CHARS);
  return name === "" || name === "." || name === ".." ? "upload" : name;
}

const malformed = (says: string) => new Failure("ingress.malformed", { says });
