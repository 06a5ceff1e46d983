// What keeps workers busy during an upgrade: new documents all the time, one that is uploaded again and again, and a
// reader of that one. Knows what must have become of all of it.
import type postgres from "postgres";
import { expect, vi } from "vitest";
import { sleep } from "../../../timing/durations.ts";
import { paragraphs } from "../worker-process.ts";

export type Load = {
  /** Adds nothing more and reads no more. */
  stop(): Promise<void>;
  /** Once all is done: every document is live, whole and once, and no job needed a second try. */
  expectWhole(): Promise<void>;
};

const BACKLOG = 16;
const CHUNKS = 24;
const DONE = { timeout: 120_000, interval: 200 };

export async function startLoad(sql: postgres.Sql): Promise<Load> {
  /** What each document has to show, by its id. */
  const contents = new Map<string, string>();
  const jobs: string[] = [];
  const enqueue = async (content: string, fields: Readonly<Record<string, string>>) => {
    const [row] = await sql`select public.rag_enqueue(${sql.json({ content, ...fields })}) as answer`;
    const { job_id, document_id } = row?.answer as { job_id: string; document_id: string };
    jobs.push(job_id);
    contents.set(document_id, content);
    return { job_id, document_id };
  };
  const shown = async (documentId: string) => {
    const [row] = await sql`
      select string_agg(content, E'\n\n' order by chunk_index) as text from public.rag_live_chunks
      where document_id = ${documentId}`;
    return row?.text as string | null;
  };
  const isDone = async (jobId: string) => {
    const [row] = await sql`select status from public.rag_ingestion_queue where id = ${jobId}`;
    return row?.status !== "queued" && row?.status !== "processing";
  };

  const uploaded = new Set<string>();
  const seen = new Set<string | null>();
  let on = true;
  let book = await enqueue(paragraphs(CHUNKS, "edition 0"), { external_id: "book" });
  const addDocuments = async () => {
    for (let number = 0; on; number += 1) {
      const [row] = await sql`
        select count(*)::int as jobs from public.rag_ingestion_queue where status in ('queued', 'processing')`;
      if (Number(row?.jobs) < BACKLOG)
        await enqueue(paragraphs(1 + (number % CHUNKS), `document ${number}`), {
          title: `document ${number}`,
        });
      else await sleep(50);
    }
  };
  const editBook = async () => {
    for (let edition = 0; on; await sleep(50)) {
      uploaded.add(contents.get(book.document_id) ?? "");
      seen.add(await shown(book.document_id));
      if (!(await isDone(book.job_id))) continue;
      edition += 1;
      uploaded.add(paragraphs(CHUNKS + edition, `edition ${edition}`));
      book = await enqueue(paragraphs(CHUNKS + edition, `edition ${edition}`), { external_id: "book" });
    }
  };
  const running = Promise.all([addDocuments(), editBook()]);
  running.catch(() => {}); // Told by stop().

  return {
    async stop() {
      on = false;
      await running;
    },
    async expectWhole() {
      await vi.waitFor(async () => {
        const open =
          await sql`select id from public.rag_ingestion_queue where status in ('queued', 'processing')`;
        expect(open).toHaveLength(0);
      }, DONE);
      const ended = await sql`select id, status, attempts, errors from public.rag_ingestion_queue`;
      const live = await sql`
        select d.id, array_agg(g.generation) filter (where g.state = 'live') as generations
        from public.rag_documents d left join public.rag_generations g on g.document_id = d.id group by d.id`;

      expect(ended.map((row) => row.id).toSorted()).toEqual(jobs.toSorted());
      expect(ended.filter((row) => row.status !== "complete" || row.attempts !== 1)).toEqual([]);
      expect(live.map((row) => row.id).toSorted()).toEqual([...contents.keys()].toSorted());
      expect(live.filter((row) => row.generations?.length !== 1)).toEqual([]);
      for (const [id, content] of contents) expect(await shown(id)).toBe(content);
      seen.delete(null); // Before its first edition was live.
      expect([...seen].filter((text) => !uploaded.has(text ?? ""))).toEqual([]);
      expect(seen.size).toBeGreaterThan(2);
    },
  };
}
