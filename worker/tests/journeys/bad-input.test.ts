// Bad input through the whole worker: each ends at once under its own code with a sentence that says what to
// do, or is taken in clean where that is right; everything beside it goes on.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openParts, type Parts } from "../../assemble.ts";
import { readConfig } from "../../config/config.ts";
import { openLog } from "../../log/log.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";

let folder: string;
let parts: Parts;
let embedding: EmbeddingServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-bad-input-"));
  embedding = await startEmbeddingServer({ dimensions: 8 });
  const config = readConfig({
    RAG_EMBEDDED_DIR: join(folder, ".rag"),
    RAG_DOCUMENT_ROOT: folder,
    OPENAI_BASE_URL: embedding.baseUrl,
    OPENAI_API_KEY: "sk-test",
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
  });
  parts = await openParts(config, openLog({ level: "silent", terminal: false, secrets: [] }));
});
afterAll(async () => {
  await parts.close();
  await embedding.close();
  await rm(folder, { recursive: true });
});

const file = async (name: string, bytes: string | Uint8Array) => {
  await writeFile(join(folder, name), bytes);
  return { source_uri: `file:///${encodeURIComponent(name)}` };
};

/** Enqueues all of them with a good one on either side, works until the queue is empty, answers the jobs. */
async function workOn(...requests: readonly Record<string, unknown>[]) {
  const good = (name: string) => ({
    external_id: name,
    content: `A good text about ${name}, with words in it.`,
  });
  const ids: string[] = [];
  for (const request of [good("before"), ...requests, good("after")]) {
    const answer = await parts.database.call("rag_enqueue", { p_request: request });
    ids.push((answer as { job_id: string }).job_id);
  }
  const worker = await parts.startWorker({ once: true });
  await worker.ended;
  const jobs = await Promise.all(
    ids.map((id) => parts.database.call("rag_describe_job", { p_job_id: id }) as Promise<Job>),
  );
  expect([jobs.at(0)?.status, jobs.at(-1)?.status]).toEqual(["complete", "complete"]);
  return jobs.slice(1, -1);
}
type Job = {
  readonly status: string;
  readonly error_code: string | null;
  readonly error_detail: string | null;
  readonly attempts: number;
  readonly document_id: string;
  readonly processed_chunks: number;
};

const liveTexts = async (job: Job | undefined) => {
  const hits = (await parts.database.call("rag_search_chunks", {
    p_query_embedding: `[${Array.from({ length: 8 }, () => 1).join(",")}]`,
    p_model: "stand-in",
    p_limit: 1000,
    p_filter: { document_ids: [job?.document_id] },
  })) as { chunk_index: number; content: string }[];
  return hits.sort((a, b) => a.chunk_index - b.chunk_index).map((hit) => hit.content);
};

test("a missing file, an empty one, white space, and a picture each fail with their own code, at once", async () => {
  const jobs = await workOn(
    { source_uri: "file:///gone.pdf" },
    await file("empty.txt", ""),
    await file("blank.md", " \n\t\n "),
    await file(
      "picture.pdf",
      Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 2]),
    ),
    { source_uri: "file:///../../etc/passwd" },
    { source_uri: "https://example.org/secret" },
  );

  expect(jobs.map((job) => [job.status, job.error_code, job.attempts])).toEqual([
    ["failed", "source.not-found", 1],
    ["failed", "extract.empty", 1],
    ["failed", "extract.empty", 1],
    ["failed", "extract.unsupported", 1],
    ["failed", "source.outside-root", 1],
    ["failed", "source.unsupported", 1],
  ]);
  for (const job of jobs) expect(job.error_detail).toMatch(/^[A-Z].{20,}\./);
});

test("a truncated DOCX is corrupt", async () => {
  const head = Uint8Array.from([0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const [job] = await workOn(await file("cut.docx", head));

  expect(job).toMatchObject({ status: "failed", error_code: "extract.corrupt", attempts: 1 });
});

test("a wrong extension is no reason to fail: the content decides", async () => {
  const [job] = await workOn(
    await file(
      "page.pdf",
      "<!doctype html><html><body><main><p>This page is called a PDF.</p></main></body></html>",
    ),
  );

  expect(job?.status).toBe("complete");
  expect((await liveTexts(job)).join(" ")).toContain("This page is called a PDF.");
});

test("one line of a megabyte is cut into chunks like any other text", async () => {
  const line = Array.from({ length: 150_000 }, (_, at) => `w${at % 977}`)
    .join(" ")
    .slice(0, 1_048_576);
  const [job] = await workOn(await file("line.txt", line));

  expect(job?.status).toBe("complete");
  expect(job?.processed_chunks).toBeGreaterThan(500);
});

test("NUL and lone surrogates are taken out, the text around them stays", async () => {
  const bytes = Buffer.concat([
    Buffer.from("Before the hole"),
    Buffer.from([0]),
    Buffer.from(" and after. "),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from(" The end of it."),
  ]);
  const [fromFile, inline] = await workOn(await file("holes.txt", bytes), { content: "Inline text, whole." });

  expect(fromFile?.status).toBe("complete");
  const text = (await liveTexts(fromFile)).join(" ");
  expect(text).toContain("The end of it.");
  expect(text).not.toContain("\0");
  expect(text.isWellFormed()).toBe(true);
  expect(inline?.status).toBe("complete");
});

test("a transcript with an empty segment, or with none, says which", async () => {
  const jobs = await workOn(
    {
      title: "One hole",
      segments: [
        { seq: 1, content: "Hello." },
        { seq: 2, content: "  " },
      ],
    },
    { title: "Nothing", document_kind: "transcript" },
    {
      title: "Fine",
      segments: [
        { seq: 1, speaker: "A", content: "Hello." },
        { seq: 2, speaker: "B", content: "Bye." },
      ],
    },
  );

  expect(jobs.map((job) => job.error_code)).toEqual(["chunk.empty-segment", "chunk.no-segments", null]);
  expect(jobs[0]?.error_detail).toContain("seq=2");
  expect(await liveTexts(jobs[2])).toEqual(["Hello.", "Bye."]);
});

test("the same content again embeds nothing and says that it is unchanged", async () => {
  const source = await file("twice.md", "# Title\n\nA text that comes twice.\n");
  await workOn(source);
  const before = embedding.seen.texts;
  const events: boolean[] = [];
  const stop = parts.activity.listen((name, facts) => {
    if (name === "job.completed") events.push((facts as { unchanged: boolean }).unchanged);
  });

  await workOn(source);
  stop();

  expect(events).toEqual([true, true, true]);
  // The canary of the start is all that was sent.
  expect(embedding.seen.texts - before).toBe(1);
});
