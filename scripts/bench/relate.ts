// Relationships of one document among 100,000 chunks: the search for its like by the index and by a scan, and the whole
// of rag_find_relationships. 20,000 documents of five chunks, one tenant; clusters of ten documents that are alike.
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { openPostgresWorld } from "./worlds.ts";

const CHUNKS = 100_000;
const CHUNKS_A_DOCUMENT = 5;
const DIMENSIONS = 384;
const DOCUMENTS_A_CLUSTER = 10;
const LOOKED_AT = 200;
const RECALL_OF = 50;

export async function benchRelate(report: Report, options: BenchOptions): Promise<void> {
  const chunks = options.jobs ?? CHUNKS;
  const documents = Math.max(DOCUMENTS_A_CLUSTER, Math.round(chunks / CHUNKS_A_DOCUMENT));
  const world = await openPostgresWorld();
  try {
    await world.withSession(async (session) => {
      await session.query("insert into public.rag_models (name, model, dimensions) values ('m', 'm', $1)", [
        DIMENSIONS,
      ]);
      await session.query(
        `with made as (
           insert into public.rag_documents (tenant_id, title, status, live_generation, tags)
           select 'bench', 'document ' || n, 'ingested', 1, array['cluster ' || n / ${DOCUMENTS_A_CLUSTER}]
           from generate_series(1, $1::integer) n returning id),
         numbered as (select id, row_number() over () as n from made),
         begun as (
           insert into public.rag_generations (document_id, generation, content_sha256, embedding_model, dimensions,
             strategy, chunk_size, chunk_overlap, plan, state, chunk_count, segment_count, segments_complete)
           select id, 1, id::text, 'm', ${DIMENSIONS}, 'recursive', 256, 0, 'p', 'live', ${CHUNKS_A_DOCUMENT}, 1, true
           from made)
         select count(*) from numbered`,
        [documents],
      );
      options.progress(`${documents} documents`);
      // A direction for each cluster, and noise for each document that leaves two of a cluster at a cosine of some 0.9.
      await session.query(
        `with directions as materialized (
           select g as cluster, (select array_agg(random() - 0.5 + (g + n) * 0) from generate_series(1, ${DIMENSIONS}) n) as v
           from generate_series(0, $1::integer / ${DOCUMENTS_A_CLUSTER} + 1) g),
         documents as materialized (
           select d.id, (
             select '[' || string_agg((b.v + (random() - 0.5) * 0.35)::real::text, ',' order by b.place) || ']'
             from unnest(k.v) with ordinality b (v, place))::extensions.vector as embedding
           from (select row_number() over (order by title) as n, id from public.rag_documents) d
           join directions k on k.cluster = d.n / ${DOCUMENTS_A_CLUSTER})
         insert into public.rag_document_chunks (document_id, generation, chunk_index, tenant_id, content,
           content_sha256, embed_sha256, char_start, char_end, char_count, token_count, segment_from, segment_to,
           embedding, embedding_model)
         select d.id, 1, c, 'bench', 'text', 'x', md5(d.id::text || c), 0, 4, 4, 1, 1, 1, d.embedding, 'm'
         from documents d cross join generate_series(0, ${CHUNKS_A_DOCUMENT - 1}) c`,
        [documents],
      );
      options.progress(`${documents * CHUNKS_A_DOCUMENT} chunks`);
      // As rag_store_document_vectors makes them, and the index as a worker does; all at once, for it is not measured.
      await session.query(`select public.rag_store_document_vectors(d) from public.rag_documents d`);
      await session.query("select public.rag_index_document_vectors('m', $1)", [DIMENSIONS]);
      await session.script("analyze");
      options.progress("vectors of documents, indexed");
      const ids = (
        await session.query("select id from public.rag_documents order by random() limit $1", [LOOKED_AT])
      ).map((row) => String(row.id));
      const timed = async (statement: string) => {
        const times: number[] = [];
        for (const id of ids) {
          const startedAt = performance.now();
          await session.query(statement, [id]);
          times.push(performance.now() - startedAt);
        }
        return times;
      };
      const say = (what: string, contestant: string, times: readonly number[]) => {
        const figure = { bench: "relate", case: what, contestant, unit: "ms" };
        report({ ...figure, metric: "p50", value: quantile([...times], 0.5) });
        report({ ...figure, metric: "p95", value: quantile([...times], 0.95) });
      };
      const alike = "select public.rag_find_alike(d) from public.rag_documents d where d.id = $1";
      await timed(alike);
      say("its like", "index", await timed(alike));
      say(
        "its like",
        "scan",
        await timed(
          `select v.document_id from public.rag_document_vectors v
         where v.document_id <> $1 order by v.embedding operator(extensions.<=>)
           (select o.embedding from public.rag_document_vectors o where o.document_id = $1) limit 20`,
        ),
      );
      let met = 0;
      let there = 0;
      for (const id of ids.slice(0, RECALL_OF)) {
        const exact = await session.query(
          `select v.document_id from public.rag_document_vectors v, public.rag_document_vectors o
           where o.document_id = $1 and v.document_id <> $1
             and v.embedding operator(extensions.<=>) o.embedding < 0.3
           order by v.embedding operator(extensions.<=>) o.embedding limit 20`,
          [id],
        );
        const [found] = await session.query(
          `select jsonb_path_query_array(public.rag_find_alike(d), '$[*].target_id') as ids
           from public.rag_documents d where d.id = $1`,
          [id],
        );
        const ours = new Set(found?.ids as string[]);
        there += exact.length;
        met += exact.filter((row) => ours.has(String(row.document_id))).length;
      }
      report({
        bench: "relate",
        case: "its like",
        contestant: "index",
        metric: "recall",
        value: there === 0 ? 1 : met / there,
        unit: "ratio",
        ratio_to: "the scan",
      });
      const whole = "select public.rag_find_relationships($1::uuid)";
      say("all five types, first time", "ours", await timed(whole));
      say("all five types, again", "ours", await timed(whole));
    });
  } finally {
    await world.close();
  }
}
