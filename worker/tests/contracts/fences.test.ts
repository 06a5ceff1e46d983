// A stale worker changes nothing, whichever function it calls; and each function's token check is what keeps
// it from doing so: with the check taken out, the same call changes what it must not.
import { beforeEach, describe, expect, test } from "vitest";
import type { Job } from "../../document/lease.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

type Fenced = {
  readonly name: `rag_${string}`;
  /** What the stale worker calls; `late` holds a lease that another worker has taken over. */
  readonly call: (world: World, late: Job) => Promise<unknown>;
  readonly lost: unknown;
  /** The second worker has only just claimed: the function settles jobs in which nothing was begun. */
  readonly idle?: true;
};

const fenced: readonly Fenced[] = [
  {
    name: "rag_begin_generation",
    call: (world, late) => world.begin(late, "stale content", "stale plan"),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_stage_segments",
    call: (world, late) =>
      world.call("rag_stage_segments", {
        ...fence(late),
        p_segments: [{ seq: 99, content: "stale" }],
        p_complete: true,
        p_media_type: null,
      }),
    lost: "lease_lost",
  },
  {
    name: "rag_reuse_vectors",
    call: (world, late) =>
      world.call("rag_reuse_vectors", { ...fence(late), p_chunks: [{ chunk_index: 0, embed_sha256: "x" }] }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_stage_chunks",
    call: (world, late) => world.stage(late, [chunk(99, "stale")]),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_open_copy",
    call: (world, late) =>
      world.call("rag_open_copy", {
        ...fence(late),
        p_indexes: [99],
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_begin_analyses",
    call: (world, late) =>
      world.call("rag_begin_analyses", { ...fence(late), p_plan: "stale", p_groups: [] }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_store_analyses",
    call: (world, late) =>
      world.call("rag_store_analyses", {
        ...fence(late),
        p_worker: "stale",
        p_model: "stale",
        p_plan: "stale",
        p_analyses: [
          { segment_from: 1, segment_to: 1, group_sha256: "stale", output_tokens: 1, cost_usd: 1 },
        ],
        p_document: null,
        p_groups: null,
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_want_analyses",
    call: (world, late) =>
      world.call("rag_want_analyses", {
        ...fence(late),
        p_plan: "stale",
        p_model: "stale",
        p_prefix_hash: "stale",
        p_prefix: "stale",
        p_questions: [{ name: "stale", question: {} }],
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_close_copy",
    call: (world, late) =>
      world
        .call("rag_close_copy", {
          ...fence(late),
          p_transaction: "0",
          p_chunks: [],
          p_copied: 1,
          p_progress: {},
        })
        .catch((failure) => failure.facts.sqlstate),
    lost: "RG001",
  },
  {
    name: "rag_reject_chunks",
    call: (world, late) =>
      world.call("rag_reject_chunks", {
        ...fence(late),
        p_chunks: [
          {
            chunk_index: 99,
            code: "embed.input-rejected",
            detail: "d",
            embed_sha256: "x",
            char_start: 0,
            char_end: 1,
          },
        ],
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_want_texts",
    call: (world, late) =>
      world.call("rag_want_texts", {
        ...fence(late),
        p_model: "m",
        p_dimensions: 3,
        p_texts: [{ embed_sha256: "x", content: "stale" }],
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_take_batch_vectors",
    call: (world, late) =>
      world.call("rag_take_batch_vectors", {
        ...fence(late),
        p_model: "m",
        p_dimensions: 3,
        p_hashes: ["x"],
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_find_relationships",
    call: async (world, late) =>
      world.call("rag_find_relationships", {
        p_document_id: await world.document(),
        p_patterns: ["(task):([0-9]+)"],
        ...fence(late),
      }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_begin_sync",
    call: (world, late) => world.call("rag_begin_sync", fence(late)),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_repair",
    call: (world, late) => world.call("rag_repair", { p_findings: [], ...fence(late) }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_complete_job",
    call: (world, late) => world.call("rag_complete_job", { ...fence(late), p_chunks: 1, p_segments: 1 }),
    lost: { state: "lease_lost" },
  },
  {
    name: "rag_retry_job",
    call: (world, late) =>
      world.call("rag_retry_job", { ...fence(late), p_error_code: "unexpected", p_error_detail: "stale" }),
    lost: "lease_lost",
  },
  {
    name: "rag_release_job",
    call: (world, late) =>
      world.call("rag_release_job", {
        ...fence(late),
        p_delay_seconds: 0,
        p_error_code: null,
        p_error_detail: null,
      }),
    lost: "lease_lost",
  },
  {
    name: "rag_fail_job",
    call: (world, late) =>
      world.call("rag_fail_job", { ...fence(late), p_error_code: "unexpected", p_error_detail: "stale" }),
    lost: "lease_lost",
  },
  {
    name: "rag_keep_leases",
    call: async (world, late) => {
      const answer = (await world.call("rag_keep_leases", {
        p_worker: "late",
        p_held: [{ job_id: late.id, lease_token: late.lease.token }],
        p_lease_seconds: 60,
      })) as { lost: string[] };
      return answer.lost.includes(late.lease.token);
    },
    lost: true,
  },
  {
    name: "rag_settle_jobs",
    call: (world, late) =>
      world.call("rag_settle_jobs", {
        p_settled: [
          { job_id: late.id, lease_token: late.lease.token, transition: "complete", chunks: 0, segments: 0 },
        ],
      }),
    lost: [{ state: "lease_lost" }],
    idle: true,
  },
];

describeEveryDatabase("fences", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  /** A job whose first worker is late and whose second one is in the middle of the work. */
  const twoWorkers = async (idle = false): Promise<{ late: Job; current: Job }> => {
    await world.enqueue();
    const late = await world.claimOne("late");
    if (!idle) await world.begin(late);
    await world.expireLease(late);
    await world.call("rag_reap", { p_limit: 10 });
    const current = await world.claimOne("current");
    if (idle) return { late, current };
    await world.begin(current);
    await world.stage(current, [chunk(0, "one")]);
    return { late, current };
  };

  for (const { name, call, lost, idle } of fenced) {
    describe(name, () => {
      test("tells a stale worker that its lease is lost, and changes nothing", async () => {
        const { late, current } = await twoWorkers(idle);
        const before = await world.picture(current);

        const answer = await call(world, late);

        expect(answer).toEqual(lost);
        expect(await world.picture(current)).toEqual(before);
      });

      test("without its token check, the same call is not refused", async () => {
        const { late, current } = await twoWorkers(idle);
        const before = JSON.stringify(await world.picture(current));
        const restore = await takeOutTokenCheck(world, name);
        try {
          const answer = await call(world, late);

          const changed = JSON.stringify(await world.picture(current)) !== before;
          expect(JSON.stringify(answer) !== JSON.stringify(lost) || changed).toBe(true);
        } finally {
          await restore();
        }
      });

      test("refuses a token that never was", async () => {
        const { current } = await twoWorkers(idle);
        const before = await world.picture(current);
        const forged: Job = { ...current, lease: { jobId: current.id, token: "9223372036854775807" } };

        expect(await call(world, forged)).toEqual(lost);
        expect(await world.picture(current)).toEqual(before);
      });
    });
  }

  test("a cancelled job's worker can write nothing", async () => {
    const { current } = await twoWorkers();
    await world.call("rag_cancel_jobs", { p_filter: { job_ids: [current.id] } });

    expect(await world.stage(current, [chunk(1, "two")])).toEqual({ state: "lease_lost" });
    expect(await world.complete(current, 1)).toBe("lease_lost");
  });

  test("the fenced functions are all there are: every function that takes a token is in this list", async () => {
    const rows = await world.sql.query(
      `select proname from pg_catalog.pg_proc
       where proname like 'rag\\_%' and proname <> 'rag_settle_and_claim' -- hands them on to rag_settle_jobs
         and proargnames && array['p_lease_token', 'p_held', 'p_settled']
       order by proname`,
    );
    expect(rows.map((row) => row.proname)).toEqual(fenced.map((one) => one.name).sort());
  });
});

/** Replaces the function by one that believes every token; answers how to put it back. */
async function takeOutTokenCheck(world: World, name: string): Promise<() => Promise<void>> {
  const [row] = await world.sql.query(
    "select pg_catalog.pg_get_functiondef(p.oid) as def from pg_catalog.pg_proc p where p.proname = $1",
    [name],
  );
  const whole = String(row?.def);
  const broken = whole
    .replaceAll(/q\.lease_token = p_lease_token/g, "true")
    .replaceAll(/q\.lease_token = [gh]\.lease_token/g, "true");
  if (broken === whole) throw new Error(`${name} has no token check to take out`);
  await world.sql.script(broken);
  return () => world.sql.script(whole);
}
