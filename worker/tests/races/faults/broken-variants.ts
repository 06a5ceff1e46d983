// Deliberately broken functions, to be put in place of the right ones in a test's own database: each takes one
// guard out. A variant that finds nothing to take out throws: a guard that was rewritten needs its variant
// rewritten too.
import type postgres from "postgres";
import type { FaultKind } from "./plan.ts";
import type { Rule } from "./violation.ts";

export type Variant = {
  readonly name: string;
  /** Functions to change: name, what to find in the definition, what to put there. */
  readonly edits: readonly (readonly [name: RegExp, find: RegExp, put: string])[];
  /** Faults under which the missing guard is missed. */
  readonly kinds: readonly FaultKind[];
  /** By which rules the checker may notice. */
  readonly rules: readonly Rule[];
  /** Documents of one or two chunks and a quick provider: as much settling as can be. */
  readonly trivial?: boolean;
  /** Seconds by which the clock of the first worker is wrong. */
  readonly skewSeconds?: number;
};

const FENCE = /\bq\.lease_token = p_lease_token and /g;
const WORKERS_CLOCK = "fault.clock_of(p_worker) + make_interval(secs => p_lease_seconds";
const LEASE_END = /\bnow\(\) \+ make_interval\(secs => p_lease_seconds\b/g;

export const variants: readonly Variant[] = [
  {
    name: "the fence out of rag_stage_chunks",
    edits: [
      [
        /^rag_(stage_chunks|open_copy|close_copy)$/,
        / and q\.lease_token = p_lease_token and q\.status = 'processing'/,
        "",
      ],
    ],
    kinds: ["freeze", "stall"],
    rules: ["stale-chunk"],
  },
  {
    name: "the fence out of rag_complete_job",
    edits: [[/^rag_complete_job$/, FENCE, ""]],
    kinds: ["stall"],
    trivial: true,
    rules: ["stale-transition"],
  },
  {
    name: "the fence out of rag_begin_generation",
    edits: [[/^rag_begin_generation$/, FENCE, ""]],
    kinds: ["stall"],
    trivial: true,
    rules: ["stale-chunk"],
  },
  {
    name: "the reaper without its guard",
    edits: [
      [
        /^rag_reap$/,
        /where q\.status = 'processing'[\s\S]*?order by q\.lease_expires_at/,
        "where q.status = 'processing' order by q.lease_expires_at",
      ],
    ],
    kinds: ["cut"],
    rules: ["early-rescue"],
  },
  {
    name: "leases by the worker's own clock, which is slow",
    edits: [[/^rag_(claim_jobs|take_\w+|tell_alive|keep_leases|watch_session)$/, LEASE_END, WORKERS_CLOCK]],
    kinds: ["cut"],
    rules: ["early-rescue"],
    skewSeconds: -5,
  },
  {
    name: "attempts that a rescue gives back",
    edits: [
      [
        /^rag_reap$/,
        /set status = 'queued',/,
        "set status = 'queued', attempts = greatest(q.attempts - 1, 0),",
      ],
    ],
    kinds: ["freeze"],
    rules: ["wrong-attempts"],
  },
];

/** On a database with the history installed. Throws when one of the edits changes nothing. */
export async function breakQueue(sql: postgres.Sql, variant: Variant): Promise<void> {
  // As if the worker with that name had sent its own time with each call.
  await sql.unsafe(`
    create function fault.clock_of(p_worker text) returns timestamptz language sql stable set search_path = '' as $$
      select now() + case when p_worker like 'w0-%' then make_interval(secs => ${variant.skewSeconds ?? 0})
        else make_interval() end
    $$`);
  const functions = await sql<{ name: string; definition: string }[]>`
    select p.proname as name, pg_get_functiondef(p.oid) as definition from pg_proc p
    where p.proname like 'rag\_%' and p.prokind = 'f'
      and (p.pronamespace = 'fault_inner'::regnamespace or p.pronamespace = 'public'::regnamespace
        and not exists (select 1 from pg_proc i where i.proname = p.proname
          and i.pronamespace = 'fault_inner'::regnamespace))`;
  for (const [name, find, put] of variant.edits) {
    const broken = functions
      .filter((one) => name.test(one.name))
      .map(({ definition }) => ({ definition, changed: definition.replace(find, put) }))
      .filter(({ definition, changed }) => changed !== definition);
    if (broken.length === 0) throw new Error(`"${variant.name}" finds nothing to break: ${find}.`);
    for (const { changed } of broken) await sql.unsafe(changed);
  }
}
