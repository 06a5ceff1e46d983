import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { enqueueFile, type Intake, type Labels } from "./enqueue-file.ts";

const never = new AbortController().signal;
const unlabelled: Labels = { tenant: null, collection: null, tags: null, title: null, priority: 0 };

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "enqueue-file-")));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Records what the database is asked; answers as its functions do. */
function recorder(created = true) {
  const asked: [string, Record<string, unknown>][] = [];
  const call: SqlCall = async (name, args) => {
    asked.push([name, (args.p_request as Record<string, unknown> | undefined) ?? args]);
    if (name === "rag_upsert_document")
      return { document_id: "d1", created, live_generation: created ? null : 3 };
    return name === "rag_enqueue" ? { job_id: "j1", document_id: "d1", state: "queued" } : 1;
  };
  return { asked, call };
}

function intake(call: SqlCall, settings: Partial<Intake["config"]> = {}, labels = unlabelled): Intake {
  const config = {
    documentRoot: null,
    maxFileMb: 1,
    maxAttempts: 5,
    storageBucket: null,
    supabaseUrl: null,
    supabaseKey: null,
    ...settings,
  };
  return { call, config, labels };
}

async function file(name: string, bytes: string | Uint8Array = "words") {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, bytes);
  return { kind: "file", path, byteSize: bytes.length, modifiedUs: 0 } as const;
}

test("a file anywhere travels with its bytes, and gets its name for a title", async () => {
  const { asked, call } = recorder();
  const given = await file("50% off.md");

  const enqueued = await enqueueFile(given, intake(call), never);

  expect(enqueued).toMatchObject({ jobId: "j1", documentId: "d1", wasLive: false });
  expect(asked.map(([name]) => name)).toEqual(["rag_upsert_document", "rag_store_original", "rag_enqueue"]);
  expect(asked[0]?.[1]).toEqual({ source_uri: `inline:${folder}/50%25 off.md`, byte_size: 5 });
  expect(asked[2]?.[1]).toEqual({ document_id: "d1", priority: 0, max_attempts: 5, title: "50% off.md" });
});

test("a file below the document root is taken by reference, and its bytes stay where they are", async () => {
  const { asked, call } = recorder();
  const given = await file("root/deep/rules 1.md");

  await enqueueFile(given, intake(call, { documentRoot: join(folder, "root") }), never);

  expect(asked.map(([name]) => name)).toEqual(["rag_upsert_document", "rag_enqueue"]);
  expect(asked[0]?.[1].source_uri).toBe("file:///deep/rules%201.md");
});

test("a folder whose name only starts like the root is not below it", async () => {
  const { asked, call } = recorder();
  await mkdir(join(folder, "root"));
  const given = await file("root-of-evil/x.md");

  await enqueueFile(given, intake(call, { documentRoot: join(folder, "root") }), never);

  expect(asked[0]?.[1].source_uri).toMatch(/^inline:/);
});

test("what nobody said is not sent, so that what is stored stays; what was said is", async () => {
  const { asked, call } = recorder(false);
  const labels = { tenant: "acme", collection: "hr", tags: ["a"], title: "Rules", priority: 7 };

  const known = await enqueueFile(await file("x.md"), intake(call), never);
  await enqueueFile(await file("x.md"), intake(call, {}, labels), never);

  expect(known.wasLive).toBe(true);
  expect(asked[2]?.[1]).toEqual({ document_id: "d1", priority: 0, max_attempts: 5 });
  expect(asked[3]?.[1]).toMatchObject({ tenant_id: "acme", collection: "hr", tags: ["a"] });
  expect(asked[5]?.[1]).toMatchObject({ title: "Rules", priority: 7 });
});

test("a file above the limit is refused before the database hears of it", async () => {
  const { asked, call } = recorder();
  const given = await file("large.bin", new Uint8Array(1024 * 1024 + 1));

  await expect(enqueueFile(given, intake(call), never)).rejects.toMatchObject({ code: "source.too-large" });
  expect(asked).toEqual([]);
});

test("a stop between storing and enqueueing leaves no job behind", async () => {
  const { asked, call } = recorder();
  const stop = new AbortController();
  const stopping: SqlCall = async (name, args) => {
    if (name === "rag_store_original") stop.abort(new Error("stop"));
    return await call(name, args);
  };

  await expect(enqueueFile(await file("x.md"), intake(stopping), stop.signal)).rejects.toThrow("stop");
  expect(asked.map(([name]) => name)).not.toContain("rag_enqueue");
});
