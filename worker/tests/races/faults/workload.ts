// What the workers of a run have to do: several tenants' documents of 1 to 40 chunks, some uploaded again in
// mid-run, some cancelled, some of those asked for again. Remembers what the database acknowledged.
import type postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";
import { type Random, randomFrom } from "../../random.ts";
import type { Upload } from "./outcome.ts";
import { patiently } from "./patience.ts";
import { type Content, contentOf, fieldsOf } from "./texts.ts";

export type Uploaded = Omit<Upload, "digest"> & { readonly content: Content };

export type Workload = {
  /** In the order in which they were acknowledged. */
  uploads(): readonly Uploaded[];
  /** Puts nothing more into the queue. */
  stop(): Promise<void>;
};

export type WorkloadOptions = {
  readonly seed: number;
  /** Jobs that wait or are at work; more are added below it. */
  readonly backlog: number;
  readonly pauseMs: number;
  /** Chunks of the largest document. */
  readonly mostChunks: number;
  /** New, whole documents only: nothing is cancelled, superseded or poisoned. */
  readonly calm: boolean;
};

const TENANTS = 5;
// Enough that no crash ends a job; the fragile ones are there to be ended.
const MOST_ATTEMPTS = 100;
const FRAGILE_ATTEMPTS = 2;

type Known = {
  readonly number: number;
  readonly form: Content["form"];
  readonly fate: Upload["fate"];
  version: number;
};

export function startWorkload(sql: postgres.Sql, options: WorkloadOptions): Workload {
  const random = randomFrom(options.seed);
  const documents: Known[] = [];
  const uploads: (Uploaded & { cancelled: boolean })[] = [];
  let on = true;

  const upload = async (document: Known) => {
    document.version += 1;
    const { fate, form, number, version } = document;
    const content = contentOf(number, version, chunksOf(random, options.mostChunks), form, fate === "poison");
    const request = {
      tenant_id: `tenant-${number % TENANTS}`,
      external_id: `d${number}`,
      // Sent again after a lost answer, it is the same job.
      dedupe_key: content.key,
      max_attempts: fate === "fragile" ? FRAGILE_ATTEMPTS : MOST_ATTEMPTS,
      ...fieldsOf(content),
    };
    const [row] = await patiently(
      () => sql`select public.rag_enqueue(${sql.json(request as postgres.JSONValue)}) as answer`,
    );
    const answer = row?.answer as { job_id: string; document_id: string };
    const ids = { jobId: answer.job_id, documentId: answer.document_id };
    uploads.push({ ...ids, version, fate, content, cancelled: false });
  };
  const turn = async () => {
    const dice = options.calm ? 1 : random.fraction();
    // Only what may still be waiting or at work is worth disturbing.
    const recent = uploads.slice(-30);
    if (dice < 0.12 && recent.length > 0) {
      const chosen = random.pick(recent);
      chosen.cancelled = true;
      await act(sql, "rag_cancel_jobs", chosen.jobId);
    } else if (dice < 0.24 && recent.some((one) => one.cancelled)) {
      await act(sql, "rag_requeue_jobs", random.pick(recent.filter((one) => one.cancelled)).jobId);
    } else if (dice < 0.5 && documents.length > 0) {
      const again = documents.slice(-12).filter((document) => document.fate === "whole");
      if (again.length > 0) await upload(random.pick(again));
    } else {
      const fate = options.calm ? "whole" : random.pick(fates);
      const form = random.pick(["file", "file", "transcript"] as const);
      const document: Known = { number: documents.length + 1, form, fate, version: 0 };
      documents.push(document);
      await upload(document);
    }
  };
  const loop = async () => {
    while (on) {
      const [row] = await patiently(
        () => sql`select count(*)::int as jobs from public.rag_ingestion_queue
          where status in ('queued', 'processing')`,
      );
      if (Number(row?.jobs) < options.backlog) await turn();
      await sleep(options.pauseMs);
    }
  };
  const running = loop();
  running.catch(() => {}); // Told by stop().
  return {
    uploads: () => uploads,
    async stop() {
      on = false;
      await running;
    },
  };
}

// One document in twenty of each of the two that must not, or may not, succeed.
const fates: readonly Upload["fate"][] = [...Array<"whole">(18).fill("whole"), "poison", "fragile"];

/** Small ones mostly, as documents are. */
const chunksOf = (random: Random, most: number): number => 1 + Math.floor(random.fraction() ** 2 * most);

async function act(sql: postgres.Sql, name: "rag_cancel_jobs" | "rag_requeue_jobs", jobId: string) {
  const filter = { job_ids: [jobId] };
  await patiently(() => sql`select public.${sql(name)}(${sql.json(filter)})`);
}
