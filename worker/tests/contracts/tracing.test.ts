// The span of whoever enqueues, on its way through the queue, over every transport.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { World } from "./world.ts";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describeEveryDatabase("the trace of a job", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const enqueue = async (request: object) =>
    String(((await world.call("rag_enqueue", { p_request: request })) as { job_id: string }).job_id);
  const parentsOf = (...jobIds: readonly string[]) => world.call("rag_trace_parents", { p_job_ids: jobIds });

  test("a traceparent is kept with its job, and jobs without one are not told of", async () => {
    const traced = await enqueue({ content: "one", traceparent: PARENT });
    const other = await enqueue({ content: "two" });

    expect(await parentsOf(traced, other)).toEqual({ [traced]: PARENT });
  });

  test("an entity's job keeps that of its sender", async () => {
    const answer = (await world.call("rag_upsert_entity", {
      p_request: { entity_type: "task", entity_id: "7", content: "Mend it.", traceparent: PARENT },
    })) as { job_id: string };

    expect(await parentsOf(answer.job_id)).toEqual({ [answer.job_id]: PARENT });
  });

  test.each([
    "",
    "nonsense",
    `${PARENT}-more`,
    PARENT.toUpperCase(),
    PARENT.replace(/^00/, "ff"),
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    42,
    null,
  ])("what is no traceparent (%s) costs the document nothing", async (traceparent) => {
    const jobId = await enqueue({ content: `text of ${traceparent}`, traceparent });

    expect(await parentsOf(jobId)).toEqual({});
  });

  test("no jobs have no parents", async () => {
    expect(await parentsOf()).toEqual({});
  });
});
