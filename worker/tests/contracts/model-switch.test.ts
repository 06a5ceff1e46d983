// Changing the model while the old one serves, over every transport: who embeds what, what searches of either model
// find before, while and after, and what is left in the end.
import { beforeEach, expect, test, vi } from "vitest";
import type { Job } from "../../document/lease.ts";
import { readClaimed } from "../../queue/claim.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, MODEL, vectorOf, World } from "./world.ts";

const OLD = "contract-model/3/none";
const NEW = "next-model/4/none";
const NEXT = { embedding_model: "next-model", dimensions: 4 };
/** Vectors of the next model, and of a question to it. */
const nextVectorOf = (text: string) => vectorOf(text).replace("]", ",0.5]");

describeEveryDatabase("a change of models", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  const claimAs = async (model: string | null, slots = 1) => {
    const answer = (await world.call("rag_settle_and_claim", {
      p_worker: `worker-of-${model}`,
      p_settled: [],
      p_slots: slots,
      p_kinds: ["document"],
      p_lease_seconds: 60,
      p_model: model,
    })) as { jobs?: unknown; foreign?: boolean };
    return { ...readClaimed(answer.jobs ?? {}), foreign: answer.foreign ?? false };
  };
  const claimOneAs = async (model: string): Promise<Job> => {
    const [job] = (await claimAs(model)).jobs;
    if (job === undefined) throw new Error(`nothing was ready for ${model}`);
    return job;
  };
  const beginAs = async (job: Job, plan: Record<string, unknown>, content: string | null = null) =>
    (await world.call("rag_begin_generation", {
      ...fence(job),
      p_plan: { content_sha256: content, strategy: "s", chunk_size: 1, chunk_overlap: 0, plan: "p", ...plan },
    })) as Record<string, unknown>;
  const askToSwitch = (grace = 3600) =>
    world.call("rag_begin_switch", { p_model: "next-model", p_dimensions: 4, p_grace_seconds: grace });
  /** Until there is nothing more to do but what jobs have to do. */
  const settle = async () => {
    let state = "";
    await vi.waitFor(
      async () => {
        const answer = await world.call("rag_advance_switch", { p_limit: 100 });
        const moved = answer as { state: string; documents: number };
        state = moved.state;
        // Waiting for none: another test's transaction on this server is older than the switch.
        if (state !== "idle" && !(state === "waiting" && moved.documents > 0)) throw new Error(state);
      },
      { timeout: 20_000, interval: 2 },
    );
    return state;
  };
  /** The switch itself; waits for another test's transaction on this server, as settle does. */
  const finish = () =>
    vi.waitFor(
      async () => expect(await world.call("rag_finish_switch", {})).toMatchObject({ state: "switched" }),
      { timeout: 20_000, interval: 2 },
    );
  const reembed = async (job: Job, texts: readonly string[]) => {
    const begun = await beginAs(job, NEXT);
    const rows = texts.map((text, at) => chunk(at, text, nextVectorOf(text)));
    if (begun.state !== "unchanged") await world.stage(job, rows);
    return await world.complete(job, begun.state === "unchanged" ? Number(begun.staged) : texts.length);
  };
  const search = async (model: string, text: string) => {
    const vector = model === "next-model" ? nextVectorOf(text) : vectorOf(text);
    const rows = (await world.call("rag_search_chunks", {
      p_query_embedding: vector,
      p_model: model,
      p_limit: 100,
    })) as { content: string }[];
    return rows.map((row) => row.content).toSorted();
  };
  const both = async () => ({
    old: await search("contract-model", "x"),
    next: await search("next-model", "x"),
  });
  const switched = async (texts: readonly string[], grace = 3600): Promise<string> => {
    const first = await world.ingest(texts);
    await askToSwitch(grace);
    await settle();
    await reembed(await claimOneAs(NEW), texts);
    expect(await settle()).toBe("idle");
    return first.document?.id ?? "";
  };

  test("without a switch asked for, a worker of another model gets no document and is told so", async () => {
    await world.ingest(["one"]);
    await world.enqueue();

    expect(await claimAs(NEW)).toMatchObject({ jobs: [], foreign: true });
    expect(await claimAs(`${OLD}-not`)).toMatchObject({ jobs: [], foreign: true });
    expect((await claimAs(OLD)).jobs).toHaveLength(1);
  });

  test("documents are embedded again by workers of the next model alone, and the old one serves until all are", async () => {
    await world.ingest(["one", "two"]);
    await world.ingest(["three"]);
    expect(await askToSwitch()).toMatchObject({ state: "begun", documents: 2 });
    await settle();
    await world.enqueue();

    expect((await claimAs(OLD, 10)).jobs.map(({ kind }) => kind)).toEqual(["document"]);
    const jobs = (await claimAs(NEW, 10)).jobs;
    expect(jobs.map(({ kind }) => kind)).toEqual(["reembed", "reembed"]);
    expect(await settle()).toBe("waiting");
    for (const job of jobs) {
      expect((await both()).old).toEqual(["one", "three", "two"]);
      const begun = await beginAs(job, NEXT);
      const texts = begun.segments === 1 && job.document ? await world.liveTexts(job.document.id) : [];
      expect(await reembed(job, texts.map(String))).toBe("complete");
    }

    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["one", "three", "two"], next: ["one", "three", "two"] });
  });

  test("the segments of the live generation are what is embedded again, for the application's may have changed", async () => {
    const first = await world.ingest(["one", "two"]);
    await askToSwitch();
    await settle();
    const job = await claimOneAs(NEW);

    const begun = await beginAs(job, NEXT);

    expect(begun).toMatchObject({
      state: "begun",
      model: "next-model",
      segments: 1,
      segments_complete: true,
    });
    expect(
      await world.call("rag_read_segments", {
        p_document_id: first.document?.id,
        p_generation: begun.generation,
        p_after_seq: 0,
        p_limit: 10,
      }),
    ).toMatchObject([{ content: "onetwo" }]);
  });

  test("a document that is added meanwhile is found by both models, before and after the switch", async () => {
    await world.ingest(["one"]);
    await askToSwitch();
    await settle();
    await world.ingest(["added"]);
    expect((await both()).old).toEqual(["added", "one"]);

    const jobs = (await claimAs(NEW, 10)).jobs;
    for (const job of jobs) {
      const [text] = await world.liveTexts(job.document?.id ?? "");
      await reembed(job, [String(text)]);
    }

    expect(jobs).toHaveLength(2);
    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["added", "one"], next: ["added", "one"] });
  });

  test("a document that changes meanwhile is embedded again once more, also when its old text is just being embedded", async () => {
    const first = await world.ingest(["before"]);
    await askToSwitch();
    await settle();
    const early = await claimOneAs(NEW);
    await beginAs(early, NEXT);
    await world.stage(early, [chunk(0, "before", nextVectorOf("before"))]);
    await world.ingest(["after"], first.document?.id);
    expect(await world.complete(early, 1)).toBe("complete");
    expect(await settle()).toBe("waiting");

    await reembed(await claimOneAs(NEW), ["after"]);

    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["after"], next: ["after"] });
  });

  test("the switch makes the next model the live one in one step, and each worker's part changes with it", async () => {
    const documentId = await switched(["one"]);
    await world.enqueue();

    expect(await claimAs(OLD)).toMatchObject({ jobs: [], foreign: true });
    expect((await claimAs(NEW)).jobs.map(({ kind }) => kind)).toEqual(["document"]);
    expect(await world.liveTexts(documentId)).toEqual(["one"]);
    const [row] = await world.sql.query(
      "select distinct embedding_model from public.rag_live_chunks where document_id = $1",
      [documentId],
    );
    expect(row).toEqual({ embedding_model: "next-model" });
  });

  test("the former model is searched for the time of grace, and is collected after it", async () => {
    const documentId = await switched(["one"]);
    expect((await both()).old).toEqual(["one"]);
    await world.sql.query(
      "update public.rag_models set serves_until = now() - interval '1 second' where state = 'retired'",
    );

    expect(await settle()).toBe("idle");
    await world.call("rag_collect_garbage", { p_limit: 1000, p_keep_originals: true });

    expect(await both()).toEqual({ old: [], next: ["one"] });
    const rows = await world.sql.query(
      "select distinct embedding_model from public.rag_document_chunks where document_id = $1",
      [documentId],
    );
    expect(rows).toEqual([{ embedding_model: "next-model" }]);
  });

  test("a hybrid search ranks chunks of one generation alone, whichever model it names", async () => {
    const first = await world.ingest(["apples and pears"]);
    await askToSwitch();
    await settle();
    // The next model's limits cut the same text in two.
    const job = await claimOneAs(NEW);
    await beginAs(job, NEXT);
    const pieces = ["apples and", " pears"];
    await world.stage(
      job,
      pieces.map((text, at) => chunk(at, text, nextVectorOf(text))),
    );
    await world.complete(job, 2);
    const hybrid = async (model: string, vector: string) => {
      const rows = (await world.call("rag_hybrid_search", {
        p_query: "apples pears",
        p_query_embedding: vector,
        p_model: model,
      })) as { content: string }[];
      return rows.map((row) => row.content).toSorted();
    };
    const seen = async () => ({
      old: await hybrid("contract-model", vectorOf("x")),
      next: await hybrid("next-model", nextVectorOf("x")),
    });
    const expected = { old: ["apples and pears"], next: [" pears", "apples and"] };
    expect(await seen()).toEqual(expected);

    // Before the walk that makes the new generations the live ones, and after it.
    await finish();
    expect(await seen()).toEqual(expected);
    expect(await settle()).toBe("idle");

    expect(await seen()).toEqual(expected);
    expect(await world.liveTexts(first.document?.id ?? "")).toEqual(pieces);
  });

  test("a job of the former model that ends after the switch changes nothing, and the document is found as it was", async () => {
    const first = await world.ingest(["before"]);
    await world.enqueue({ document_id: first.document?.id });
    const late = await world.claimOne();
    await beginAs(late, MODEL, "late content");
    await world.stage(late, [chunk(0, "late")]);
    await askToSwitch();
    await settle();
    await reembed(await claimOneAs(NEW), ["before"]);
    expect(await settle()).toBe("idle");

    expect(await world.complete(late, 1)).toBe("model_mismatch");

    expect(await both()).toEqual({ old: ["before"], next: ["before"] });
    expect(await world.statusOf(late.id)).toBe("processing");
  });

  test("a document that changes before the walk has come to it is changed for those who search now", async () => {
    const first = await world.ingest(["before"]);
    await askToSwitch();
    await settle();
    await reembed(await claimOneAs(NEW), ["before"]);
    await finish();
    await world.enqueue({ document_id: first.document?.id });
    const job = await claimOneAs(NEW);
    await beginAs(job, NEXT, "content of after");
    await world.stage(job, [chunk(0, "after", nextVectorOf("after"))]);

    expect(await world.complete(job, 1)).toBe("complete");

    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["before"], next: ["after"] });
  });

  test("going back within the grace embeds only what has changed since", async () => {
    await switched(["one"]);
    await world.enqueue();
    const job = await claimOneAs(NEW);
    await beginAs(job, NEXT, "content of two");
    await world.call("rag_stage_segments", {
      ...fence(job),
      p_segments: [{ seq: 1, content: "two" }],
      p_complete: true,
      p_media_type: "text/plain",
    });
    await world.stage(job, [chunk(0, "two", nextVectorOf("two"))]);
    await world.complete(job, 1);
    await world.call("rag_begin_switch", { p_model: "contract-model", p_dimensions: 3 });
    await settle();

    const back = (await claimAs(OLD, 10)).jobs;
    expect(back.map(({ document }) => document?.id)).toEqual([job.document?.id]);
    await beginAs(back[0] as Job, MODEL);
    await world.stage(back[0] as Job, [chunk(0, "two")]);
    await world.complete(back[0] as Job, 1);

    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["one", "two"], next: ["one", "two"] });
    expect((await claimAs(NEW)).foreign).toBe(true);
  });

  test("a switch that is cancelled leaves everything as it was, and collects what it made", async () => {
    await world.ingest(["one"]);
    await world.ingest(["two"]);
    await askToSwitch();
    await settle();
    await reembed(await claimOneAs(NEW), ["one"]);

    expect(await world.call("rag_cancel_switch", {})).toEqual({ cancelled: "next-model" });

    expect(await settle()).toBe("idle");
    expect(await claimAs(NEW)).toMatchObject({ jobs: [], foreign: true });
    await world.call("rag_collect_garbage", { p_limit: 1000, p_keep_originals: true });
    expect(await both()).toEqual({ old: ["one", "two"], next: [] });
    const chunks = await world.sql.query("select embedding_model from public.rag_document_chunks");
    expect(chunks.map((row) => row.embedding_model)).toEqual(["contract-model", "contract-model"]);
  });

  test("a document that cannot be embedded again holds the switch until somebody says to go on without it", async () => {
    await world.ingest(["good"]);
    await world.ingest(["bad"]);
    await askToSwitch();
    await settle();
    const jobs = (await claimAs(NEW, 10)).jobs;
    for (const job of jobs) {
      const [text] = await world.liveTexts(job.document?.id ?? "");
      if (text === "good") await reembed(job, ["good"]);
      else
        await world.call("rag_fail_job", {
          ...fence(job),
          p_error_code: "embed.input-rejected",
          p_error_detail: "",
        });
    }
    expect(await settle()).toBe("waiting");
    expect(await world.call("rag_describe_models", {})).toMatchObject({
      switch: { to: "next-model", documents: 2, done: 1, failed: 1, queued: 0 },
    });

    expect(await world.call("rag_finish_switch", { p_force: true })).toEqual({
      state: "switched",
      documents: 1,
    });

    expect(await settle()).toBe("idle");
    expect(await both()).toEqual({ old: ["bad", "good"], next: ["good"] });
    await world.call("rag_requeue_jobs", { p_filter: { kind: "reembed" } });
    await reembed(await claimOneAs(NEW), ["bad"]);
    expect(await both()).toEqual({ old: ["bad", "good"], next: ["bad", "good"] });
  });

  test("while new documents keep coming none is begun for a moment, so that the switch can end", async () => {
    await world.ingest(["one"]);
    await world.enqueue();
    const job = await claimOneAs(OLD);
    await askToSwitch();
    await settle();
    await world.sql.query("update public.rag_models set swept_at = now() - interval '2 minutes'");
    expect(await settle()).toBe("waiting");

    expect(await beginAs(job, MODEL, "new")).toEqual({ state: "model_closing" });

    await world.sql.query("update public.rag_models set closing_since = now() - interval '3 minutes'");
    expect(await beginAs(job, MODEL, "new")).toMatchObject({ state: "begun" });
  });

  test("two models of one name are told apart by their dimensions and their quantisation", async () => {
    await world.ingest(["one"]);
    const same = { p_model: "contract-model", p_dimensions: 3 };
    expect(await world.call("rag_begin_switch", same)).toMatchObject({ state: "already_live" });
    expect(await world.call("rag_begin_switch", { ...same, p_quantisation: "int8" })).toMatchObject({
      state: "begun",
      model: "contract-model/3/int8",
    });
    expect(await world.call("rag_begin_switch", { ...same, p_dimensions: 4 })).toMatchObject({
      state: "another",
      model: "contract-model/3/int8",
    });
    await settle();
    const job = await claimOneAs("contract-model/3/int8");
    expect(await beginAs(job, { ...MODEL, quantisation: "none" })).toMatchObject({ state: "unchanged" });
    expect(await beginAs(job, { ...MODEL, quantisation: "int8" })).toMatchObject({
      model: "contract-model/3/int8",
    });
    await world.stage(job, [chunk(0, "one", null)]);

    // The text has a vector of the other one, which is not this one's to copy.
    expect(await world.job(job.id)).toMatchObject({ processed_chunks: 0, reused_chunks: 0 });
  });

  test("a retry of a job that embeds again pays nothing twice", async () => {
    await world.ingest(["one", "two"]);
    await askToSwitch();
    await settle();
    const dead = await claimOneAs(NEW);
    await beginAs(dead, NEXT);
    await world.stage(dead, [chunk(0, "one", nextVectorOf("one"))]);
    await world.expireLease(dead);
    await world.call("rag_reap", { p_limit: 10 });
    const next = await claimOneAs(NEW);

    expect(await beginAs(next, NEXT)).toMatchObject({ state: "resumed", staged: 1 });
    const there = await world.call("rag_reuse_vectors", {
      ...fence(next),
      p_chunks: [
        { chunk_index: 0, embed_sha256: "sha-one" },
        { chunk_index: 1, embed_sha256: "sha-two" },
      ],
    });
    expect(there).toMatchObject({ staged: [0], known: ["sha-one"] });
  });

  test("a pause of the kind holds the change, and nothing else", async () => {
    await world.ingest(["one"]);
    await askToSwitch();
    await settle();
    await world.call("rag_pause_jobs", { p_scope: "kind", p_name: "reembed" });
    await world.enqueue();

    expect((await claimAs(NEW)).jobs).toEqual([]);
    expect((await claimAs(OLD)).jobs).toHaveLength(1);
    await world.call("rag_resume_jobs", { p_scope: "kind", p_name: "reembed" });
    expect((await claimAs(NEW)).jobs).toHaveLength(1);
  });

  test("nothing is to be changed where nothing is stored", async () => {
    expect(await askToSwitch()).toEqual({ state: "nothing_stored" });
  });
});
