// From bytes to live chunks: what is staged, what is reused, and what readers see, over every transport.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

describeEveryDatabase("generations", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  test("nothing is visible before the job is complete, everything after", async () => {
    const { documentId } = await world.enqueue();
    const job = await world.claimOne();
    expect(await world.begin(job)).toMatchObject({ state: "begun", generation: 1, staged: 0 });
    await world.stage(job, [chunk(0, "one "), chunk(1, "two")]);
    expect(await world.liveTexts(documentId)).toEqual([]);

    expect(await world.complete(job, 2)).toBe("complete");

    expect(await world.liveTexts(documentId)).toEqual(["one ", "two"]);
    expect(await world.documentRow(documentId)).toMatchObject({ status: "ingested", live_generation: 1 });
  });

  test("readers see the whole old document until the new one is whole", async () => {
    const first = await world.ingest(["old a", "old b"]);
    const documentId = first.document?.id ?? "";
    await world.enqueue({ document_id: documentId });
    const job = await world.claimOne();
    await world.begin(job, "content-2");
    await world.stage(job, [chunk(0, "new a")]);
    expect(await world.liveTexts(documentId)).toEqual(["old a", "old b"]);

    await world.complete(job, 1);

    expect(await world.liveTexts(documentId)).toEqual(["new a"]);
  });

  test("a completion that is sent twice is complete twice", async () => {
    const job = await world.ingest(["one"]);
    expect(await world.complete(job, 1)).toBe("complete");
  });

  test("a missing chunk keeps the generation from going live", async () => {
    const { documentId } = await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);
    await world.stage(job, [chunk(0, "one")]);

    expect(await world.complete(job, 2)).toBe("incomplete");

    expect(await world.liveTexts(documentId)).toEqual([]);
    expect(await world.statusOf(job.id)).toBe("processing");
  });

  test("a batch that is sent twice is stored and paid once", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);

    await world.stage(job, [chunk(0, "one")]);
    const again = await world.stage(job, [chunk(0, "one")]);

    expect(again).toMatchObject({ state: "staged", stored: 0, missing: [] });
    expect(await world.job(job.id)).toMatchObject({ processed_chunks: 1, tokens: "3" });
  });

  test("the same content and plan is unchanged: only completing is left", async () => {
    const first = await world.ingest(["one", "two"]);
    await world.enqueue({ document_id: first.document?.id });
    const job = await world.claimOne();

    const begun = await world.begin(job, "content of one|two");

    expect(begun).toMatchObject({ state: "unchanged", generation: 1, staged: 2 });
    expect(await world.complete(job, 2)).toBe("complete");
    expect(await world.job(job.id)).toMatchObject({ reused_chunks: 2 });
  });

  test("another plan for the same content is a new generation", async () => {
    const first = await world.ingest(["one"]);
    await world.enqueue({ document_id: first.document?.id });
    const job = await world.claimOne();

    expect(await world.begin(job, "content of one", "plan-2")).toMatchObject({
      state: "begun",
      generation: 2,
    });
  });

  test("the next worker resumes where the dead one stopped", async () => {
    await world.enqueue();
    const dead = await world.claimOne("dead");
    await world.begin(dead);
    await world.stage(dead, [chunk(0, "one"), chunk(1, "two")]);
    await world.expireLease(dead);
    await world.call("rag_reap", { p_limit: 10 });

    const next = await world.claimOne("next");
    const begun = await world.begin(next);
    const there = await world.call("rag_reuse_vectors", {
      ...fence(next),
      p_chunks: [
        { chunk_index: 0, embed_sha256: "sha-one" },
        { chunk_index: 1, embed_sha256: "sha-changed" },
        { chunk_index: 2, embed_sha256: "sha-three" },
      ],
    });

    expect(begun).toMatchObject({ state: "resumed", generation: 1, staged: 2 });
    expect(there).toMatchObject({ staged: [0], known: ["sha-one"] });
  });

  test("a resumed generation that is cut differently goes live as it was cut last, and in no other way", async () => {
    const { documentId } = await world.enqueue();
    const dead = await world.claimOne("dead");
    await world.begin(dead);
    await world.stage(dead, [chunk(0, "old 0"), chunk(1, "same"), chunk(2, "old 2"), chunk(3, "old 3")]);
    await world.expireLease(dead);
    await world.call("rag_reap", { p_limit: 10 });
    const next = await world.claimOne("next");
    await world.begin(next);

    await world.stage(next, [chunk(0, "new 0"), chunk(1, "same")]);

    expect(await world.complete(next, 2)).toBe("complete");
    expect(await world.liveTexts(documentId)).toEqual(["new 0", "same"]);
  });

  test("after an incomplete end the next run starts afresh", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);
    await world.stage(job, [chunk(0, "one")]);
    await world.complete(job, 2);

    expect(await world.begin(job)).toMatchObject({ state: "begun", generation: 2 });
  });

  // The embedded database has one session: nobody can hold a transaction open beside the worker's calls.
  const concurrently = legName === "embedded" ? () => {} : test;
  concurrently(
    "an application's open transaction on the document stops neither the work nor the leases",
    async () => {
      const { documentId } = await world.enqueue();
      const job = await world.claimOne();
      await leg().sql.transaction(async (open) => {
        await open.query("insert into public.rag_segments (document_id, seq, content) values ($1, 7, 'x')", [
          documentId,
        ]);
        await world.begin(job);
        await world.stage(job, [chunk(0, "one")]);
        expect(await world.complete(job, 1)).toBe("complete");
      });
    },
  );

  test("an upload that may still be arriving is no garbage", async () => {
    const first = await world.ingest(["one"]);
    const documentId = first.document?.id ?? "";
    await world.call("rag_store_original", {
      p_document_id: documentId,
      p_upload: "arriving",
      p_part: 0,
      p_parts: 2,
      p_bytes: "AA==",
    });
    await world.sql.query("update public.rag_documents set ingested_at = now() + interval '1 second'");

    const answer = await world.call("rag_collect_garbage", { p_limit: 100, p_keep_originals: false });

    expect(answer).toMatchObject({ originals: 0 });
  });

  test("a text that has a vector of the model anywhere is copied, not paid", async () => {
    await world.ingest(["shared"]);
    await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job, "content-2");

    const staged = await world.stage(job, [chunk(0, "shared", null), chunk(1, "unknown", null)]);

    expect(staged).toMatchObject({ stored: 1, reused: 1, missing: [1] });
  });

  test("a vector of another dimension is not stored", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);

    expect(await world.stage(job, [chunk(0, "one", "[1,2]")])).toMatchObject({ stored: 0, missing: [0] });
  });

  test("a second model is refused with the name of the live one", async () => {
    await world.ingest(["one"]);
    await world.enqueue();
    const job = await world.claimOne();

    const begun = await world.call("rag_begin_generation", {
      ...fence(job),
      p_plan: {
        content_sha256: "x",
        embedding_model: "another",
        dimensions: 3,
        strategy: "s",
        chunk_size: 1,
        chunk_overlap: 0,
        plan: "p",
      },
    });

    expect(begun).toMatchObject({ state: "model_mismatch", model: "contract-model", dimensions: 3 });
  });

  test("a model that never stored a vector binds nobody", async () => {
    await world.sql.query(
      "insert into public.rag_models (model, dimensions) values ('never-answered', 1536)",
    );
    await world.enqueue();

    expect(await world.begin(await world.claimOne())).toMatchObject({ state: "begun" });
    const described = (await world.call("rag_describe_database", {})) as { models: unknown[] };
    expect(described.models).toEqual([]);
  });

  const transcript = async (contents: readonly string[]) => {
    const documentId = await world.document({
      content: undefined,
      segments: contents.map((content, at) => ({
        seq: at + 1,
        content,
        speaker: "A",
        started_ms: at,
        ended_ms: at + 1,
      })),
    });
    await world.enqueue({ document_id: documentId });
    return await world.claimOne();
  };
  const beginTranscript = (job: Awaited<ReturnType<typeof transcript>>) =>
    world.call("rag_begin_generation", {
      ...fence(job),
      p_plan: {
        content_sha256: null,
        embedding_model: "contract-model",
        dimensions: 3,
        strategy: "recursive",
        chunk_size: 1,
        chunk_overlap: 0,
        plan: "p",
      },
    });

  test("a transcript's segments are copied when work begins, so that an edit in mid-run mixes with nothing", async () => {
    const job = await transcript(["hello", "good bye"]);
    const begun = (await beginTranscript(job)) as { generation: number };
    await world.sql.query("update public.rag_segments set content = 'edited' where generation = 0");

    const read = await world.call("rag_read_segments", {
      p_document_id: job.document?.id,
      p_generation: begun.generation,
      p_after_seq: 0,
      p_limit: 10,
    });

    expect(begun).toMatchObject({ state: "begun", segments: 2, segments_complete: true });
    expect(read).toMatchObject([
      { seq: 1, content: "hello", speaker: "A" },
      { seq: 2, content: "good bye" },
    ]);
  });

  test("a transcript without segments, or with an empty one, is told apart", async () => {
    const empty = await transcript(["hello", "  "]);
    expect(await beginTranscript(empty)).toEqual({ state: "empty_segment", seq: 2 });

    await world.sql.query("delete from public.rag_segments");
    expect(await beginTranscript(empty)).toEqual({ state: "no_segments" });
  });

  test("garbage is collected and the live generation stays", async () => {
    const first = await world.ingest(["old"]);
    const documentId = first.document?.id ?? "";
    await world.ingest(["new"], documentId);
    await world.sql.query("update public.rag_originals set created_at = now() - interval '1 hour'");

    const answer = await world.call("rag_collect_garbage", { p_limit: 100, p_keep_originals: false });

    expect(answer).toMatchObject({ chunks: 1, generations: 1, originals: 1 });
    expect(await world.liveTexts(documentId)).toEqual(["new"]);
  });

  test("an upload is read only when all of its parts are there", async () => {
    const documentId = await world.document();
    const part = (upload: string, at: number, parts: number, text: string) =>
      world.call("rag_store_original", {
        p_document_id: documentId,
        p_upload: upload,
        p_part: at,
        p_parts: parts,
        p_bytes: Buffer.from(text).toString("base64"),
      });
    const read = () =>
      world.call("rag_read_original", { p_document_id: documentId, p_upload: null, p_part: 0 }) as Promise<{
        upload: string;
      }>;
    await part("second", 0, 2, "half");
    expect((await read()).upload).toMatch(/^content-/);

    await part("second", 1, 2, "whole");

    expect((await read()).upload).toBe("second");
  });
});
